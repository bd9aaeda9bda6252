// SPDX-License-Identifier: MIT
import type { AcquiredKernel, Progress } from '../../kernels/types.js';
import { machineFor } from '../arch.js';
import { type LintFinding, LivepatchError, disagreements, lint, lintGenerationOf, outcomeText, readObject, seenText, writeObject } from '../elf/index.js';
import type { FileToPush } from '../guest/guest.js';
import type { Capability } from '../model/capabilities.js';
import { worst } from '../model/verdict.js';
import { type SigningKey, signingKey } from '../modules/sign.js';
import { kernelWitness, lintWitness } from '../report/confusion.js';
import { Activity } from './activity.js';
import { type Attempt, broken, emulatorFault } from './attempt.js';
import { Bench } from './bench.js';
import { clauseVerdicts } from './expectations.js';
import { failureFrom, failureOf } from './failures.js';
import { type TrialSeen, carryOut, generationMissing } from './fault-look.js';
import { judgeTrial } from './fault-clauses.js';
import { type SoundModules, patchName, patched, signed, soundModules } from './fault-modules.js';
import { type Trial, faultTrials, predictTrial } from './fault-trials.js';
import { chooseJobs, hostRoom } from './jobs.js';
import { tellAcquired, tellBooted } from './kernel-events.js';
import type { KernelRunOptions, RunKernel } from './kernel-run.js';
import { LintTables } from './lint-tables.js';
import { lacks } from './needs.js';
import { type Seat, workOff } from './pool.js';
import { kernelFacts, staticFacts } from './probe.js';
import { KernelResults } from './results.js';
import type { Scenario } from './scenario.js';
import { moduleDirectory } from './session-operations.js';

/**
 * Gives broken modules to one kernel, each in a pristine guest, and compares what becomes of them with what is predicted. A
 * kernel that crashes has answered; the next module gets a guest that is restored, or another.
 */
export const runFaults: RunKernel = async (name, acquire, scenarios, options) => {
  const results = new KernelResults(name, scenarios, options);
  try {
    const kernel = await acquire();
    tellAcquired(options.journal, name, kernel);
    results.keep(kernel.fingerprint);
    await new FaultRun(kernel, name, results, options).all();
  } catch (error) {
    if (!options.signal.aborted) results.failAll(error);
  }
  return results.all();
};

/** What all trials on a kernel have in common. */
interface Common {
  readonly modules: SoundModules;
  readonly tables: LintTables;
  readonly signing: SigningKey | undefined;
  readonly capabilities: ReadonlySet<Capability>;
}

class FaultRun {
  constructor(
    private readonly kernel: AcquiredKernel,
    private readonly name: string,
    private readonly results: KernelResults,
    private readonly options: KernelRunOptions,
  ) {}

  async all(): Promise<void> {
    const { journal, signal } = this.options;
    const known = await staticFacts(this.kernel);
    const missing = this.results.missing();
    if (missing.length === 0) return;
    const first = await this.startBench(1, signal);
    let common: Common;
    try {
      const facts = await kernelFacts(this.kernel, known, first);
      tellBooted(journal, this.name, first, [...facts.facts.capabilities].sort());
      if (!facts.facts.capabilities.has('livepatch')) {
        for (const s of missing) this.finish(s, { verdict: 'n/a', reason: lacks(['livepatch']), clauses: [] }, 0, 1);
        await first[Symbol.asyncDispose]();
        return;
      }
      const signing = await signingKey(this.kernel, facts.findings, undefined, this.progress);
      const { dialect, kallsyms } = facts;
      const modules = await soundModules({ kernel: this.kernel, dialect, kallsyms }, this.progress, signal);
      const tables = await LintTables.open(this.kernel, (use) => use(first.guest));
      tables.add(patched.name, readObject(modules.target));
      common = { modules, tables, signing, capabilities: facts.facts.capabilities };
    } catch (error) {
      await first[Symbol.asyncDispose]();
      throw error;
    }
    await workOff<Scenario, Bench>({
      items: missing,
      jobs: this.jobs(missing.length),
      first,
      start: (guest, until) => this.startBench(guest, until),
      work: (s, seat) => this.one(s, common, seat),
      onLost: (guest, error) => this.progress(`guest ${guest} could not be started; the others go on: ${failureFrom(error).message}`),
      signal,
    });
  }

  private readonly progress = (text: string): void => {
    this.options.journal.emit('progress', { topic: this.name, text });
  };

  private jobs(trials: number): number {
    const { memory } = machineFor(this.kernel.arch, this.kernel.machine);
    return chooseJobs(this.options.jobs, trials, memory, hostRoom()).jobs;
  }

  private startBench(guest: number, signal: AbortSignal): Promise<Bench> {
    const { accel, fresh } = this.options;
    const progress: Progress = guest === 1 ? this.progress : () => undefined;
    return Bench.start({ kernel: this.kernel, accel, signal, progress, fresh });
  }

  private async one(s: Scenario, common: Common, seat: Seat<Bench>): Promise<void> {
    const trial = faultTrials.find(({ id }) => id === s.id);
    if (!trial) throw new RangeError(`there is no trial ${s.id}`);
    const begin = performance.now();
    for (let attempts = 1; ; attempts++) {
      const bench = await seat.bench();
      this.started(s, attempts, seat.number);
      const attempt = await this.attempt(s, trial, common, bench);
      this.options.signal.throwIfAborted();
      if (attempt.failure?.kind === 'infrastructure' && attempts <= this.options.retries) {
        this.progress(`${s.id} is tried again: ${attempt.failure.message}`);
        continue;
      }
      const clauses = clauseVerdicts(s.clauses.map((c) => (typeof c === 'string' ? c : c.clause)), attempt.clauses, attempt.verdict);
      this.finish(s, { ...attempt, clauses }, performance.now() - begin, attempts, false);
      return;
    }
  }

  private async attempt(s: Scenario, trial: Trial, common: Common, bench: Bench): Promise<Attempt> {
    const bytes = brokenBytes(trial, common.modules);
    if (!bytes) return { verdict: 'n/a', reason: `there is no such module for ${this.kernel.arch}`, clauses: [] };
    const activity = new Activity();
    const mark = bench.mark();
    const name = trial.id === 'EF-49' ? 'vmlinux' : patchName;
    try {
      activity.step('restoring the pristine guest');
      await bench.reset();
      activity.step('pushing modules');
      const files: FileToPush[] = [
        { name: `${name}.ko`, content: await signed(bytes, common.signing) },
        { name: `${patched.name}.ko`, content: await signed(common.modules.target, common.signing) },
      ];
      await bench.guest.push(moduleDirectory, files);
      const own = trial.ordinary ? 'klp_fault_plain' : name;
      const seen = await carryOut(bench, trial, { file: name, name: own }, mark, (what) => activity.step(what));
      const reports = bench.reportsSince(mark);
      const fault = emulatorFault(bench, reports);
      if (fault) return fault;
      for (const { kind, lines } of reports) {
        this.options.journal.emit('splat', { kernel: this.name, scenario: s.id, kind, lines: lines.map((l) => l.text), declared: true });
      }
      if (seen.behaviour === 'crashes') await bench[Symbol.asyncDispose]();
      return await this.judged(s, trial, common, bytes, seen);
    } catch (error) {
      this.options.signal.throwIfAborted();
      const failure = await failureOf(error, bench);
      await bench[Symbol.asyncDispose]();
      return broken({ ...failure, during: activity.current.what });
    }
  }

  /** Writes down what was seen, and compares it. */
  private async judged(s: Scenario, trial: Trial, { tables, capabilities }: Common, bytes: Uint8Array, seen: TrialSeen): Promise<Attempt> {
    const { journal, profile } = this.options;
    const head = { kernel: this.name, scenario: s.id };
    const generation = lintGenerationOf(this.kernel.release);
    if (!generation) throw generationMissing(this.kernel.release);
    const machine = this.kernel.arch;
    const { findings } = lint(bytes, { kernel: await tables.with(['vmlinux', patched.name]), generations: [generation] });
    journal.emit('witness', { ...head, situation: lintWitness, proof: findings.map(findingText) });
    const tainted = seen.tainted === undefined ? [] : [`tainted as patched: ${seen.tainted ? 'yes' : 'no'}`];
    const remains = seen.behaviour === 'crashes' ? [] : [`remains: ${seen.remains.join(', ') || 'nothing'}`];
    journal.emit('witness', { ...head, situation: kernelWitness, proof: [seen.behaviour, seenText(seen), ...tainted, ...remains, ...seen.symbols] });
    const prediction = predictTrial(trial, generation, machine);
    const wrong = disagreements(prediction, seen, trial.harmless);
    const allowed = [prediction.outcome, ...prediction.also].map(outcomeText).join(' or ');
    journal.emit('observation', { ...head, what: `${trial.title}: what becomes of it`, seen: seenText(seen) });
    const judgements = judgeTrial(trial, { generation, capabilities, allowed, seen, agrees: wrong.length === 0, profile });
    for (const judgement of judgements) journal.emit('judgement', { ...head, ...judgement });
    const verdict = worst([wrong.length > 0 ? 'fail' : 'pass', ...judgements.map((j) => j.verdict)]);
    if (verdict === 'pass') return { verdict, clauses: judgements };
    const bad = judgements.filter((j) => j.verdict === verdict);
    if (verdict === 'deviates') return { verdict, reason: bad.map((j) => `${j.clause}: ${j.note ?? j.seen}`).join('; '), clauses: judgements };
    const reason = [...wrong, ...bad.map((j) => `${j.clause}: allowed: ${j.mainline.allowed}; seen: ${j.seen}`)].join(' | ');
    return { verdict, reason, failure: { kind: 'assertion', message: reason }, clauses: judgements, log: seen.log };
  }

  private started(s: Scenario, attempt: number, guest?: number): void {
    const clauses = s.clauses.map((c) => (typeof c === 'string' ? c : c.clause));
    const head = { kernel: this.name, scenario: s.id, title: s.title, clauses, attempt };
    this.options.journal.emit('scenario.started', { ...head, ...(guest === undefined ? {} : { guest }) });
  }

  private finish(s: Scenario, attempt: Attempt, durationMs: number, attempts: number, begun = true): void {
    if (begun) this.started(s, attempts);
    this.results.finish(s, attempt, durationMs, attempts, attempts > 1 && attempt.verdict === 'pass');
  }
}

/** undefined where there is no such module for the machine. */
function brokenBytes(trial: Trial, { livepatch, ordinary }: SoundModules): Uint8Array | undefined {
  try {
    return writeObject(trial.apply(trial.ordinary ? ordinary : livepatch));
  } catch (error) {
    if (error instanceof LivepatchError && error.kind === 'fault-inapplicable') return undefined;
    throw error;
  }
}

function findingText({ code, severity, message }: LintFinding): string {
  return `${severity} ${code}: ${message}`;
}
