// SPDX-License-Identifier: MIT
import type { AcquiredKernel } from '../../kernels/types.js';
import { InfrastructureError } from '../errors.js';
import type { FileToPush } from '../guest/guest.js';
import { type Capability, capabilityTexts } from '../model/capabilities.js';
import { ReferenceModel } from '../model/reference.js';
import type { Profile } from '../model/verdict.js';
import { type BuiltModule, buildModules, moduleKey } from '../modules/build.js';
import type { AccelChoice } from '../vm/accel.js';
import type { ConsoleReport } from '../vm/console.js';
import { within } from '../vm/within.js';
import { type Attempt, broken, explain, failureFrom, failureOf, judge } from './attempt.js';
import { Bench } from './bench.js';
import { Expectations, type ScenarioOutcome, clauseVerdicts } from './expectations.js';
import type { Journal } from './journal.js';
import { type KernelFacts, type StaticFacts, kernelFacts, staticFacts } from './probe.js';
import { type Scenario, clauseIds, clausesOn } from './scenario.js';
import { type Emit, Session, moduleDirectory } from './session.js';

/** How one kernel's part of a run is to be done. */
export interface KernelRunOptions {
  readonly journal: Journal;
  readonly accel: AccelChoice;
  readonly profile: Profile;
  /** Extra attempts after an infrastructure failure. */
  readonly retries: number;
  readonly expectations: Expectations;
  readonly signal: AbortSignal;
  /** The words that repeat a case, without the scenario: `npx klp run --kernel K …`. */
  readonly repeat: (scenario: string) => string;
  readonly rdinit?: string;
  readonly bootDeadline?: number;
}

/** Result of one scenario on one kernel, for the exit status and the clause verdicts. */
export interface ScenarioResult extends ScenarioOutcome {
  readonly expected: boolean;
}

/**
 * Runs scenarios on one kernel: acquires it, boots it once, and starts each scenario from the pristine guest. What can't
 * be asked of the kernel is n/a with the capability that is missing, known before it boots where configuration or header
 * tell; a kernel that cannot be had or booted turns every scenario into an error.
 *
 * @returns the results in the order of the scenarios; when the signal was aborted, those there were until then
 */
export async function runKernel(
  name: string,
  acquire: () => Promise<AcquiredKernel>,
  scenarios: readonly Scenario[],
  options: KernelRunOptions,
): Promise<readonly ScenarioResult[]> {
  const run = new KernelRun(name, options);
  try {
    return await run.all(acquire, scenarios);
  } catch (error) {
    return options.signal.aborted ? run.results(scenarios) : run.failAll(scenarios, error);
  }
}

class KernelRun {
  readonly #results = new Map<string, ScenarioResult>();
  #bench: Bench | undefined;

  constructor(
    private readonly name: string,
    private readonly options: KernelRunOptions,
  ) {}

  async all(acquire: () => Promise<AcquiredKernel>, scenarios: readonly Scenario[]): Promise<readonly ScenarioResult[]> {
    const { journal } = this.options;
    const kernel = await acquire();
    journal.emit('kernel.acquired', {
      kernel: this.name,
      arch: kernel.arch,
      origin: kernel.origin,
      release: kernel.release,
      version: kernel.version,
      fingerprint: kernel.fingerprint,
      packages: [...kernel.packages],
      toolchain: kernel.toolchain.version,
      config: kernel.config,
    });
    const known = await staticFacts(kernel);
    // What the files show to be missing needs no boot; what only a guest can tell is asked later.
    const askable = scenarios.filter((s) => lacking(s, known.capabilities).every((c) => onlyInGuest.has(c)));
    for (const s of scenarios) if (!askable.includes(s)) this.notApplicable(s, lacking(s, known.capabilities));
    try {
      if (askable.length > 0) await this.boot(kernel, known, askable);
    } finally {
      await this.#bench?.[Symbol.asyncDispose]();
    }
    return this.results(scenarios);
  }

  private async boot(kernel: AcquiredKernel, known: StaticFacts, scenarios: readonly Scenario[]): Promise<void> {
    const { journal, signal } = this.options;
    const bench = await this.liveBench(kernel);
    const facts = await kernelFacts(kernel, known, bench.guest);
    const { capabilities } = facts.facts;
    journal.emit('kernel.booted', {
      kernel: this.name,
      accel: bench.accel,
      qemu: bench.qemu,
      argv: [...bench.machine.argv],
      commandLine: bench.commandLine,
      bootMs: bench.bootMs,
      restored: bench.restored,
      capabilities: [...capabilities].sort(),
    });
    const askable = scenarios.filter((s) => lacking(s, capabilities).length === 0);
    const modules = await buildModules({ kernel, ...facts }, askable.flatMap((s) => s.modules), this.progress, signal);
    for (const s of scenarios) {
      signal.throwIfAborted();
      if (askable.includes(s)) await this.one(s, () => this.liveBench(kernel), facts, modules);
      else this.notApplicable(s, lacking(s, capabilities));
    }
  }

  /** The guest; booted when there is none yet, or none any more. */
  private async liveBench(kernel: AcquiredKernel): Promise<Bench> {
    if (this.#bench?.alive) return this.#bench;
    await this.#bench?.[Symbol.asyncDispose]();
    const { accel, signal, rdinit, bootDeadline } = this.options;
    this.#bench = await Bench.start({
      kernel,
      accel,
      signal,
      progress: this.progress,
      ...(rdinit === undefined ? {} : { rdinit }),
      ...(bootDeadline === undefined ? {} : { bootDeadline }),
    });
    return this.#bench;
  }

  private readonly progress = (text: string): void => {
    this.options.journal.emit('progress', { topic: this.name, text });
  };

  // ---- one scenario --------------------------------------------------------------------------------------------

  private async one(
    s: Scenario,
    liveBench: () => Promise<Bench>,
    facts: KernelFacts,
    modules: ReadonlyMap<string, BuiltModule>,
  ): Promise<void> {
    const { journal, retries, signal } = this.options;
    const { asked, notAsked } = clausesOn(s, facts.facts.capabilities);
    const begin = performance.now();
    const files = moduleFiles(s, modules);
    let attempts = 0;
    let attempt: Attempt;
    let again: boolean;
    do {
      attempts += 1;
      journal.emit('scenario.started', { kernel: this.name, scenario: s.id, title: s.title, clauses: [...asked], attempt: attempts });
      if (files instanceof Error) {
        attempt = broken(failureFrom(files));
        again = false;
      } else {
        attempt = await this.attempt(s, asked, await liveBench(), facts, files);
        again = attempt.failure?.kind === 'infrastructure' && attempts <= retries;
      }
      signal.throwIfAborted();
    } while (again);
    const flaky = attempts > 1 && (attempt.verdict === 'pass' || attempt.verdict === 'deviates');
    const clauses = [
      ...clauseVerdicts(asked, attempt.clauses, attempt.verdict),
      ...[...notAsked].map(([clause, needs]) => ({ clause, verdict: 'n/a' as const, note: lacks([needs]) })),
    ];
    this.finish(s, { ...attempt, clauses }, performance.now() - begin, attempts, flaky);
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
    const session = new Session(bench.guest, model, s.modules, bench.machine.slowdown, emit);
    // What the last scenario's guest said late is none of this one's.
    const reports = bench.mark();
    let problem: Attempt | undefined;
    let began = false;
    let logStart = 0n;
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
        await within(s.run(session.context), patience, `scenario ${s.id} to end`);
      } finally {
        session.end();
      }
    } catch (error) {
      this.options.signal.throwIfAborted();
      problem = began ? await explain(error, session, bench) : await this.unprepared(error, session.doing, bench);
    }
    const log = await bench.guest
      .log(logStart)
      .then(({ records }) => records.slice(-80).map((r) => `[${(Number(r.microseconds) / 1e6).toFixed(6)}] ${r.text}`))
      .catch(() => bench.machine.console.tail(80));
    const splats = this.splats(s, bench.reportsSince(reports));
    const attempt = problem ?? judge(session, asked, splats);
    return { ...attempt, clauses: session.judgements, ...(attempt.verdict === 'pass' ? {} : { log }) };
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

  private splats(s: Scenario, reports: readonly ConsoleReport[]): readonly string[] {
    const undeclared: string[] = [];
    for (const report of reports) {
      const declared = (s.splats ?? []).some((pattern) => pattern.test(report.title));
      const lines = report.lines.map((l) => l.text);
      this.options.journal.emit('splat', { kernel: this.name, scenario: s.id, kind: report.kind, lines, declared });
      if (!declared) undeclared.push(report.title);
    }
    return undeclared;
  }

  // ---- results -------------------------------------------------------------------------------------------------

  private notApplicable(s: Scenario, missing: readonly Capability[]): void {
    const reason = lacks(missing);
    const clauses = clauseIds(s).map((clause) => ({ clause, verdict: 'n/a' as const, note: reason }));
    this.start(s);
    this.finish(s, { verdict: 'n/a', reason, clauses }, 0, 1, false);
  }

  private start(s: Scenario): void {
    const { journal } = this.options;
    journal.emit('scenario.started', { kernel: this.name, scenario: s.id, title: s.title, clauses: [...clauseIds(s)], attempt: 1 });
  }

  /** The kernel cannot be had, booted or kept: what has no result yet is an error. */
  failAll(scenarios: readonly Scenario[], error: unknown): readonly ScenarioResult[] {
    const failure = failureFrom(error);
    this.options.journal.emit('kernel.failed', { kernel: this.name, failure });
    for (const s of scenarios) {
      if (this.#results.has(s.id)) continue;
      const clauses = clauseIds(s).map((clause) => ({ clause, verdict: 'error' as const }));
      this.start(s);
      const reason = `kernel ${this.name} could not be used: ${failure.message}`;
      this.finish(s, { verdict: 'error', reason, failure: { kind: failure.kind, message: failure.message }, clauses }, 0, 1, false);
    }
    return this.results(scenarios);
  }

  private finish(s: Scenario, attempt: Attempt, durationMs: number, attempts: number, flaky: boolean): void {
    const { journal, expectations, repeat } = this.options;
    const outcome: ScenarioOutcome = {
      kernel: this.name,
      scenario: s.id,
      verdict: attempt.verdict,
      clauses: attempt.clauses,
      failure: attempt.failure?.kind,
    };
    const expected = expectations.reason(outcome);
    this.#results.set(s.id, { ...outcome, expected: expected !== undefined });
    journal.emit('scenario.finished', {
      kernel: this.name,
      scenario: s.id,
      verdict: attempt.verdict,
      durationMs: Math.round(durationMs),
      attempts,
      flaky,
      repeat: repeat(s.id),
      ...(attempt.reason === undefined ? {} : { reason: attempt.reason }),
      ...(attempt.failure === undefined ? {} : { failure: attempt.failure }),
      ...(attempt.log === undefined ? {} : { log: [...attempt.log] }),
      ...(expected === undefined ? {} : { expected }),
    });
  }

  results(scenarios: readonly Scenario[]): readonly ScenarioResult[] {
    return scenarios.flatMap((s) => this.#results.get(s.id) ?? []);
  }
}

/** Capabilities that neither configuration nor header show. */
const onlyInGuest: ReadonlySet<Capability> = new Set([
  'sysfs-signal',
  'sysfs-force',
  'sysfs-replace',
  'sysfs-stack-order',
  'sysfs-patched',
]);

function lacks(missing: readonly Capability[]): string {
  return `the kernel lacks: ${missing.map((c) => `${c} (${capabilityTexts[c]})`).join('; ')}`;
}

function lacking(s: Scenario, capabilities: ReadonlySet<Capability>): readonly Capability[] {
  return s.needs.filter((c) => !capabilities.has(c));
}

/** A scenario's modules as files, or why one of them could not be built. */
function moduleFiles(s: Scenario, modules: ReadonlyMap<string, BuiltModule>): readonly FileToPush[] | InfrastructureError {
  const files: FileToPush[] = [];
  for (const m of s.modules) {
    const built = modules.get(moduleKey(m)) ?? { error: new InfrastructureError(`module ${m.name} was not built`) };
    if ('error' in built) return built.error;
    files.push({ name: `${m.name}.ko`, file: built.file });
  }
  return files;
}
