// SPDX-License-Identifier: MIT
import { DeadlineError } from '../errors.js';
import type { Failure } from '../events/schema.js';
import { ConnectionLostError } from '../guest/errors.js';
import { ModelViolation, SituationError } from '../model/reference.js';
import type { ConsoleLine, ConsoleReport } from '../vm/console.js';
import { failureOf as failureOfReport, worstReport } from '../vm/failure.js';
import type { Machine } from '../vm/machine.js';
import { type CpuReport, atOnce, watchCpus } from '../vm/registers.js';
import { within } from '../vm/within.js';
import type { Activity, Doing } from './activity.js';
import type { Bench } from './bench.js';
import { failureOf } from './failures.js';

/** Console lines of the operation that are kept. */
const linesKept = 60;

/** Milliseconds for the kernel log of a guest that may no longer answer, multiplied by the machine's slowdown. */
const logPatience = 2000;

/**
 * What an exception out of a scenario that had begun says of the guest: the kind of failure, the operation it belongs to,
 * and what a person needs to understand it. What the kernel complained of comes first: whatever failed afterwards (a lost
 * connection, a deadline, a situation that did not come about) is its consequence.
 *
 * @param undeclared the console's reports that are no part of the scenario; asked for when the console has had its time
 */
export async function investigate(
  error: unknown,
  activity: Activity,
  bench: Bench,
  undeclared: () => readonly ConsoleReport[],
): Promise<Failure> {
  const { current } = activity;
  if (error instanceof ModelViolation) return { kind: 'assertion', message: error.message, during: current.what };
  const failure = await named(error, bench);
  const culprit = failure.kind === 'infrastructure' ? undefined : worstReport(undeclared().filter((r) => r.kind !== 'warning'));
  const blamed = culprit ? blame(failure, culprit) : failure;
  const doing = (culprit && activity.at(culprit.at)) ?? current;
  const lookedAt = blamed.kind === 'assertion' ? blamed : await withCpus(blamed, bench.machine);
  if (lookedAt.kind === 'assertion') return { ...lookedAt, during: doing.what };
  return { ...lookedAt, during: doing.what, details: details(lookedAt, doing, culprit, bench.machine) };
}

/** By the error alone, and by what became of the guest where its connection is gone. */
async function named(error: unknown, bench: Bench): Promise<Failure> {
  if (error instanceof SituationError) return { kind: 'assertion', message: `situation not reached: ${error.message}` };
  const failure = await failureOf(error, bench);
  if (error instanceof DeadlineError && failure.kind === 'infrastructure') return { ...failure, kind: 'hang' };
  if (error instanceof ConnectionLostError && failure.kind === 'connection lost') {
    return { ...failure, message: `${error.message}; the console does not say why` };
  }
  return failure;
}

/** A failure that followed upon a report of the console. */
function blame(failure: Failure, culprit: ConsoleReport): Failure {
  const kind = failureOfReport(culprit);
  // `diagnose` has said so already.
  if (failure.message.includes(culprit.title)) return { ...failure, kind };
  return { ...failure, kind, message: `${culprit.title}; then: ${failure.message}` };
}

/** With the registers; what they show tells a guest that hangs from one that is only out of reach. */
async function withCpus(failure: Failure, machine: Machine): Promise<Failure> {
  const atPanic = await machine.panicRegisters;
  if (atPanic) return { ...failure, registers: [...atOnce(atPanic)] };
  const seen = machine.dead ? undefined : await cpus(machine);
  if (!seen) return failure;
  const { lines, stuck } = seen;
  const known = { ...failure, registers: [...lines] };
  if (stuck === undefined || (failure.kind !== 'hang' && failure.kind !== 'connection lost')) return known;
  return { ...known, kind: 'hang', message: `${failure.message}; ${stuck}` };
}

async function cpus(machine: Machine): Promise<CpuReport | undefined> {
  try {
    return await watchCpus(machine.qmp, machine.pid);
  } catch {
    return undefined; // QEMU ended meanwhile
  }
}

/** What the console said from the operation's begin, then what else there is: QEMU's own words and its command line. */
function details(failure: Failure, doing: Doing, culprit: ConsoleReport | undefined, machine: Machine): string[] {
  const others = (failure.details ?? []).filter((line) => !/^(console|command): /.test(line));
  const all = linesSince(machine, doing.begin);
  // Of too many: the report from its first line, else the last ones.
  const shown =
    all.length <= linesKept ? all : culprit ? linesSince(machine, culprit.at).slice(0, linesKept) : all.slice(-linesKept);
  return [...shown.map((line) => `console: ${line.text}`), ...others, `command: ${machine.commandLine}`];
}

function linesSince(machine: Machine, time: number): ConsoleLine[] {
  return machine.console.since(0).filter((line) => line.at >= time);
}

/**
 * The kernel's log from a record on; of a guest that does not answer, what its console has shown since.
 * @param from  sequence number
 * @param since the same in performance.now()
 */
export async function kernelLog(bench: Bench, from: bigint, since: number): Promise<readonly string[]> {
  const { machine, guest } = bench;
  const shown = (): string[] => linesSince(machine, since).map((line) => line.text);
  if (machine.dead) return shown().slice(-80);
  try {
    const { records } = await within(guest.log(from), logPatience * machine.slowdown, 'the kernel log');
    return records.slice(-80).map((r) => `[${(Number(r.microseconds) / 1e6).toFixed(6)}] ${r.text}`);
  } catch {
    return shown().slice(-80);
  }
}
