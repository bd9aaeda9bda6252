// SPDX-License-Identifier: MIT
import { type LintGeneration, type Reference, seenText } from '../elf/index.js';
import { textsFor } from '../model/catalogue/index.js';
import type { Judgement } from '../model/reference.js';
import { type Profile, rule } from '../model/verdict.js';
import type { TrialSeen } from './fault-look.js';
import type { Trial, TrialClause } from './fault-trials.js';

/** What a trial's clauses are judged by. */
export interface JudgedTrial {
  readonly generation: LintGeneration;
  readonly capabilities: Parameters<typeof textsFor>[1];
  /** What mainline may do, as text. */
  readonly allowed: string;
  readonly seen: TrialSeen;
  /** Whether it did. */
  readonly agrees: boolean;
  readonly profile: Profile;
}

/** One thing that a clause speaks of. */
interface Point {
  readonly what: string;
  readonly allowed: string;
  readonly seen: string;
  readonly does: boolean;
  /** Whether it is what the document wants. */
  readonly wanted: boolean;
}

/** The verdicts of a trial's clauses. The documents forbid only where the catalogue says that they contradict mainline. */
export function judgeTrial(trial: Trial, judged: JudgedTrial): readonly Judgement[] {
  return trial.clauses.map((use) => {
    const { documents, deviation } = textsFor(use.clause, judged.capabilities);
    const point = pointOf(trial, use, judged);
    const stance = deviation?.kind === 'contradicts' ? (point.wanted ? 'allow' : 'forbid') : documents.length === 0 || deviation ? 'silent' : 'allow';
    const { what, allowed, seen, does } = point;
    const reading = does || stance !== 'allow' ? stance : 'forbid';
    const { verdict, note } = rule(reading, does, judged.profile);
    const text = verdict === 'deviates' ? deviation?.note : note;
    return { clause: use.clause, what, seen, mainline: { allowed, does }, documents: { stance: reading }, verdict, ...(text === undefined ? {} : { note: text }) };
  });
}

function pointOf(trial: Trial, { by, documents }: TrialClause, { generation, allowed, seen, agrees }: JudgedTrial): Point {
  if (by === 'loading') return loading(generation, seen.loading);
  if (by === 'symbols') {
    const { symbols, resolved } = seen;
    // The file has 0 for the value of each.
    return {
      what: 'livepatch symbols of the module in kallsyms',
      allowed: 'all three, with the addresses they were resolved to',
      seen: symbols.join(', ') || 'none',
      does: symbols.length === 3 && resolved === 3,
      wanted: resolved === 0,
    };
  }
  const refused = seen.behaviour === 'refused';
  return { what: trial.title, allowed, seen: seenText(seen), does: agrees, wanted: documents === undefined || (documents === 'refused') === refused };
}

/** From 5.8 on the loader applies what is for vmlinux; livepatch the rest, later. */
function loading(generation: LintGeneration, references: readonly Reference[] = []): Point {
  const ofVmlinux = references.filter(({ name }) => name.includes('vmlinux'));
  const bound = references.filter(({ holds }) => holds === 'right');
  const early = generation !== '4.14';
  const does = references.length > 0 && references.every((r) => r.holds === (early && ofVmlinux.includes(r) ? 'right' : 'nothing'));
  return {
    what: 'references that the loader has bound when the module begins to run',
    allowed: early ? 'those to vmlinux' : 'none',
    seen: references.length === 0 ? 'it did not begin' : bound.map(({ name }) => name).join(', ') || 'none',
    does,
    wanted: references.length > 0 && bound.length === 0,
  };
}
