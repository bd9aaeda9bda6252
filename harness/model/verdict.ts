// SPDX-License-Identifier: MIT

/** What a scenario, or a clause on one kernel, came to. Worst first: see {@link worst}. */
export const verdicts = ['fail', 'error', 'deviates', 'pass', 'n/a'] as const;
export type Verdict = (typeof verdicts)[number];

/** Which oracle has the last word where the documents are silent (docs/verdicts.md). */
export const profiles = ['mainline', 'documents'] as const;
export type Profile = (typeof profiles)[number];

/** What the documents of the kernel's generation say of something that was seen. */
export type Stance = 'allow' | 'forbid' | 'silent';

export interface Ruling {
  readonly verdict: Verdict;
  /** Set where the verdict alone does not tell the whole: mainline does otherwise, or the documents forbid what mainline does. */
  readonly note?: string;
}

/**
 * The verdict table of the design, for one thing seen.
 *
 * @param documents what the documents say of it
 * @param mainline  whether mainline code of that generation does it
 */
export function rule(documents: Stance, mainline: boolean, profile: Profile = 'mainline'): Ruling {
  if (mainline) {
    return documents === 'forbid'
      ? { verdict: 'deviates', note: 'the documents forbid it; mainline does the same' }
      : { verdict: 'pass' };
  }
  if (documents === 'forbid') return { verdict: 'fail' };
  if (documents === 'allow') return { verdict: 'pass', note: 'differs from mainline; the documents allow it' };
  return profile === 'mainline'
    ? { verdict: 'fail', note: 'differs from mainline; the documents are silent' }
    : { verdict: 'pass', note: 'differs from mainline; the documents are silent' };
}

/** Over several: fail, error, deviates, pass; `n/a` only if all are, or there are none. */
export function worst(all: Iterable<Verdict>): Verdict {
  const seen = new Set(all);
  return verdicts.find((verdict) => seen.has(verdict)) ?? 'n/a';
}

/** One result as the exit status sees it. */
export interface Counted {
  readonly verdict: Verdict;
  /** An unexpired entry of the expectations file names exactly this verdict. */
  readonly expected: boolean;
}

/**
 * Exit status of a run: 1 on any fail, else 3 on any error or when nothing was judged, else 0. What is expected does
 * not count; with `strict` a deviation counts as a failure.
 */
export function exitStatus(results: readonly Counted[], strict = false): 0 | 1 | 3 {
  const unexpected = results.filter((r) => !r.expected).map((r) => r.verdict);
  if (unexpected.includes('fail') || (strict && unexpected.includes('deviates'))) return 1;
  const judged = results.some((r) => r.verdict !== 'n/a' && r.verdict !== 'error');
  return unexpected.includes('error') || !judged ? 3 : 0;
}
