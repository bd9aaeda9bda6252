// SPDX-License-Identifier: MIT
import { ignored, refused, wrong, type Outcome, type Outcomes } from '../lint/outcome.js';
import type { RuleCode } from '../lint/rule.js';
import type { ElfObject } from '../object.js';

/** One way to break a sound module. */
export interface Fault {
  /** What is wrong with the result. */
  readonly title: string;
  /** Gives the broken module. @throws LivepatchError (`fault-inapplicable`) if there is nothing to break in this way */
  readonly apply: (module: ElfObject) => ElfObject;
  /** What `klp lint` says to it, each where it holds; the first is the fault itself, and says what kernels do with it. */
  readonly rules: readonly [RuleCode, ...RuleCode[]];
  /** What kernels do with it, where that is not what the rule says. */
  readonly kernels?: Outcomes;
  /** What AArch64 kernels do, where that differs. */
  readonly arm64?: Outcomes;
  /** What kernels may come to as well that are expected to crash: what lies in memory that is none of the module's decides. */
  readonly also?: readonly Outcome[];
  /** What is ignored is nothing that the module needs. */
  readonly harmless?: true;
  /** The patch is loaded before the module that it patches; the other way round when left out. */
  readonly patchFirst?: true;
  /** An entry for an address was made one for the distance from its place. */
  readonly distance?: true;
  /** The load fails before the kernel has looked at the livepatch field: it is not tainted. */
  readonly early?: true;
}

/** What becomes of a relocation that is written to, or read from, what is none of the module's, where that does not crash. */
export const astray: readonly Outcome[] = [
  refused('ENOEXEC', '*nvalid relocation target*'),
  ignored('the section: something else is relocated'),
  wrong('something else is relocated as well'),
];

/** Faults by their identifier, which is never reused: EF-<row of the table of malformed modules>, and which part of the row. */
export type FaultTable = Readonly<Record<`EF-${string}`, Fault>>;
