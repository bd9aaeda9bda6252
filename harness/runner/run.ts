// SPDX-License-Identifier: MIT
import { mkdir, rename, symlink, rm } from 'node:fs/promises';
import { cpus, totalmem, release as hostRelease, type } from 'node:os';
import { join } from 'node:path';
import type { AcquiredKernel, Progress } from '../../kernels/types.js';
import { ExitStatus, UsageError, messageOf } from '../errors.js';
import { catalogueVersion, clause as clauseOf } from '../model/catalogue/index.js';
import { type Profile, type Verdict, exitStatus, verdicts, worst } from '../model/verdict.js';
import type { AccelChoice } from '../vm/accel.js';
import { type Expectation, Expectations } from './expectations.js';
import { Journal, type Output } from './journal.js';
import { type KernelRunOptions, type ScenarioResult, runKernel } from './kernel-run.js';
import { type Scenario, clauseIds } from './scenario.js';

/** A kernel that is to be judged. */
export interface KernelChoice {
  readonly name: string;
  readonly acquire: (progress: Progress) => Promise<AcquiredKernel>;
  /** Words of the command line that choose it again. */
  readonly words: string;
}

export interface RunOptions {
  readonly kernels: readonly KernelChoice[];
  readonly scenarios: readonly Scenario[];
  /** Words of the command line that choose one scenario again. */
  readonly scenarioWords: (id: string) => string;
  readonly accel: AccelChoice;
  readonly profile: Profile;
  readonly strict: boolean;
  readonly retries: number;
  readonly expectations: readonly Expectation[];
  /** Folder of all results; the run's own is made inside. */
  readonly output: string;
  /** The reporters and where their text goes, given the run's own folder. */
  readonly outputs: (directory: string) => readonly Output[];
  readonly harness: string;
  readonly command: readonly string[];
  readonly signal: AbortSignal;
  readonly rdinit?: string;
  readonly bootDeadline?: number;
}

export interface RunSummary {
  readonly exit: number;
  readonly directory: string;
  /** What went wrong with reporters. */
  readonly problems: readonly string[];
}

/**
 * A whole run: every scenario on every kernel, one kernel after the other, into a folder of its own below `output`, with
 * `latest` pointing to it. Aborting the signal ends it with status 130 and a journal that is whole; clauses of a kernel
 * that was not done are not judged.
 *
 * @throws UsageError when `output` can't be written to
 */
export async function run(options: RunOptions): Promise<RunSummary> {
  const id = runId(new Date());
  const directory = join(options.output, id);
  await mkdir(directory, { recursive: true }).catch((cause: unknown) => {
    throw new UsageError(`can't put results into ${options.output}: ${messageOf(cause)}`, {
      hint: 'choose another place with --output',
      cause,
    });
  });
  const journal = new Journal(join(directory, 'journal.ndjson'), id, { outputs: options.outputs(directory) });
  const ticking = setInterval(() => journal.tick(), 1000);
  const begin = performance.now();
  const results: ScenarioResult[] = [];
  const judged: Verdict[] = [];
  const today = new Date().toISOString().slice(0, 10);
  const expectations = new Expectations(options.expectations, today);
  try {
    await pointLatest(options.output, id);
    journal.emit('run.started', {
      harness: options.harness,
      catalogue: catalogueVersion,
      command: [...options.command],
      profile: options.profile,
      strict: options.strict,
      host: {
        system: `${type()} ${hostRelease()}`,
        cpus: cpus().length,
        memoryMiB: Math.round(totalmem() / 2 ** 20),
        node: process.version,
      },
      kernels: options.kernels.map((k) => k.name),
      scenarios: options.scenarios.map((s) => ({ id: s.id, title: s.title, clauses: [...clauseIds(s)] })),
    });
    for (const kernel of options.kernels) {
      if (options.signal.aborted) break;
      const kernelOptions: KernelRunOptions = {
        journal,
        accel: options.accel,
        profile: options.profile,
        retries: options.retries,
        expectations,
        signal: options.signal,
        repeat: (scenario) => `npx klp run ${options.scenarioWords(scenario)} ${kernel.words}`,
        ...(options.rdinit === undefined ? {} : { rdinit: options.rdinit }),
        ...(options.bootDeadline === undefined ? {} : { bootDeadline: options.bootDeadline }),
      };
      const acquire = (): Promise<AcquiredKernel> =>
        kernel.acquire((text) => void journal.emit('progress', { topic: kernel.name, text }));
      const own = await runKernel(kernel.name, acquire, options.scenarios, kernelOptions);
      results.push(...own);
      if (own.length === options.scenarios.length) judged.push(...judgeClauses(journal, kernel.name, own));
    }
    const interrupted = options.signal.aborted;
    const exit = interrupted ? ExitStatus.interrupted : exitStatus(results, options.strict);
    journal.emit('run.finished', {
      exit,
      interrupted,
      durationMs: Math.round(performance.now() - begin),
      counts: count(results.map((r) => r.verdict)),
      clauses: count(judged),
      expected: results.filter((r) => r.expected).length,
      staleExpectations: expectations.stale(results).map((s) => s.text),
    });
    return { exit, directory, problems: journal.close() };
  } finally {
    clearInterval(ticking);
    journal.close();
  }
}

/** `20261122-154500-1a2b`: sorts by time, and two runs of one second differ. */
function runId(now: Date): string {
  const stamp = now.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${stamp}-${Math.floor(Math.random() * 0x10000).toString(16).padStart(4, '0')}`;
}

/** A convenience: where links can't be made, or `latest` is something else, the run goes on without. */
async function pointLatest(output: string, id: string): Promise<void> {
  const temporary = join(output, `.latest-${id}`);
  await symlink(id, temporary)
    .then(() => rename(temporary, join(output, 'latest')))
    .catch(() => rm(temporary, { force: true }));
}

interface ClauseResult {
  readonly clause: string;
  readonly verdict: Verdict;
  readonly scenarios: readonly string[];
  /** Of a scenario that gave the verdict. */
  readonly note?: string | undefined;
}

/** Over several scenarios a clause takes the worst. */
function clauseResults(results: readonly ScenarioResult[]): readonly ClauseResult[] {
  const parts = results.flatMap((r) => r.clauses.map((c) => ({ ...c, scenario: r.scenario })));
  return [...new Set(parts.map((p) => p.clause))].map((clause) => {
    const own = parts.filter((p) => p.clause === clause);
    const verdict = worst(own.map((p) => p.verdict));
    const note = own.find((p) => p.verdict === verdict)?.note;
    return { clause, verdict, scenarios: [...new Set(own.map((p) => p.scenario))], note };
  });
}

function judgeClauses(journal: Journal, kernel: string, results: readonly ScenarioResult[]): readonly Verdict[] {
  const judged = clauseResults(results);
  for (const { clause, verdict, scenarios, note: own } of judged) {
    const { statement, deviation } = clauseOf(clause);
    const note = verdict === 'deviates' ? deviation?.note : own;
    journal.emit('clause.judged', { kernel, clause, statement, verdict, scenarios: [...scenarios], ...(note === undefined ? {} : { note }) });
  }
  return judged.map((c) => c.verdict);
}

function count(all: readonly Verdict[]): Record<Verdict, number> {
  return Object.fromEntries(verdicts.map((v) => [v, all.filter((x) => x === v).length])) as Record<Verdict, number>;
}
