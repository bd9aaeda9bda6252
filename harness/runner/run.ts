// SPDX-License-Identifier: MIT
import { mkdir, rename, symlink, rm } from 'node:fs/promises';
import { cpus, totalmem, release as hostRelease, type } from 'node:os';
import { join } from 'node:path';
import type { AcquiredKernel, Progress } from '../../kernels/types.js';
import { ExitStatus, InfrastructureError, UsageError, messageOf } from '../errors.js';
import type { Payload } from '../events/schema.js';
import { catalogueVersion } from '../model/catalogue/index.js';
import type { Capability } from '../model/capabilities.js';
import { type Profile, type Verdict, exitStatus, verdicts } from '../model/verdict.js';
import type { KeyFiles } from '../modules/sign.js';
import type { AccelChoice } from '../vm/accel.js';
import { Access } from './access.js';
import { type PlannedShard, shardRecord, writeBlob } from './blob.js';
import { judgeClauses } from './clauses.js';
import { readDurationsOf } from './durations.js';
import { type Expectation, Expectations } from './expectations.js';
import type { Jobs } from './jobs.js';
import { FailureLimit } from './failure-limit.js';
import { Journal, type Output, syncFolder } from './journal.js';
import { type KernelRunOptions, type RunKernel, runKernel } from './kernel-run.js';
import { Pause, type PauseOptions } from './pause.js';
import type { ScenarioResult } from './results.js';
import { portionsOf } from './plan.js';
import type { Portion } from './shard.js';
import { type PastRun, pastKernel } from './resume.js';
import { claim } from './run-claim.js';
import { type Scenario, clauseIds } from './scenario.js';

/** A kernel that is to be judged. */
export interface KernelChoice {
  readonly name: string;
  readonly acquire: (progress: Progress) => Promise<AcquiredKernel>;
  /** Words of the command line that choose it again. */
  readonly words: string;
  /** Capabilities that its catalogue entry promises. */
  readonly must?: readonly Capability[];
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
  /** Guests side by side on one kernel. */
  readonly jobs: Jobs;
  readonly expectations: readonly Expectation[];
  /** Folder of all results; the run's own is made inside. */
  readonly output: string;
  /** The run to go on with, in its own folder and journal; kernels and scenarios are those chosen then. */
  readonly past?: PastRun;
  /** The reporters and where their text goes, given the run's own folder. */
  readonly outputs: (directory: string) => readonly Output[];
  readonly harness: string;
  readonly command: readonly string[];
  readonly signal: AbortSignal;
  /** Boot, whatever saved state there is. */
  readonly fresh?: boolean;
  readonly rdinit?: string;
  readonly bootDeadline?: number;
  /** Stop where a scenario fails. */
  readonly pause?: PauseOptions;
  /** Give each guest a debugger's stub. */
  readonly gdb?: boolean;
  /** What modules are signed with, for kernels that refuse those that are not. */
  readonly signing?: KeyFiles;
  /** How each kernel's part is done, where `scenarios` are the cases of another suite. */
  readonly runKernel?: RunKernel;
  /** Run one shard's part of a plan, and leave a blob of it; `kernels` and `scenarios` are the plan's. */
  readonly shard?: PlannedShard;
  /** Of kernels × scenarios only these; excludes `shard`. */
  readonly executions?: readonly Portion[];
  /** Unexpected failures after which nothing more is begun; without it there is no limit. */
  readonly maxFailures?: number;
}

export interface RunSummary {
  readonly exit: number;
  readonly directory: string;
  /** What went wrong with reporters. */
  readonly problems: readonly string[];
}

/**
 * A whole run: every scenario on every kernel, one kernel after the other, into a folder of its own below `output`, with
 * `latest` pointing to it; or the rest of a run that had not finished. Aborting the signal ends it with status 130 and a
 * journal that is whole; clauses of a kernel that was not done are not judged.
 *
 * @throws UsageError when `output` can't be written to; InfrastructureError when the disk is full: then the guests are gone,
 *   the journal ends with its last whole line, and the run can be gone on with
 */
export async function run(options: RunOptions): Promise<RunSummary> {
  const { past } = options;
  if (past) return inFolder(options, past.directory, past.run);
  const id = runId(new Date());
  const directory = join(options.output, id);
  await mkdir(directory, { recursive: true }).catch((cause: unknown) => {
    const message = `can't put results into ${options.output}: ${messageOf(cause)}`;
    const more = { hint: 'choose another place with --output', cause };
    throw isFull(cause) ? new InfrastructureError(message, more) : new UsageError(message, more);
  });
  syncFolder(options.output);
  const release = await claim(directory);
  try {
    return await inFolder(options, directory, id);
  } finally {
    await release();
  }
}

async function inFolder(options: RunOptions, directory: string, id: string): Promise<RunSummary> {
  const { past } = options;
  const broken = new AbortController();
  const journal = new Journal(join(directory, 'journal.ndjson'), id, {
    outputs: options.outputs(directory),
    // Nothing that goes on from here could be written down: the guests are ended.
    onBroken: (error) => broken.abort(error),
    ...(past && { past: past.journal }),
  });
  const signal = AbortSignal.any([options.signal, broken.signal]);
  const ticking = setInterval(() => journal.tick(), 1000);
  const results: ScenarioResult[] = [];
  const judged: Verdict[] = [];
  await using doors = options.pause || options.gdb === true ? await Access.open() : undefined;
  const portions = portionsToRun(options);
  const today = new Date().toISOString().slice(0, 10);
  const expectations = new Expectations(options.expectations, today);
  const limit = new FailureLimit(options.maxFailures ?? Infinity, options.strict);
  try {
    begin(options, journal);
    if (!past) await pointLatest(options.output, id);
    await tellEstimates(journal, portions);
    for (const { kernel, scenarios } of portions) {
      if (signal.aborted) break;
      const earlier = past && pastKernel(past.journal.events, kernel.name);
      const kernelOptions: KernelRunOptions = {
        journal,
        accel: options.accel,
        profile: options.profile,
        retries: options.retries,
        jobs: options.jobs,
        harness: options.harness,
        expectations,
        limit,
        signal,
        repeat: (scenario) => `npx klp run ${options.scenarioWords(scenario)} ${kernel.words}`,
        ...(earlier === undefined ? {} : { past: earlier }),
        fresh: options.fresh === true,
        must: kernel.must ?? [],
        ...(options.signing === undefined ? {} : { signing: options.signing }),
        ...(options.rdinit === undefined ? {} : { rdinit: options.rdinit }),
        ...(options.bootDeadline === undefined ? {} : { bootDeadline: options.bootDeadline }),
        ...(options.pause && doors ? { pause: new Pause(directory, doors, options.pause) } : {}),
        ...(options.gdb === true && doors ? { gdb: () => doors.socket() } : {}),
      };
      const acquire = (): Promise<AcquiredKernel> =>
        kernel.acquire((text) => void journal.emit('progress', { topic: kernel.name, text }));
      const own = await (options.runKernel ?? runKernel)(kernel.name, acquire, scenarios, kernelOptions);
      results.push(...own);
      if (journal.broken) break;
      // A clause takes the worst over all scenarios of the kernel; where some are another shard's, `klp merge` judges.
      if (own.length === (options.shard ? options.scenarios : scenarios).length) judged.push(...judgeClauses(journal, kernel.name, own, earlier));
    }
    if (journal.broken) throw journal.broken;
    const interrupted = options.signal.aborted;
    const exit = interrupted ? ExitStatus.interrupted : statusOf(results, options);
    journal.emit('run.finished', {
      exit,
      interrupted,
      durationMs: Math.round(journal.elapsed),
      counts: countVerdicts(results.map((r) => r.verdict)),
      clauses: countVerdicts(judged),
      expected: results.filter((r) => r.expected).length,
      // What was not run here, another shard may have, or the run before.
      staleExpectations: options.shard || options.executions ? [] : expectations.stale(results).map((s) => s.text),
    });
    const problems = journal.close();
    if (options.shard) await writeBlob(directory, options.shard, options.expectations);
    return { exit, directory, problems };
  } finally {
    clearInterval(ticking);
    journal.close();
  }
}

/** This host, as a run's first event says it. */
export function thisHost(): Payload<'run.started'>['host'] {
  const memoryMiB = Math.round(totalmem() / 2 ** 20);
  return { system: `${type()} ${hostRelease()}`, cpus: cpus().length, memoryMiB, node: process.version };
}

/** The first event of the run, or of its resumed part. */
function begin(options: RunOptions, journal: Journal): void {
  const same: Payload<'run.resumed'> = {
    harness: options.harness,
    catalogue: catalogueVersion,
    command: [...options.command],
    host: thisHost(),
    jobs: options.jobs,
  };
  if (options.past) journal.emit('run.resumed', same);
  else {
    journal.emit('run.started', {
      ...same,
      profile: options.profile,
      strict: options.strict,
      kernels: options.kernels.map((k) => k.name),
      scenarios: options.scenarios.map((s) => ({ id: s.id, title: s.title, clauses: [...clauseIds(s)] })),
      cwd: process.cwd(),
      ...(options.shard && { shard: shardRecord(options.shard) }),
      ...(options.executions && { executions: options.executions.map(({ kernel, scenarios }) => ({ kernel, scenarios: [...scenarios] })) }),
    });
  }
}

/** So that whoever watches can tell how long it will take. */
async function tellEstimates(journal: Journal, portions: readonly KernelPortion[]): Promise<void> {
  for (const { kernel, scenarios } of portions) {
    const recorded = await readDurationsOf(kernel.name);
    const own = scenarios.flatMap(({ id }) => {
      const milliseconds = recorded.get(id);
      return milliseconds === undefined ? [] : [[id, milliseconds] as const];
    });
    if (own.length > 0) journal.emit('kernel.estimated', { kernel: kernel.name, milliseconds: Object.fromEntries(own) });
  }
}

interface KernelPortion {
  readonly kernel: KernelChoice;
  readonly scenarios: readonly Scenario[];
}

/** What is to be run on which kernel: everything on each, or some of it. */
function portionsToRun({ kernels, scenarios, shard, executions }: RunOptions): readonly KernelPortion[] {
  const some = shard ? portionsOf(shard.plan, shard) : executions;
  if (!some) return kernels.map((kernel) => ({ kernel, scenarios }));
  return some.map((portion) => {
    const kernel = kernels.find((k) => k.name === portion.kernel);
    if (!kernel) throw new UsageError(`a kernel ${portion.kernel} is to be run, which was not chosen`);
    return { kernel, scenarios: scenarios.filter((s) => portion.scenarios.includes(s.id)) };
  });
}

/** Whether anything was judged is asked of the merged result, not of a part, which may be all n/a, or empty. */
function statusOf(results: readonly ScenarioResult[], { strict, shard }: RunOptions): number {
  const judged = { verdict: 'pass', expected: false } as const;
  return exitStatus(shard ? [...results, judged] : results, strict);
}

/** Whether something failed for want of space: that is the host's, and no wrong word. */
function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EIO'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** An identifier for a new run, `20261122-154500-1a2b`: sorts by time, and two runs of one second differ. */
export function runId(now: Date): string {
  const stamp = now.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${stamp}-${Math.floor(Math.random() * 0x10000).toString(16).padStart(4, '0')}`;
}

/** Has `latest` point to a run's folder. A convenience: where links can't be made, or `latest` is something else, the run goes on without. */
export async function pointLatest(output: string, id: string): Promise<void> {
  const temporary = join(output, `.latest-${id}`);
  await symlink(id, temporary)
    .then(() => rename(temporary, join(output, 'latest')))
    .catch(() => rm(temporary, { force: true }));
}

/** How many there are of each verdict. */
export function countVerdicts(all: readonly Verdict[]): Record<Verdict, number> {
  return Object.fromEntries(verdicts.map((v) => [v, all.filter((x) => x === v).length])) as Record<Verdict, number>;
}
