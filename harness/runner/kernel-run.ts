// SPDX-License-Identifier: MIT
import type { AcquiredKernel } from '../../kernels/types.js';
import { machineFor } from '../arch.js';
import type { Payload } from '../events/schema.js';
import type { FileToPush } from '../guest/guest.js';
import { type Capability, type Finding, onlyInGuest } from '../model/capabilities.js';
import { ReferenceModel } from '../model/reference.js';
import type { Profile } from '../model/verdict.js';
import { type BuiltModule, buildModules } from '../modules/build.js';
import { type KeyFiles, signingKey } from '../modules/sign.js';
import type { Threads } from '../vm/argv.js';
import { hostWait } from '../vm/host-wait.js';
import type { AccelChoice } from '../vm/accel.js';
import type { ConsoleReport } from '../vm/console.js';
import { ConnectionLostError } from '../guest/errors.js';
import { within } from '../vm/within.js';
import { type Attempt, broken, callsOfStaleCode, emulatorFault, explain, judge, nextAttempt } from './attempt.js';
import { Bench } from './bench.js';
import { longestFirst, readDurations, recordDurations } from './durations.js';
import { kernelLog } from './evidence.js';
import { clauseVerdicts } from './expectations.js';
import type { Expectations } from './expectations.js';
import type { FailureLimit } from './failure-limit.js';
import { failureFrom, failureOf } from './failures.js';
import { type Jobs, chooseJobs, hostRoom } from './jobs.js';
import type { Journal } from './journal.js';
import { tellAcquired, tellBooted } from './kernel-events.js';
import { lacking, lacks, moduleFiles } from './needs.js';
import { type Pause, gdbLines } from './pause.js';
import { type Seat, workOff } from './pool.js';
import { type KernelFacts, type StaticFacts, kernelFacts, staticFacts } from './probe.js';
import { KernelResults, type ScenarioResult } from './results.js';
import type { PastKernel } from './resume.js';
import { type Scenario, clausesOn } from './scenario.js';
import { Session } from './session.js';
import { moduleDirectory } from './session-operations.js';
import type { Emit } from './session-record.js';

/** How one kernel's part of a run is to be done. */
export interface KernelRunOptions {
  readonly journal: Journal;
  readonly accel: AccelChoice;
  readonly profile: Profile;
  /** Extra attempts after an infrastructure failure. */
  readonly retries: number;
  readonly jobs: Jobs;
  /** Version of klp, for the fingerprints. */
  readonly harness: string;
  /** Of a resumed run: what its earlier parts brought. */
  readonly past?: PastKernel;
  readonly expectations: Expectations;
  /** Of the whole run: once it is reached, nothing more is begun. */
  readonly limit: FailureLimit;
  readonly signal: AbortSignal;
  /** The words that repeat a case, without the scenario: `npx klp run --kernel K …`. */
  readonly repeat: (scenario: string) => string;
  /** Boot, whatever saved state there is. */
  readonly fresh: boolean;
  readonly rdinit?: string;
  readonly bootDeadline?: number;
  /** Called where a scenario failed. */
  readonly pause?: Pause;
  /** Gives out paths for debuggers' sockets. */
  readonly gdb?: () => string;
  /** Capabilities that the kernel's catalogue entry promises. */
  readonly must: readonly Capability[];
  /** What modules are signed with, for kernels that refuse those that are not. */
  readonly signing?: KeyFiles;
}

/** How a kernel's part of a run is done: {@link runKernel}, or what runs another suite. */
export type RunKernel = typeof runKernel;

/**
 * Runs scenarios on one kernel: acquires it, boots it, and starts each scenario from a pristine guest; several guests work
 * side by side. What can't be asked of the kernel is n/a with the capability that is missing, known before it boots where
 * configuration or header tell; a kernel that cannot be had or booted turns every scenario without a result into an error.
 *
 * @returns the results in the order of the scenarios; when the signal was aborted, those there were until then
 */
export async function runKernel(
  name: string,
  acquire: () => Promise<AcquiredKernel>,
  scenarios: readonly Scenario[],
  options: KernelRunOptions,
): Promise<readonly ScenarioResult[]> {
  const results = new KernelResults(name, scenarios, options);
  const run = new KernelRun(name, results, options);
  try {
    if (options.limit.reached) results.keepAll();
    else await run.all(acquire);
    if (options.limit.reached && !options.signal.aborted) results.notRun();
  } catch (error) {
    if (!options.signal.aborted) results.failAll(error);
  }
  return results.all();
}

class KernelRun {
  /** Attempts by scenario: a scenario may change its guest between two. */
  readonly #attempts = new Map<string, number>();

  constructor(
    private readonly name: string,
    private readonly results: KernelResults,
    private readonly options: KernelRunOptions,
  ) {}

  async all(acquire: () => Promise<AcquiredKernel>): Promise<void> {
    const { journal } = this.options;
    let kernel: AcquiredKernel;
    try {
      kernel = await acquire();
    } catch (error) {
      this.results.keepAll();
      if (this.results.missing().length > 0) throw error;
      this.progress(`cannot be had now, so what it came to before is not checked: ${failureFrom(error).message}`);
      return;
    }
    tellAcquired(journal, this.name, kernel);
    this.results.keep(kernel.fingerprint);
    const known = await staticFacts(kernel);
    const left = this.results.missing();
    // What the files show to be missing needs no boot; what only a guest can tell is asked later.
    const later = onlyInGuest(known.facts);
    const askable = left.filter((s) => lacking(s, known.capabilities).every((c) => later.has(c)));
    for (const s of left) if (!askable.includes(s)) this.results.notAsked(s, lacking(s, known.capabilities), known.findings);
    if (askable.length === 0) {
      this.probed(known.findings);
      return;
    }
    try {
      await this.boot(kernel, known, askable);
    } finally {
      await recordDurations(this.name, kernel.arch, this.results.durations).catch((error: unknown) => {
        this.progress(`how long scenarios took could not be recorded: ${failureFrom(error).message}`);
      });
    }
  }

  private async boot(kernel: AcquiredKernel, known: StaticFacts, scenarios: readonly Scenario[]): Promise<void> {
    const { journal, signal } = this.options;
    const bench = await this.startBench(kernel, 1, signal);
    let facts: KernelFacts;
    let askable: readonly Scenario[];
    let modules: ReadonlyMap<string, BuiltModule>;
    try {
      facts = await kernelFacts(kernel, known, bench);
      const { capabilities } = facts.facts;
      tellBooted(journal, this.name, bench, [...capabilities].sort());
      this.probed(facts.findings);
      askable = scenarios.filter((s) => lacking(s, capabilities).length === 0);
      for (const s of scenarios) if (!askable.includes(s)) this.results.notAsked(s, lacking(s, capabilities), facts.findings);
      const signing = await signingKey(kernel, facts.findings, this.options.signing, this.progress);
      const build = { kernel, ...facts, ...(signing && { signing }) };
      modules = await buildModules(build, askable.flatMap((s) => s.modules), this.progress, signal);
    } catch (error) {
      await bench[Symbol.asyncDispose]();
      throw error;
    }
    const jobs = this.jobs(askable.length, kernel);
    await workOff<Scenario, Bench>({
      // One guest takes them as they come: no order would make it faster.
      items: jobs === 1 ? askable : longestFirst(askable, await readDurations(this.name, kernel.arch)),
      jobs,
      first: bench,
      start: (guest, until) => this.startBench(kernel, guest, until),
      work: async (s, seat) => {
        await this.one(s, kernel, seat, facts, modules);
        await this.pauseAt(s, kernel, seat);
        // The next one gets its threads back.
        if (seat.last?.threads === 'single') await seat.last[Symbol.asyncDispose]();
      },
      enough: () => this.options.limit.reached,
      onLost: (guest, error) => this.progress(`guest ${guest} could not be started; the others go on: ${failureFrom(error).message}`),
      signal,
    });
  }

  private probed(findings: ReadonlyMap<Capability, Finding>): void {
    const { journal, must } = this.options;
    const found = [...findings].map(([capability, { has, evidence }]) => ({ capability, has, evidence }));
    journal.emit('kernel.probed', { kernel: this.name, findings: found, promised: [...must] });
  }

  private jobs(scenarios: number, kernel: AcquiredKernel): number {
    const { memory } = machineFor(kernel.arch, kernel.machine);
    const { jobs, why } = chooseJobs(this.options.jobs, scenarios, memory, hostRoom());
    if (this.options.jobs !== 1) this.progress(`${jobs === 1 ? '1 guest' : `${jobs} guests side by side`}: ${why}`);
    return jobs;
  }

  private async startBench(kernel: AcquiredKernel, guest: number, signal: AbortSignal, threads?: Threads): Promise<Bench> {
    const { accel, fresh, rdinit, bootDeadline, gdb, pause } = this.options;
    const bench = await Bench.start({
      kernel,
      accel,
      ...(threads === undefined ? {} : { threads }),
      signal,
      progress: guest === 1 ? this.progress : (text) => this.tell(`${this.name}, guest ${guest}`, text),
      fresh,
      ...(rdinit === undefined ? {} : { rdinit }),
      ...(bootDeadline === undefined ? {} : { bootDeadline }),
      ...(gdb === undefined ? {} : { gdb: gdb() }),
      holdDead: pause !== undefined,
    });
    if (gdb !== undefined) for (const line of await gdbLines(kernel, bench.machine)) this.progress(`debugger of guest ${guest}: ${line}`);
    return bench;
  }

  /** Stops where a scenario failed, unless that was expected; the next one gets a new guest. */
  private async pauseAt(s: Scenario, kernel: AcquiredKernel, seat: Seat<Bench>): Promise<void> {
    const { pause, signal } = this.options;
    const result = this.results.of(s);
    const bad = result?.verdict === 'fail' || result?.verdict === 'error';
    const bench = seat.last;
    if (!pause || !bench || !bad || result.expected) return;
    try {
      await pause.at(s.id, kernel, bench, signal);
    } finally {
      await bench[Symbol.asyncDispose]();
    }
  }

  private readonly progress = (text: string): void => this.tell(this.name, text);

  private tell(topic: string, text: string): void {
    this.options.journal.emit('progress', { topic, text });
  }

  // ---- one scenario --------------------------------------------------------------------------------------------

  private async one(
    s: Scenario,
    kernel: AcquiredKernel,
    seat: Seat<Bench>,
    facts: KernelFacts,
    modules: ReadonlyMap<string, BuiltModule>,
  ): Promise<void> {
    const { journal, retries, signal } = this.options;
    const { asked, notAsked } = clausesOn(s, facts.facts.capabilities);
    const begin = performance.now();
    const files = moduleFiles(s, modules);
    let attempts: number;
    let attempt: Attempt;
    let next: ReturnType<typeof nextAttempt> = 'same';
    do {
      // Before the attempt begins: without a guest there is none, and another worker's may take it over.
      const bench = files instanceof Error ? files : await this.benchFor(next, kernel, seat);
      attempts = (this.#attempts.get(s.id) ?? 0) + 1;
      this.#attempts.set(s.id, attempts);
      const head = { kernel: this.name, scenario: s.id, title: s.title, clauses: [...asked], attempt: attempts };
      journal.emit('scenario.started', { ...head, ...guestOf(bench, seat) });
      if (files instanceof Error || bench instanceof Error) {
        attempt = broken(failureFrom(bench));
        next = 'none';
      } else {
        attempt = await this.attempt(s, asked, bench, facts, files);
        next = nextAttempt(attempt, attempts, retries);
      }
      signal.throwIfAborted();
    } while (next !== 'none');
    const flaky = attempts > 1 && (attempt.verdict === 'pass' || attempt.verdict === 'deviates');
    const clauses = [
      ...clauseVerdicts(asked, attempt.clauses, attempt.verdict),
      ...[...notAsked].map(([clause, needs]) => ({ clause, verdict: 'n/a' as const, note: lacks([needs]) })),
    ];
    this.results.finish(s, { ...attempt, clauses }, performance.now() - begin, attempts, flaky);
  }

  /** What the next attempt is made on; without a guest in one thread it can't be made. */
  private async benchFor(next: 'same' | 'in one thread', kernel: AcquiredKernel, seat: Seat<Bench>): Promise<Bench | Error> {
    if (next === 'same') return seat.bench();
    try {
      return await seat.replace((guest, until) => this.startBench(kernel, guest, until, 'single'));
    } catch (error) {
      this.options.signal.throwIfAborted();
      return error as Error;
    }
  }

  private async attempt(
    s: Scenario,
    asked: readonly string[],
    bench: Bench,
    { facts }: KernelFacts,
    files: readonly FileToPush[],
  ): Promise<Attempt> {
    const emit: Emit = (type, payload) => {
      this.options.journal.emit(type, { kernel: this.name, scenario: s.id, ...payload } as never);
    };
    const model = new ReferenceModel(facts, this.options.profile);
    const session = new Session(bench.guest, model, s.modules, bench.machine.slowdown, emit, () => hostWait(bench.machine.pid));
    // What the last scenario's guest said late is none of this one's.
    const reports = bench.mark();
    let problem: Attempt | undefined;
    let began = false;
    let logStart = 0n;
    const begin = performance.now();
    try {
      session.doing = 'restoring the pristine guest';
      await bench.reset();
      logStart = await bench.guest.logEnd();
      session.doing = 'pushing modules';
      if (files.length > 0) await bench.guest.push(moduleDirectory, files);
      await session.prepare();
      const patience = (s.seconds ?? 120) * 1000 * bench.machine.slowdown;
      began = true;
      try {
        await within(Promise.race([s.run(session.context), guestHeld(bench)]), patience, `scenario ${s.id} to end`);
      } finally {
        session.end();
      }
    } catch (error) {
      this.options.signal.throwIfAborted();
      const undeclared = (): readonly ConsoleReport[] => bench.reportsSince(reports).filter((r) => !isDeclared(s, r));
      problem = began
        ? await explain(error, session, bench, undeclared)
        : await this.unprepared(error, session.doing, bench);
    }
    const log = await kernelLog(bench, logStart, begin);
    const splats = this.splats(s, session, bench.reportsSince(reports));
    const attempt = emulatorFault(bench, splats) ?? problem ?? judge(session, asked, splats, bench.machine.commandLine);
    const raced = attempt.failure?.kind === 'assertion' && callsOfStaleCode(bench, session);
    return { ...attempt, ...(raced && { raced }), clauses: session.judgements, ...(attempt.verdict === 'pass' ? {} : { log }) };
  }

  /**
   * The guest could not be made ready: nothing was done to it yet, so that silence is the host's. The next attempt boots
   * another.
   */
  private async unprepared(error: unknown, during: string, bench: Bench): Promise<Attempt> {
    const failure = await failureOf(error, bench);
    await bench[Symbol.asyncDispose]();
    return broken({ ...failure, kind: failure.kind === 'connection lost' ? 'infrastructure' : failure.kind, during });
  }

  /** @returns those that the scenario does not declare */
  private splats(s: Scenario, session: Session, reports: readonly ConsoleReport[]): readonly ConsoleReport[] {
    for (const report of reports) {
      const during = session.activity.at(report.at)?.what;
      this.options.journal.emit('splat', {
        kernel: this.name,
        scenario: s.id,
        kind: report.kind,
        lines: report.lines.map((l) => l.text),
        declared: isDeclared(s, report),
        ...(during === undefined ? {} : { during }),
      });
    }
    return reports.filter((r) => !isDeclared(s, r));
  }
}

/** Of a `scenario.started`: the guest it runs on. */
function guestOf(bench: Bench | Error, { number }: Seat<Bench>): Pick<Payload<'scenario.started'>, 'guest' | 'threads'> {
  if (bench instanceof Error) return {};
  return { guest: number, ...(bench.threads === 'single' ? { threads: 'single' } : {}) };
}

function isDeclared(s: Scenario, report: ConsoleReport): boolean {
  return (s.splats ?? []).some((pattern) => pattern.test(report.title));
}

/** Rejected when the guest has ended and QEMU holds it: no connection breaks then. Else never settled. */
async function guestHeld(bench: Bench): Promise<never> {
  await bench.machine.held;
  throw new ConnectionLostError('the guest has ended');
}
