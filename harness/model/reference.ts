// SPDX-License-Identifier: MIT
import { textsFor } from './catalogue/index.js';
import { type LogLine, type Operation, type Outcome, step } from './operations/index.js';
import { type Observation, type Prediction, learn, predict } from './observations/index.js';
import { closure } from './progress.js';
import { describeState } from './describe-state.js';
import { type Facts, type State, pristine } from './state.js';
import { type Profile, type Stance, type Verdict, rule } from './verdict.js';

/**
 * Which oracle's prediction was met. `mainline`: both, or mainline's where the documents are silent; `mainline alone`:
 * the documents forbid it; `documents`: theirs, which mainline does not follow.
 */
type Fit = 'mainline' | 'mainline alone' | 'documents' | 'neither';

/** One clause, judged on one thing seen. */
export interface Judgement {
  readonly clause: string;
  readonly what: string;
  readonly seen: string;
  readonly mainline: { readonly allowed: string; readonly does: boolean };
  readonly documents: { readonly stance: Stance; readonly reference?: string };
  readonly verdict: Verdict;
  readonly note?: string;
}

/** Each patch whose end nobody has looked at doubles them. */
const mostStates = 200;

/** What came of an operation on the kernel. */
export interface SeenOutcome {
  readonly errno: string;
  /** Kernel log lines of its span. */
  readonly log: readonly string[];
}

/** A step that only sets the scene failed: the scenario's situation can't be reached, so nothing can be judged. */
export class SituationError extends Error {}

/**
 * The kernel left every state the model knows: what follows can't be predicted. `judgements` say so, clause by clause; the
 * text names the states, the operation, what was allowed and what was seen.
 */
export class ModelViolation extends Error {
  readonly judgements: readonly Judgement[];
  constructor(message: string, judgements: readonly Judgement[]) {
    super(message);
    this.judgements = judgements;
  }
}

/**
 * The reference model beside a running kernel: the set of states the kernel may be in, moved by operations and narrowed
 * by observations. An empty set is a violation.
 */
export class ReferenceModel {
  readonly #facts: Facts;
  readonly #profile: Profile;
  #states: readonly State[] = [pristine];

  constructor(facts: Facts, profile: Profile = 'mainline') {
    this.#facts = facts;
    this.#profile = profile;
  }

  get facts(): Facts {
    return this.#facts;
  }

  /**
   * States the kernel may be in now, what it may have done by itself since the last look included.
   * @throws SituationError when they are too many to go through
   */
  get states(): readonly State[] {
    const all = unique(this.#states.flatMap((s) => closure(s, this.#facts)));
    if (all.length > mostStates) {
      throw new SituationError(`the kernel may be in ${all.length} states: nobody has looked at what it does by itself (observe.departure() after a disable, …)`);
    }
    return all;
  }

  /** Ways an operation may end now. */
  allowed(op: Operation): readonly Outcome[] {
    return this.states.flatMap((s) => step(s, op, this.#facts)).flatMap((o) => this.#ofGeneration(o));
  }

  /** A rule says what some generation's documents demand; those of this one may agree with mainline, or be silent. */
  #ofGeneration(outcome: Outcome): readonly Outcome[] {
    if (outcome.clause === null || this.#contradicts(outcome.clause)) return [outcome];
    return outcome.oracle === 'documents' ? [] : [{ ...outcome, forbidden: false }];
  }

  #contradicts(clause: string): boolean {
    return textsFor(clause, this.#facts.capabilities).deviation?.kind === 'contradicts';
  }

  /**
   * Moves the model by an operation the kernel has carried out.
   * @throws SituationError when a step that only sets the scene did not succeed
   * @throws ModelViolation when no state allows what was seen
   */
  operate(op: Operation, what: string, seen: SeenOutcome): readonly Judgement[] {
    const outcomes = this.allowed(op);
    const fitting = outcomes.filter((o) => o.errno === seen.errno);
    const allowed = uniqueText(outcomes.map((o) => `${o.errno} (${o.because})`));
    const [best] = [...fitting].sort((a, b) => wrongLines(a, seen).length - wrongLines(b, seen).length);
    if (!best) {
      const deciding = outcomes.find((o) => o.clause !== null);
      const text = `${what}: ${seen.errno}; allowed: ${allowed}; state: ${this.#describe()}`;
      if (!deciding?.clause) throw new SituationError(text);
      throw new ModelViolation(text, [this.#judge(deciding.clause, what, seen.errno, allowed, 'neither')]);
    }
    // Where the errno alone does not tell two ways apart, the log does.
    const wrong = wrongLines(best, seen).length;
    this.#states = unique(fitting.filter((o) => wrongLines(o, seen).length === wrong).map((o) => o.next));
    const fit = best.forbidden ? 'mainline alone' : best.oracle;
    const judgements = best.clause === null ? [] : [this.#judge(best.clause, what, seen.errno, allowed, fit)];
    return [...judgements, ...this.#judgeLog(best, what, seen)];
  }

  /** The log lines of an outcome, clause by clause. */
  #judgeLog(outcome: Outcome, what: string, seen: SeenOutcome): readonly Judgement[] {
    const wrong = wrongLines(outcome, seen);
    const clauses = new Set([...outcome.log, ...outcome.unlogged].map((line) => line.clause));
    const said = seen.log.filter((line) => relevant.test(line)).join(' ⏎ ') || 'nothing of livepatch';
    return [...clauses].map((clause) => {
      const of = (lines: readonly LogLine[]): string => lines.filter((l) => l.clause === clause).map((l) => l.pattern.source).join(' ⏎ ');
      const unwanted = of(outcome.unlogged);
      const allowed = [of(outcome.log), unwanted && `not: ${unwanted}`].filter((text) => text !== '').join(' ⏎ ');
      const fits = wrong.every((line) => line.clause !== clause);
      return this.#judge(clause, `${what}: kernel log`, said, allowed, fits ? 'mainline' : 'neither', 'log');
    });
  }

  #predictionOf({ documented, ...prediction }: Prediction): Prediction {
    return documented && this.#contradicts(prediction.clause) ? { ...prediction, documented } : prediction;
  }

  /** Judges an observation and keeps the states that explain it; when none does, all are kept. */
  observe(seen: Observation): readonly Judgement[] {
    const candidates = this.states.map((state) => ({ state, predictions: predict(state, seen, this.#facts).map((p) => this.#predictionOf(p)) }));
    const explaining = candidates.filter((c) => c.predictions.every(isMet));
    if (explaining.length > 0) this.#states = unique(explaining.map((c) => learn(c.state, seen)));
    const wrong = (c: { readonly predictions: readonly Prediction[] }): number => c.predictions.filter((p) => !isMet(p)).length;
    const [best] = explaining.length > 0 ? explaining : [...candidates].sort((a, b) => wrong(a) - wrong(b));
    return (best?.predictions ?? []).map((p) => {
      const alternatives = candidates.flatMap((c) => c.predictions.filter((q) => q.what === p.what).map((q) => q.allowed));
      const allowed = isMet(p) ? p.allowed : uniqueText(alternatives);
      return this.#judge(p.clause, p.what, p.seen, allowed, fitOf(p));
    });
  }

  #describe(): string {
    return this.states.map(describeState).join(' / ');
  }

  /**
   * @param fits which oracle's prediction the kernel met
   * @param aspect log texts are in no document: there the documents are silent, whatever they say of the operation
   */
  #judge(id: string, what: string, seen: string, allowed: string, fits: Fit, aspect?: 'log'): Judgement {
    const { documents, deviation } = textsFor(id, this.#facts.capabilities);
    const [reference] = documents;
    const does = fits === 'mainline' || fits === 'mainline alone';
    const silent = aspect === 'log' || !reference || deviation?.kind === 'undocumented';
    const stance: Stance = silent ? 'silent' : fits === 'mainline' || fits === 'documents' ? 'allow' : 'forbid';
    const ruling = rule(stance, does, this.#profile);
    const note = ruling.verdict === 'deviates' ? (deviation?.note ?? ruling.note) : ruling.note;
    return {
      clause: id,
      what,
      seen,
      mainline: { allowed, does },
      documents: reference ? { stance, reference: `${reference.document}:${reference.lines}` } : { stance },
      verdict: ruling.verdict,
      ...(note === undefined ? {} : { note }),
    };
  }
}

/** Lines that should have come and did not, or the other way round. */
function wrongLines(outcome: Outcome, seen: SeenOutcome): readonly LogLine[] {
  const there = ({ pattern }: LogLine): boolean => seen.log.some((line) => pattern.test(line));
  return [...outcome.log.filter((line) => !there(line)), ...outcome.unlogged.filter(there)];
}

/** Log lines that are worth showing beside what was expected. */
const relevant = /livepatch|WARNING|kobject|sysfs|TAINT_LIVEPATCH/;

function isMet({ holds, documented }: Prediction): boolean {
  return holds || documented?.holds === true;
}

function fitOf({ holds, documented }: Prediction): Fit {
  if (holds) return documented ? 'mainline alone' : 'mainline';
  return documented?.holds === true ? 'documents' : 'neither';
}

function unique(states: readonly State[]): readonly State[] {
  return [...new Map(states.map((s) => [JSON.stringify(s), s])).values()];
}

function uniqueText(texts: readonly string[]): string {
  return [...new Set(texts)].join(' or ') || 'nothing';
}
