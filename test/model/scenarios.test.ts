// SPDX-License-Identifier: MIT
import t from 'tap';
import { clause, clauses } from '../../harness/model/catalogue/index.js';
import { type Generation, factsLike, generationNames } from '../../harness/model/generations.js';
import type { Capability } from '../../harness/model/capabilities.js';
import type { Outcome } from '../../harness/model/operations/index.js';
import type { Facts } from '../../harness/model/state.js';
import { DryKernel } from '../../harness/runner/dry-run-kernel.js';
import { type DryResult, type DryStep, dryRun } from '../../harness/runner/dry-run.js';
import { lacking } from '../../harness/runner/needs.js';
import type { Scenario } from '../../harness/runner/scenario.js';
import { scenarios } from '../../scenarios/index.js';
import { type Deviation, DeviatingKernel, deviationsOf } from './deviations.js';
import { sourceRules } from './rules.js';

/*
 * The model and the scenarios have teeth, shown without any kernel: each scenario is run against the model itself, then
 * against kernels that deviate from it in one step.
 */

t.setTimeout(300_000);

/** Sections all of whose clauses have a scenario. */
const complete = ['registration', 'life-cycle', 'sysfs', 'immediate', 'modules', 'ftrace', 'shadow', 'stack-check'];

/** Deviations that may pass, and why: of `<scenario>: <what is done or seen>: <deviation>`. */
const unnoticed: readonly (readonly [RegExp, string])[] = [
  [/: transition the other way round$/, 'nobody has waited for the end of that transition'],
  [/^reversal-during-transition: .*: a directory$/, 'nobody has waited for the end of the disable yet'],
  [/^unregister-during-own-disable: (patch_state|references) /, 'the end of the transition of an unlisted patch cannot be seen'],
  [/^write-1-to-a-disabled-patch: \/sys\/kernel\/livepatch\/klp_returning: /, 'a directory that is being taken away may lack anything'],
  [/^(signal-moves-interruptible-sleeper|interruptible-sleeper-left-alone|interruptible-kernel-thread-left-alone|exec-kills-who-holds): .*: a sleeper on the other side$/, 'the kernel may have sent it a signal by itself: from 5.1 on, after 15 seconds'],
  [/^kretprobe-on-callee: .*: a sleeper on the other side$/, 'that the kretprobe hides nothing from the stack check is what the documents of 4.14 demand'],
  [/: end of the transition of \S+: no completion in the log$/, 'of a patch that has left already the model does not know which way it went last'],
];

/** Rules that no scenario decides, by {@link SourceRule.name}, and why. */
const undecided: Readonly<Record<string, string>> = {
  'enabled.ts: the patch has no directory any more': 'a session could not write then',
  'enabled.ts: the disabled patch is being removed': 'the kernel of a dry run has come to rest before the next step',
  'force.ts: the patch has no directory any more': 'a session could not write then',
  'force.ts: the disabled patch is being removed': 'the kernel of a dry run has come to rest before the next step',
  'unload.ts: FRC-3: force was used while its patch was there: on 5.10 that pins every patch':
    'a dry run takes the first of two ends alike, the one of later kernels; 5.10 was seen to do the other',
  'unload.ts: no such module': 'it only sets the scene',
};

const kernels: readonly (readonly [Generation, ...`-${Capability}`[]])[] = [
  ...generationNames.map((name) => [name] as const),
  ['4.14', '-reliable-stacks'],
  ['7.3', '-reliable-stacks'],
  ['7.3', '-livepatch'],
];

interface Run {
  readonly name: string;
  readonly s: Scenario;
  readonly facts: Facts;
  readonly steps: readonly DryStep[];
  readonly result: DryResult;
}

async function runAll(): Promise<readonly Run[]> {
  const runs: Run[] = [];
  for (const [generation, ...changes] of kernels) {
    const facts = factsLike(generation, changes);
    for (const s of scenarios.filter((one) => lacking(one, facts.capabilities).length === 0)) {
      const steps: DryStep[] = [];
      const result = await dryRun(s, new DryKernel(facts), { onStep: (step) => steps.push(step) });
      runs.push({ name: `${s.id} on ${[generation, ...changes].join(' ')}`, s, facts, steps, result });
    }
  }
  return runs;
}

/** Every deviation once for each scenario on each of the two interfaces, of those that differ in what they do and in which clauses speak to them. */
function deviationsIn(runs: readonly Run[]): ReadonlyMap<string, { readonly run: Run; readonly step: DryStep; readonly deviation: Deviation }> {
  const distinct = new Map<string, { readonly run: Run; readonly step: DryStep; readonly deviation: Deviation }>();
  for (const run of runs) {
    for (const step of run.steps) {
      const spoken = [...new Set(step.judgements.map((j) => j.clause))].join(' ');
      const kind = step.kind === 'observation' ? step.seen.kind : step.kind;
      for (const deviation of deviationsOf(step)) {
        const dialect = run.facts.capabilities.has('registration') ? 'registration' : 'enable only';
        const key = `${dialect} ${run.s.id} ${kind} ${spoken} ${deviation.name}`;
        if (!distinct.has(key)) distinct.set(key, { run, step, deviation });
      }
    }
  }
  return distinct;
}

interface Bites {
  /** Clauses that have failed some deviating kernel. */
  readonly clauses: ReadonlySet<string>;
  /** Deviations that failed nothing. */
  readonly missed: readonly string[];
  readonly tried: number;
}

async function bite(runs: readonly Run[]): Promise<Bites> {
  const failed = new Set<string>();
  const missed = new Set<string>();
  const all = [...deviationsIn(runs).values()];
  for (const { run, step, deviation } of all) {
    const { verdict, judgements } = await dryRun(run.s, new DeviatingKernel(run.facts, step.number, deviation));
    for (const j of judgements) if (j.verdict === 'fail') failed.add(j.clause);
    if (verdict !== 'fail') missed.add(`${run.s.id}: ${step.what}: ${deviation.name}`);
  }
  return { clauses: failed, missed: [...missed], tried: all.length };
}

const runs = await runAll();
const bites = await bite(runs);

void t.test('every scenario passes or deviates on every kernel it can be asked on, and all that it names is judged', (t) => {
  for (const { name, result } of runs) {
    t.ok(result.verdict === 'pass' || result.verdict === 'deviates', `${name}: ${result.verdict}: ${result.reason ?? ''}`);
    t.ok(result.judgements.every((j) => j.verdict === 'pass' || j.verdict === 'deviates'), name);
  }
  const asked = new Set(runs.map((r) => r.s.id));
  t.strictSame(scenarios.filter((s) => !asked.has(s.id)).map((s) => s.id), [], 'each can be asked somewhere');
  t.end();
});

void t.test('every clause of the sections that are complete is judged, and fails a kernel that deviates', (t) => {
  const judged = new Set(runs.flatMap((r) => r.result.judgements.map((j) => j.clause)));
  const ours = clauses.filter((c) => complete.includes(c.section)).map((c) => c.id);
  t.strictSame(ours.filter((id) => !judged.has(id)), [], 'judged by no scenario');
  t.strictSame(ours.filter((id) => !bites.clauses.has(id)), [], 'judged, but no deviation fails it');
  for (const id of bites.clauses) t.doesNotThrow(() => clause(id));
  t.end();
});

void t.test('one deviation fails the scenario', (t) => {
  t.ok(bites.tried > 1000, `${bites.tried} were tried`);
  t.strictSame(bites.missed.filter((name) => !unnoticed.some(([pattern]) => pattern.test(name))), [], 'unnoticed');
  const idle = unnoticed.filter(([pattern]) => !bites.missed.some((name) => pattern.test(name)));
  t.strictSame(idle.map(([pattern]) => pattern.source), [], 'noticed by now');
  t.end();
});

void t.test('every rule of the operation tables decides something', (t) => {
  const operations = runs.flatMap((r) => r.steps).filter((step) => step.kind === 'operation');
  const taken = operations.flatMap((step) => step.answer.outcome ?? []);
  const documents = operations.flatMap((step) => step.allowed.filter((o) => o.oracle === 'documents'));
  const decided = [...new Map([...taken, ...documents].map((o) => [`${o.clause} ${o.because}`, o])).values()];
  const fits = ({ clause: id, because }: { readonly clause: string | undefined; readonly because: RegExp }, o: Outcome): boolean =>
    because.test(o.because) && (id === undefined || id === o.clause);
  const rules = sourceRules();
  t.ok(rules.length > 50, `${rules.length} rules`);
  const idle = rules.filter((rule) => !decided.some((o) => fits(rule, o))).map((r) => r.name);
  t.strictSame(idle.filter((name) => !(name in undecided)), [], 'decide nothing');
  t.strictSame(Object.keys(undecided).filter((name) => !idle.includes(name)), [], 'decide something by now');
  t.end();
});
