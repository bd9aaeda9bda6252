// SPDX-License-Identifier: MIT

/** Kernels between which what becomes of a malformed module differs: each stands for those up to the next. */
export const lintGenerations = ['4.14', '5.10', '6.1', '6.12', '7.3'] as const;
export type LintGeneration = (typeof lintGenerations)[number];

export const lintMachines = ['x86_64', 'arm64'] as const;
export type LintMachine = (typeof lintMachines)[number];

/**
 * What becomes of a module:
 * sound: nothing is wrong with it there; loads: it works, whatever the document says; depends: on what else is loaded;
 * refused: the load fails with an errno; ignored: it loads, and a part of it is passed over without a word;
 * wrong: it loads, and something is bound or computed wrongly; crashes: memory is read or written that is none of its.
 */
export type Ending = 'sound' | 'loads' | 'depends' | 'refused' | 'ignored' | 'wrong' | 'crashes';

/** What a kernel does with a module. */
export interface Outcome {
  readonly ending: Ending;
  /** Of the load that is refused. */
  readonly errno?: 'EEXIST' | 'EINVAL' | 'ENOENT' | 'ENOEXEC';
  /** A line of its log, with `*` for what differs; undefined: it says nothing. */
  readonly log?: string;
  /** What exactly is ignored, wrong or read. */
  readonly note?: string;
}

/** Outcomes by the first kernel that does so; up to 5.10 it is as on 4.14, where nothing else is said. */
export type Outcomes = Readonly<{ '4.14': Outcome } & Partial<Record<LintGeneration, Outcome>>>;

export const sound: Outcome = { ending: 'sound' };
export const loads = (note?: string): Outcome => ({ ending: 'loads', ...(note === undefined ? {} : { note }) });
export const depends = (note: string): Outcome => ({ ending: 'depends', note });
export const ignored = (note: string): Outcome => ({ ending: 'ignored', note });
export const wrong = (note: string): Outcome => ({ ending: 'wrong', note });
export const crashes = (note: string): Outcome => ({ ending: 'crashes', note });
export const refused = (errno: NonNullable<Outcome['errno']>, log?: string): Outcome => ({
  ending: 'refused',
  errno,
  ...(log === undefined ? {} : { log }),
});
/** The same on all kernels. */
export const always = (outcome: Outcome): Outcomes => ({ '4.14': outcome });

/** What a kernel of that generation does. */
export function outcomeOn(outcomes: Outcomes, generation: LintGeneration): Outcome {
  let found = outcomes['4.14'];
  for (const g of lintGenerations) {
    found = outcomes[g] ?? found;
    if (g === generation) break;
  }
  return found;
}

/**
 * The generation of a kernel by its release, `6.1.0-56-amd64`: where livepatch and the loader changed what they take (5.8,
 * 6.1, 6.4, 6.17). undefined for what is no release, and before 4.12.
 */
export function lintGenerationOf(release: string): LintGeneration | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  if (major === undefined || minor === undefined) return undefined;
  const number = Number(major) * 1000 + Number(minor);
  if (number < 4012) return undefined;
  if (number < 5008) return '4.14';
  if (number < 6001) return '5.10';
  if (number < 6004) return '6.1';
  return number < 6017 ? '6.12' : '7.3';
}

/** A line of the log as a regular expression. */
export function logPattern(log: string): RegExp {
  return new RegExp(log.split('*').map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&')).join('.*'));
}

/** An outcome in words: `refused: EINVAL, "symbol * has an incorrectly formatted name"`. */
export function outcomeText({ ending, errno, log, note }: Outcome): string {
  const more = [errno, log === undefined ? undefined : `"${log}"`, note].filter((part) => part !== undefined);
  return more.length === 0 ? ending : `${ending}: ${more.join(', ')}`;
}
