// SPDX-License-Identifier: MIT
import { logPattern, outcomeText, type Ending, type Outcome } from '../lint/outcome.js';
import type { Prediction } from './index.js';

/**
 * What a kernel can be seen to do with a module. `ignored`: it loads, and a reference was not bound to anything; `wrong`: it
 * loads, and a reference is bound to another address than meant.
 */
export const behaviours = ['refused', 'crashes', 'wrong', 'ignored', 'works'] as const;
export type Behaviour = (typeof behaviours)[number];

/** A reference of the module's, as its code or data holds it. */
export interface Reference {
  readonly name: string;
  readonly holds: 'right' | 'nothing' | 'wrong';
  /** Addresses, for a person. */
  readonly text: string;
}

/** What a kernel was seen to do with a broken module. */
export interface FaultSeen {
  readonly behaviour: Behaviour;
  /** Name of the errno of a load that was refused. */
  readonly errno?: string;
  /** Of the kernel; of one that crashed, what its console said. */
  readonly log: readonly string[];
  /** Whether the kernel is tainted as patched (K); undefined where it could not be asked. */
  readonly tainted?: boolean;
  /** `module`, `patch` (its folder in sysfs). */
  readonly remains: readonly string[];
  readonly references: readonly Reference[];
}

/** By the references of a module that has been loaded. */
export function behaviourOf(references: readonly Reference[]): Behaviour {
  const held = references.map(({ holds }) => holds);
  if (held.includes('wrong')) return 'wrong';
  return held.includes('nothing') ? 'ignored' : 'works';
}

const expected: Readonly<Record<Ending, Behaviour>> = {
  sound: 'works',
  loads: 'works',
  depends: 'works',
  refused: 'refused',
  ignored: 'ignored',
  wrong: 'wrong',
  crashes: 'crashes',
};

/** What an outcome looks like; something that is ignored and that nobody needs looks like nothing. */
export function expectedBehaviour({ ending }: Outcome, harmless = false): Behaviour {
  return harmless && ending === 'ignored' ? 'works' : expected[ending];
}

/**
 * Where a prediction and what was seen do not agree, as text; nothing where they do.
 * @param harmless see {@link expectedBehaviour}
 */
export function disagreements(prediction: Prediction, seen: FaultSeen, harmless = false): readonly string[] {
  const { outcome, also, tainted, remains } = prediction;
  const fitting = [outcome, ...also].find((o) => fits(o, seen, harmless));
  const wrong: string[] = [];
  if (!fitting) wrong.push(`allowed: ${[outcome, ...also].map(outcomeText).join(' or ')}; seen: ${seenText(seen)}`);
  if (tainted !== undefined && seen.tainted !== undefined && tainted !== seen.tainted) {
    wrong.push(`allowed: the kernel is ${tainted ? '' : 'not '}tainted as patched; seen: it is${seen.tainted ? '' : ' not'}`);
  }
  const left = remains === undefined ? undefined : remains === 'nothing' ? '' : 'module, patch';
  if (left !== undefined && seen.behaviour !== 'crashes' && left !== seen.remains.join(', ')) {
    wrong.push(`allowed: ${remains} remains; seen: ${seen.remains.join(', ') || 'nothing'}`);
  }
  return wrong;
}

function fits(outcome: Outcome, seen: FaultSeen, harmless: boolean): boolean {
  if (expectedBehaviour(outcome, harmless) !== seen.behaviour) return false;
  if (outcome.errno !== undefined && outcome.errno !== seen.errno) return false;
  const { log } = outcome;
  return log === undefined || seen.log.some((line) => logPattern(log).test(line));
}

/** What was seen, in one line: `refused: EINVAL, "…"`. */
export function seenText({ behaviour, errno, log, references }: FaultSeen): string {
  const bad = references.filter(({ holds }) => holds !== 'right').map(({ text }) => text);
  const said = log.filter((line) => !line.startsWith('klp_fault: ')).slice(0, 5);
  const more = [...(errno === undefined ? [] : [errno]), ...bad, ...(behaviour === 'works' ? [] : [`"${said.join(' ⏎ ') || 'no line in the log'}"`])];
  return more.length === 0 ? behaviour : `${behaviour}: ${more.join(', ')}`;
}
