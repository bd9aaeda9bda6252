// SPDX-License-Identifier: MIT

/** `REG-1`, `EF-07`: see {@link isClauseId} for the grammar. Identifiers are never reused. */
export type ClauseId = string;

/** One page of the specification; later generations add theirs (replace, callbacks, shadow, …). */
export type SectionId =
  | 'registration'
  | 'life-cycle'
  | 'sysfs'
  | 'transition'
  | 'stack-check'
  | 'immediate'
  | 'modules'
  | 'ftrace'
  | 'elf'
  | 'replace'
  | 'force'
  | 'callbacks'
  | 'shadow'
  | 'states'
  | 'signals';

export interface Section {
  readonly id: SectionId;
  readonly title: string;
  /** What the clauses have in common; text as in {@link Clause}. */
  readonly introduction: string;
}

/**
 * The documents of the 4.14 generation, up to 5.0, and those of 5.1 and later: in `Documentation/livepatch/` of the
 * kernel's source, but `sysfs-kernel-livepatch` in `Documentation/ABI/testing/`.
 */
export type DocumentName =
  | 'livepatch.txt'
  | 'module-elf-format.txt'
  | 'livepatch.rst'
  | 'cumulative-patches.rst'
  | 'callbacks.rst'
  | 'system-state.rst'
  | 'shadow-vars.rst'
  | 'module-elf-format.rst'
  | 'reliable-stacktrace.rst'
  | 'sysfs-kernel-livepatch';

export interface DocumentReference {
  readonly document: DocumentName;
  /** Line or range of lines, in Linux 4.14 or in Linux 7.3: `164` or `447-459`. */
  readonly lines: string;
  /** What the passage states, in our own words. */
  readonly statement: string;
}

/**
 * Where mainline differs from the documents (`contradicts`: a documented deviation, the documents forbid it),
 * or does something of consequence that they are silent about (`undocumented`).
 */
export interface Deviation {
  readonly kind: 'contradicts' | 'undocumented';
  readonly note: string;
}

/** What the documents of one generation say of a clause, and where mainline differs from them. */
export interface Texts {
  /** Empty when the documents are silent. */
  readonly documents: readonly DocumentReference[];
  readonly deviation?: Deviation;
}

/**
 * One testable statement, with the texts of the 4.14 generation. Texts are prose in English; what stands between backticks
 * is code.
 */
export interface Clause extends Texts {
  readonly id: ClauseId;
  readonly section: SectionId;
  /**
   * What is tested, in one or two sentences: what the documents state where they speak of it, even if
   * mainline contradicts them, and what mainline does where they are silent.
   */
  readonly statement: string;
  /** `kernel/livepatch/core.c:819-820 (4.14.177)`: path, lines, and the version they were read in. */
  readonly code: readonly string[];
  /** What mainline does, with errno and log text, by generation where it differs. */
  readonly mainline: string;
  /** The texts of 5.1 and later; absent where the question does not arise there: of registration, of `immediate`. */
  readonly later?: Texts;
  /** What may be seen in the middle of an operation, and limits of the observation. */
  readonly notes?: readonly string[];
  /** False where a part of {@link mainline} rests on memory: neither read in a source nor seen. */
  readonly confirmed: boolean;
}
