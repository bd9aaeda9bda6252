// SPDX-License-Identifier: MIT
import type { LintedModule } from './module.js';
import type { Outcomes } from './outcome.js';

export type RuleCode = `KLP${number}`;

/** What is at fault, and where in the file its bytes are. */
export interface Place {
  readonly section?: string;
  readonly symbol?: string;
  /** In bytes from the beginning of the file. */
  readonly offset?: number;
  /** Name of the field in the ELF gABI. */
  readonly field?: string;
}

/** One thing that is wrong with a module. */
export interface Problem extends Place {
  readonly message: string;
}

/** A rule that a module can break. */
export interface Rule {
  /** Never reused for another rule. */
  readonly code: RuleCode;
  /** What is wrong, in one line. */
  readonly title: string;
  /** What the documents say, and where: a section of module-elf-format.txt, or the ELF gABI. */
  readonly document: string;
  /** What kernels do with such a module. */
  readonly kernels: Outcomes;
  /** What AArch64 kernels do, where it differs. */
  readonly arm64?: Outcomes;
  readonly mend: string;
  /** Whether it takes the tables of a kernel to tell. */
  readonly needsKernel?: true;
  /** Every place where a module breaks the rule. Called for what can be read only. */
  readonly check: (module: LintedModule) => Iterable<Problem>;
}

/** What the documents leave out. */
export const undocumented = 'The documents do not speak of it.';
