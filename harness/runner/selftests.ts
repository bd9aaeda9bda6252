// SPDX-License-Identifier: MIT
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseConfig } from '../../kernels/kconfig.js';
import { findSelftests, scriptsIn, type Selftests } from '../../kernels/selftests.js';
import type { AcquiredKernel, Progress } from '../../kernels/types.js';
import { machineFor } from '../arch.js';
import { InfrastructureError } from '../errors.js';
import type { Failure } from '../events/schema.js';
import type { FileToPush, LogRecord } from '../guest/guest.js';
import type { ConsoleReport } from '../vm/console.js';
import { failureOf as failureOfReport, worstReport } from '../vm/failure.js';
import { Activity } from './activity.js';
import { type Attempt, broken, emulatorFault } from './attempt.js';
import { Bench } from './bench.js';
import { investigate } from './evidence.js';
import { failureFrom, failureOf } from './failures.js';
import { chooseJobs, hostRoom } from './jobs.js';
import { tellAcquired, tellBooted } from './kernel-events.js';
import type { KernelRunOptions, RunKernel } from './kernel-run.js';
import { type Seat, workOff } from './pool.js';
import { KernelResults } from './results.js';
import type { Scenario } from './scenario.js';
import { prepareCommand, scriptCommand, selftestFiles } from './selftests-files.js';
import { type CaseLog, type CaseResult, caseLogs, caseResults, casesOf, missingOptions, type ScriptEnd } from './selftests-text.js';

/** Seconds a script may take on a guest with an accelerator; more without. */
const scriptSeconds = 120;

/** The suite of one kernel. */
export interface KernelSuite extends Selftests {
  /** Titles of each script's cases, in their order. */
  readonly cases: ReadonlyMap<string, readonly string[]>;
}

/**
 * What a kernel's source has of the suite.
 * @returns why there is nothing, as text, where its tree has none
 * @throws InfrastructureError when the source can't be had
 */
export async function suiteOf(kernel: AcquiredKernel, progress: Progress): Promise<KernelSuite | string> {
  const found = await findSelftests(kernel, progress);
  if (typeof found === 'string') return found;
  const names = await scriptsIn(found.scripts);
  const cases = await Promise.all(names.map(async (name) => casesOf(await readFile(join(found.scripts, name), 'utf8'))));
  const config = await readFile(join(found.scripts, 'config'), 'utf8').catch(() => '');
  const lacking = missingOptions(config, parseConfig(await readFile(kernel.config, 'utf8')));
  if (lacking.length > 0) return `the selftests need ${lacking.join(', ')}, which the kernel has not`;
  return { ...found, cases: new Map(names.map((name, i) => [name, cases[i] ?? []])) };
}

/** A case as reports know it. It is run as a part of its script: what has its results is {@link runSelftests}. */
export function caseScenario(script: string, title: string): Scenario {
  return {
    id: caseId(script, title),
    title: "a case of upstream's own livepatch selftests",
    clauses: [],
    needs: [],
    modules: [],
    run: () => Promise.reject(new Error('a case is run with its script')),
  };
}

function caseId(script: string, title: string): string {
  return `selftests/${script}: ${title}`;
}

/**
 * Runs upstream's selftests on one kernel, each script from a pristine guest and as it is; several guests side by side.
 * @param suites by kernel: its suite, or why it can't be run
 */
export function runSelftests(suites: ReadonlyMap<string, KernelSuite | string>): RunKernel {
  return async (name, acquire, scenarios, options) => {
    const results = new KernelResults(name, scenarios, options);
    try {
      if (options.limit.reached) results.keepAll();
      else {
        const kernel = await acquire();
        tellAcquired(options.journal, name, kernel);
        results.keep(kernel.fingerprint);
        await new SelftestRun(kernel, name, results, options).all(suites.get(name) ?? 'nothing was found for it');
      }
      if (options.limit.reached && !options.signal.aborted) results.notRun();
    } catch (error) {
      if (!options.signal.aborted) results.failAll(error);
    }
    return results.all();
  };
}

/** A script and those of its cases that a result is wanted of. */
interface Script {
  readonly name: string;
  readonly titles: readonly string[];
  readonly wanted: readonly { readonly title: string; readonly scenario: Scenario }[];
}

/** What a script came to. */
interface ScriptRun {
  readonly results: ReadonlyMap<string, CaseResult>;
  readonly logs: ReadonlyMap<string, CaseLog>;
  readonly reports: readonly ConsoleReport[];
}

class SelftestRun {
  constructor(
    private readonly kernel: AcquiredKernel,
    private readonly name: string,
    private readonly results: KernelResults,
    private readonly options: KernelRunOptions,
  ) {}

  async all(suite: KernelSuite | string): Promise<void> {
    const { signal } = this.options;
    const missing = this.results.missing();
    const scripts = typeof suite === 'string' ? [] : scriptsWith(suite, missing);
    const known = new Set(scripts.flatMap((s) => s.wanted.map((w) => w.scenario)));
    const reason = typeof suite === 'string' ? suite : 'the selftests of this kernel have no such case';
    for (const s of missing) if (!known.has(s)) this.finish(s, { verdict: 'n/a', reason, clauses: [] }, 0, 1);
    if (typeof suite === 'string' || scripts.length === 0) return;
    const files = await selftestFiles(this.kernel, suite, this.progress, signal);
    const first = await this.startBench(1, signal);
    tellBooted(this.options.journal, this.name, first, []);
    await workOff<Script, Bench>({
      items: scripts,
      jobs: this.jobs(scripts.length),
      first,
      start: (guest, until) => this.startBench(guest, until),
      work: (script, seat) => this.script(script, suite, files, seat),
      enough: () => this.options.limit.reached,
      onLost: (guest, error) => this.progress(`guest ${guest} could not be started; the others go on: ${failureFrom(error).message}`),
      signal,
    });
  }

  private readonly progress = (text: string): void => {
    this.options.journal.emit('progress', { topic: this.name, text });
  };

  private jobs(scripts: number): number {
    const { memory } = machineFor(this.kernel.arch, this.kernel.machine);
    return chooseJobs(this.options.jobs, scripts, memory, hostRoom()).jobs;
  }

  private startBench(guest: number, signal: AbortSignal): Promise<Bench> {
    const { accel, fresh } = this.options;
    const progress: Progress = guest === 1 ? this.progress : () => undefined;
    return Bench.start({ kernel: this.kernel, accel, signal, progress, fresh });
  }

  private async script(script: Script, suite: KernelSuite, files: readonly FileToPush[], seat: Seat<Bench>): Promise<void> {
    const { signal, retries } = this.options;
    for (let attempt = 1; ; attempt++) {
      const bench = await seat.bench();
      for (const { scenario } of script.wanted) this.started(scenario, attempt, seat.number);
      const begin = performance.now();
      const outcome = await this.attempt(script, suite, files, bench);
      signal.throwIfAborted();
      const lost = 'failure' in outcome;
      if (lost && outcome.failure.kind === 'infrastructure' && attempt <= retries) {
        this.progress(`${script.name} is tried again: ${outcome.failure.message}`);
        continue;
      }
      for (const { title, scenario } of script.wanted) {
        if (lost) this.finish(scenario, broken(outcome.failure), performance.now() - begin, attempt, false);
        else this.finish(scenario, this.judged(scenario, title, outcome), outcome.logs.get(title)?.milliseconds ?? 0, attempt, false);
      }
      return;
    }
  }

  /** @returns what the cases came to, or what became of the guest */
  private async attempt(
    script: Script,
    suite: KernelSuite,
    files: readonly FileToPush[],
    bench: Bench,
  ): Promise<ScriptRun | { readonly failure: Failure }> {
    const { guest, machine } = bench;
    const mark = bench.mark();
    const activity = new Activity();
    let begun = false;
    try {
      activity.step('restoring the pristine guest');
      await bench.reset();
      const from = await guest.logEnd();
      activity.step('pushing the selftests');
      await guest.push('/', files);
      const ready = await guest.run(prepareCommand(suite), { timeout: 60_000 * machine.slowdown });
      if (ready.code !== 0) throw new InfrastructureError('the guest could not be made ready for the selftests', { details: ready.stderr.split('\n') });
      begun = true;
      activity.step(script.name);
      const seconds = scriptSeconds * machine.slowdown;
      const end: ScriptEnd = await guest.run(scriptCommand(script.name, seconds), { timeout: (seconds + 60) * 1000 });
      const { records } = await guest.log(from);
      const reports = bench.reportsSince(mark);
      const fault = emulatorFault(bench, reports);
      if (fault?.failure) return { failure: fault.failure };
      return { results: caseResults(script.titles, end), logs: caseLogs(records), reports };
    } catch (error) {
      this.options.signal.throwIfAborted();
      const fault = emulatorFault(bench, bench.reportsSince(mark));
      if (fault?.failure) return { failure: fault.failure };
      if (begun) return { failure: await investigate(error, activity, bench, () => bench.reportsSince(mark)) };
      const failure = await failureOf(error, bench);
      await bench[Symbol.asyncDispose]();
      return { failure: { ...failure, during: activity.current.what } };
    }
  }

  /** By the script's own words; but a case in which the kernel warned is none that passed. */
  private judged(scenario: Scenario, title: string, { results, logs, reports }: ScriptRun): Attempt {
    const { verdict, reason, details = [] } = results.get(title) ?? { verdict: 'error', reason: 'nothing is known of it' };
    const own = reports.filter((report) => warnedIn(report, title, logs));
    for (const { kind, lines } of own) {
      this.options.journal.emit('splat', { kernel: this.name, scenario: scenario.id, kind, lines: lines.map((l) => l.text), declared: false });
    }
    const worst = worstReport(own);
    const log = logs.get(title)?.records.slice(-80).map(logLine);
    const evidence = log === undefined ? {} : { log };
    if (worst && verdict !== 'fail') {
      const message = `the kernel warned: ${own.map((r) => r.title).join('; ')}`;
      return { verdict: 'fail', reason: message, failure: { kind: failureOfReport(worst), message }, clauses: [], ...evidence };
    }
    if (verdict === 'pass') return { verdict, clauses: [] };
    const said = reason ?? verdict;
    if (verdict === 'n/a') return { verdict, reason: said, clauses: [] };
    return { verdict, reason: said, failure: { kind: 'assertion', message: said, details: [...details] }, clauses: [], ...evidence };
  }

  private started(s: Scenario, attempt: number, guest?: number): void {
    const head = { kernel: this.name, scenario: s.id, title: s.title, clauses: [], attempt };
    this.options.journal.emit('scenario.started', { ...head, ...(guest === undefined ? {} : { guest }) });
  }

  private finish(s: Scenario, attempt: Attempt, durationMs: number, attempts: number, begun = true): void {
    if (begun) this.started(s, attempts);
    this.results.finish(s, attempt, durationMs, attempts, attempts > 1 && attempt.verdict === 'pass');
  }
}

/** The scripts that have wanted cases, those with the most cases first: they take longest. */
function scriptsWith(suite: KernelSuite, wanted: readonly Scenario[]): Script[] {
  const byId = new Map(wanted.map((s) => [s.id, s]));
  const scripts = [...suite.cases].map(([name, titles]) => ({
    name,
    titles,
    wanted: titles.flatMap((title) => {
      const scenario = byId.get(caseId(name, title));
      return scenario ? [{ title, scenario }] : [];
    }),
  }));
  return scripts.filter((s) => s.wanted.length > 0).sort((a, b) => b.titles.length - a.titles.length);
}

/** Whether a report came in this case: in its part of the log; where no part has it, in the last case. */
function warnedIn(report: ConsoleReport, title: string, logs: ReadonlyMap<string, CaseLog>): boolean {
  const has = ({ records }: CaseLog): boolean => records.some((r) => r.text.includes(report.title));
  const where = [...logs].find(([, log]) => has(log))?.[0] ?? [...logs.keys()].at(-1);
  return where === title;
}

function logLine(record: LogRecord): string {
  return `[${(Number(record.microseconds) / 1e6).toFixed(6)}] ${record.text}`;
}
