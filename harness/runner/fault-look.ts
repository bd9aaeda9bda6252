// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import { type Behaviour, type FaultSeen, type Reference, behaviourOf } from '../elf/index.js';
import { InfrastructureError } from '../errors.js';
import { ConnectionLostError } from '../guest/errors.js';
import { type Guest, must } from '../guest/guest.js';
import { type KernelSymbol, readKallsyms } from '../guest/kernel-tables.js';
import { logMarkOf } from './session-record.js';
import type { ConsoleReport } from '../vm/console.js';
import type { Bench } from './bench.js';
import { hiddenSymbols, patched } from './fault-modules.js';
import type { Trial } from './fault-trials.js';
import { moduleDirectory } from './session-operations.js';

/** TAINT_LIVEPATCH, bit 15 of /proc/sys/kernel/tainted. */
const patchTaint = 1 << 15;

/** Milliseconds for a step of a kernel that may be about to crash, multiplied by the machine's slowdown. */
const patience = 15_000;

/** Where the references come from: `code-vmlinux 0 0` in the replacement's words, and which symbol is meant. */
const referenceNames = new Map([
  ['code-vmlinux', 'cmdline_proc_show'],
  ['code-vmlinux-last', 'saved_command_line'],
  ['data-vmlinux', 'saved_command_line'],
  ['code-module', `${patched.name}_gate`],
]);

/** What was seen, and what clauses of the format are judged by. */
export interface TrialSeen extends FaultSeen {
  /** References that held an address when the module's init ran; undefined where it did not run. */
  readonly loading?: readonly Reference[];
  /** Livepatch symbols of the module in kallsyms, `name = address`. */
  readonly symbols: readonly string[];
  /** How many of these have the address that the symbol itself has. */
  readonly resolved: number;
}

/**
 * Gives a kernel a module and looks what becomes of it. A kernel that oopses, panics or hangs meanwhile is an answer.
 * @param given the file without `.ko`, and the module's name as the kernel will know it
 * @throws InfrastructureError when the guest is lost and its kernel has no part in it
 */
export async function carryOut(bench: Bench, trial: Trial, given: { readonly file: string; readonly name: string }, mark: number, step: (what: string) => void): Promise<TrialSeen> {
  const { guest } = bench;
  const { name } = given;
  const insmod = (module: string): ReturnType<Guest['insmod']> => {
    step(`insmod ${module}`);
    return guest.insmod(`${moduleDirectory}/${module}.ko`);
  };
  if (!trial.patchFirst && !trial.ordinary) must(await insmod(patched.name), `insmod ${patched.name}`);
  const from = await guest.logEnd();
  const work = async (): Promise<TrialSeen> => {
    const outcome = await insmod(given.file);
    // Of a patch that is there first, relocations may fail when the module comes: that is what is refused then.
    const later = outcome.ok && trial.patchFirst ? await insmod(patched.name) : outcome;
    if (later.ok && !trial.ordinary) {
      step(`waiting for ${name}'s transition`);
      await guest.awaitContent(`/sys/kernel/livepatch/${name}/transition`, '0\n', patience * bench.machine.slowdown);
    }
    step(`looking at ${name}`);
    return look(guest, trial, name, later.ok ? undefined : later.name, from);
  };
  const seen = await unlessCrashed(bench, mark, work());
  if (seen) return seen;
  step('reading the console');
  const reports = crashes(bench, mark);
  const said = reports.flatMap(({ lines }) => lines.map(({ text }) => text));
  const log = said.length > 0 ? said.slice(0, 40) : [await silence(bench)];
  return { behaviour: 'crashes', log, remains: [], references: [], symbols: [], resolved: 0 };
}

/** What became of a guest whose kernel has not said anything. @throws MachineError when that is the host's doing */
async function silence({ machine }: Bench): Promise<string> {
  const diagnosis = await machine.diagnose();
  if (diagnosis.kind === 'infrastructure') throw diagnosis;
  return diagnosis.message;
}

/** @returns undefined if the kernel oopsed, panicked, hung or went away meanwhile */
async function unlessCrashed<T>(bench: Bench, mark: number, work: Promise<T>): Promise<T | undefined> {
  const { machine } = bench;
  let over = false;
  const ended = work.then(
    (value) => ({ value }),
    (error: unknown) => {
      if (error instanceof ConnectionLostError || crashes(bench, mark).length > 0) return undefined;
      throw error;
    },
  );
  const watched = async (): Promise<undefined> => {
    const deadline = Date.now() + 4 * patience * machine.slowdown;
    while (!over && !machine.dead && Date.now() < deadline && machine.reports.slice(mark).every(isWarning)) await sleep(50);
    return undefined;
  };
  try {
    const first = await Promise.race([ended, watched()]);
    // A report has some more lines to come.
    if (!first) await sleep(500);
    return first && crashes(bench, mark).length === 0 ? first.value : undefined;
  } finally {
    over = true;
    void ended.catch(() => undefined);
  }
}

function isWarning({ kind }: ConsoleReport): boolean {
  return kind === 'warning';
}

function crashes(bench: Bench, mark: number): readonly ConsoleReport[] {
  return bench.reportsSince(mark).filter((r) => !isWarning(r));
}

async function look(guest: Guest, trial: Trial, name: string, errno: string | undefined, from: bigint): Promise<TrialSeen> {
  const printed = must(await guest.readText('/proc/cmdline'), '/proc/cmdline');
  const texts = [...hiddenSymbols.map((s) => ` ${s.name}`), `[${name}]`];
  const table = await readKallsyms(guest, ...texts);
  const references = errno !== undefined || trial.ordinary ? [] : referencesOf(printed, table, trial);
  // A line without its end shows with the next one only.
  await guest.write('/dev/kmsg', logMarkOf(`insmod ${name}: ${errno ?? 'OK'}`));
  const { records } = await guest.log(from);
  const log = records.map(({ text }) => text).filter((text) => !text.startsWith('klp-harness: '));
  const first = log.filter((line) => line.startsWith('klp_fault: ')).map((line) => line.slice('klp_fault: '.length)).join('\n');
  const tainted = Number(must(await guest.readText('/proc/sys/kernel/tainted'), 'tainted').trim());
  const there = async (path: string): Promise<boolean> => (await guest.tree(path, 0)).ok;
  const listed = must(await guest.readText('/proc/modules'), '/proc/modules').split('\n').some((line) => line.startsWith(`${name} `));
  const module = listed || (await there(`/sys/module/${name}`));
  const patch = await there(`/sys/kernel/livepatch/${name}`);
  const own = table.filter((s) => s.module === name && s.name.startsWith('.klp.sym.'));
  const behaviour: Behaviour = errno !== undefined ? 'refused' : trial.ordinary ? 'works' : behaviourOf(references);
  return {
    behaviour,
    ...(errno === undefined ? {} : { errno }),
    log,
    tainted: (tainted & patchTaint) !== 0,
    remains: [...(module ? ['module'] : []), ...(patch ? ['patch'] : [])],
    references,
    ...(first === '' ? {} : { loading: referencesOf(first, table, trial) }),
    symbols: own.map((s) => `${s.name} = ${s.address.toString(16)}`),
    resolved: own.filter((s) => isResolved(s, table)).length,
  };
}

/** Whether a livepatch symbol has the address of what it names. */
function isResolved(symbol: KernelSymbol, table: readonly KernelSymbol[]): boolean {
  const [, object, own] = /^\.klp\.sym\.([^.]+)\.([^,]+),/.exec(symbol.name) ?? [];
  return table.some((s) => s.name === own && (s.module ?? 'vmlinux') === object && s.address === symbol.address);
}

/** What the replacement, or init, has said of the module's references. */
function referencesOf(text: string, table: readonly KernelSymbol[], trial: Trial): readonly Reference[] {
  return [...referenceNames].map(([name, symbol]) => {
    const [, value, place] = new RegExp(`^${name} ([0-9a-f]+) ([0-9a-f]+)$`, 'm').exec(text) ?? [];
    if (value === undefined || place === undefined) return { name, holds: 'nothing', text: `${name}: the replacement does not run` };
    const meant = table.find((s) => s.name === symbol)?.address;
    const [held, here] = [BigInt(`0x${value}`), BigInt(`0x${place}`)];
    const distance = trial.distance ? BigInt.asUintN(64, held + here) : undefined;
    if (held === meant || (distance !== undefined && distance === meant)) return { name, holds: 'right', text: name };
    const holds = isUnbound(name, held, here) ? 'nothing' : 'wrong';
    const shown = meant === undefined ? 'a symbol that is not there' : meant.toString(16);
    return { name, holds, text: `${name} holds ${value}, not ${shown}` };
  });
}

/** A pointer that is 0; code that gives its own address, or its page (REFERENCE in modules/c/fault.c). */
function isUnbound(name: string, held: bigint, here: bigint): boolean {
  if (name.startsWith('data')) return held === 0n;
  return held === here || held === (here & ~0xfffn);
}

/** @throws InfrastructureError */
export function generationMissing(release: string): InfrastructureError {
  return new InfrastructureError(`${release} is no kernel whose livepatch the table of faults knows`);
}
