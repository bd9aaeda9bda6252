// SPDX-License-Identifier: MIT
import type { FaultId } from './index.js';

/**
 * Faults of which the lint does not say what a kernel makes of the module that scenarios break, and why that is right.
 * Everywhere else a lint error means that the kernel refuses the module, misbehaves or silently leaves something out, and
 * the other way round (docs/faults.md).
 */
export const explained: Readonly<Partial<Record<FaultId, string>>> = {
  'EF-03':
    'A false alarm before 6.4: the second .modinfo is a copy of the first, so that nothing is lost with it. A tool that writes a second one puts something into it, and that is silently left out.',
  'EF-05-module':
    'A false alarm where it works: the section is read after it was freed. What is freed may stay reachable, and unchanged, for a while; nothing promises it.',
  'EF-21': 'A false alarm: the position was chosen so that it wraps around to the right one. Any other does not.',
  'EF-27-unloaded': 'A miss, with a warning: whether the module is loaded before the patch, a look at the file does not tell.',
  'EF-44': 'A false alarm before 6.4: the second symbol table is a copy of the first, which is the one that is used. Symbols that only the second has are silently left out.',
  'EF-51':
    'A false alarm where it works: memory that was freed is written to. Whoever gets it next is damaged, of which nothing is seen in a guest that ends at once.',
  'EF-50': 'A false alarm: the section is empty. Alternatives in it are silently not applied.',
};
