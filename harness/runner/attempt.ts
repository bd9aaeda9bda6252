// SPDX-License-Identifier: MIT
import type { Failure } from '../events/schema.js';
import { type Verdict, worst } from '../model/verdict.js';
import type { ConsoleReport } from '../vm/console.js';
import { failureOf as failureOfReport, worstReport } from '../vm/failure.js';
import { isStaleBreakpoint } from '../vm/splats.js';
import type { Bench } from './bench.js';
import { investigate } from './evidence.js';
import type { ScenarioOutcome } from './expectations.js';
import type { Session } from './session.js';

/** What one attempt at a scenario came to. */
export interface Attempt {
  readonly verdict: Verdict;
  readonly reason?: string;
  readonly failure?: Failure;
  readonly clauses: ScenarioOutcome['clauses'];
  readonly log?: readonly string[];
  /** It is QEMU's emulation that failed by a race of its threads, or may be: {@link callsOfStaleCode}. */
  readonly raced?: true;
}

/**
 * The verdict of a scenario that came to its end.
 * @param undeclared complaints of the kernel that are no part of the scenario
 */
export function judge(
  session: Pick<Session, 'judgements' | 'activity' | 'unexpectedHold'>,
  asked: readonly string[],
  undeclared: readonly ConsoleReport[],
  command: string,
): Attempt {
  const judged = new Set(session.judgements.map((j) => j.clause));
  const silent = asked.filter((clause) => !judged.has(clause));
  const verdicts = session.judgements.map((j) => j.verdict);
  const clauses: ScenarioOutcome['clauses'] = [];
  const splat = worstReport(undeclared);
  if (splat) {
    const message = `the kernel warned: ${undeclared.map((r) => r.title).join('; ')}`;
    const during = session.activity.at(splat.at)?.what;
    const failure: Failure = {
      kind: failureOfReport(splat),
      message,
      ...(during === undefined ? {} : { during }),
      details: [`command: ${command}`],
    };
    return { verdict: 'fail', reason: message, failure, clauses };
  }
  const verdict = worst(verdicts);
  const wrong = session.judgements.filter((j) => j.verdict === verdict);
  if (verdict === 'fail') {
    // Many tasks that do the same say the same.
    const texts = new Set(wrong.map((j) => `${j.clause}: ${j.what}: ${j.seen}; allowed: ${j.mainline.allowed}`));
    const reason = [...texts].join(' | ');
    const during = wrong[0]?.what;
    const failure: Failure = { kind: 'assertion', message: reason, ...(during === undefined ? {} : { during }), ...heldText(session) };
    return { verdict, reason, failure, clauses };
  }
  if (silent.length > 0) return { verdict: 'error', reason: `nothing judged ${silent.join(', ')}`, clauses };
  if (verdict === 'deviates') {
    return { verdict, reason: [...new Set(wrong.map((j) => `${j.clause}: ${j.note ?? ''}`))].join('; '), clauses };
  }
  return { verdict, clauses };
}

/**
 * What an exception out of a scenario that had begun means. One that was cut short is a fail if something in it failed
 * before, and never better than an error.
 */
export async function explain(
  error: unknown,
  session: Session,
  bench: Bench,
  undeclared: () => readonly ConsoleReport[],
): Promise<Attempt> {
  const verdict = worst(['error', ...session.judgements.map((j) => j.verdict)]);
  return { ...broken(await investigate(error, session.activity, bench, undeclared)), verdict };
}

function heldText({ unexpectedHold }: Pick<Session, 'unexpectedHold'>): Pick<Failure, 'details'> {
  return unexpectedHold.length === 0 ? {} : { details: [...unexpectedHold] };
}

/** A scenario that broke before it could be judged. */
export function broken(failure: Failure): Attempt {
  return { verdict: 'error', reason: failure.message, failure, clauses: [] };
}

/**
 * What an attempt came to is followed by: nothing more; another attempt; or one on a guest whose CPUs are emulated in one thread.
 * @param attempts how many there were
 * @param retries  how many more than one there may be
 */
export function nextAttempt({ failure, raced }: Pick<Attempt, 'failure' | 'raced'>, attempts: number, retries: number): 'none' | 'same' | 'in one thread' {
  if (attempts > retries) return 'none';
  if (raced) return 'in one thread';
  return failure?.kind === 'infrastructure' ? 'same' : 'none';
}

/**
 * What the emulator did wrong is no finding about the kernel. In one thread it has nobody to race with: there, what looks the same
 * is the kernel's.
 */
export function emulatorFault(bench: Pick<Bench, 'accel' | 'threads'>, splats: readonly ConsoleReport[]): Attempt | undefined {
  const report = emulatedInThreads(bench) ? splats.find((r) => isStaleBreakpoint(r.lines.map((l) => l.text))) : undefined;
  if (!report) return undefined;
  const failure: Failure = {
    kind: 'infrastructure',
    message: `QEMU executed a breakpoint that the kernel had taken away: ${report.title}`,
    hint: 'a race of its emulation, where a kernel patches code that another CPU is about to run; KVM does not have it',
    details: report.lines.map((l) => `console: ${l.text}`).slice(0, 30),
  };
  return { ...broken(failure), raced: true };
}

/**
 * A CPU that translates a function while another patches it may keep the old translation for good: calls go on to reach the body
 * before. Seen with QEMU 7.2 on arm64, never in one thread. From a broken kernel's that can't be told by looking, so that the fail
 * stands unless an attempt in one thread shows otherwise.
 * @param session what the attempt found
 */
export function callsOfStaleCode(bench: Pick<Bench, 'accel' | 'threads'>, session: Pick<Session, 'onlyCallsFailed'>): boolean {
  return emulatedInThreads(bench) && session.onlyCallsFailed;
}

function emulatedInThreads({ accel, threads }: Pick<Bench, 'accel' | 'threads'>): boolean {
  return accel === 'tcg' && threads === 'multi';
}
