// SPDX-License-Identifier: MIT
import type { DocumentName, DocumentReference } from './types.js';

/** Length in lines, of the first two in Linux 4.14 and of the others in 7.3.4; a reference beyond it is a mistake. */
export const documentLength: Readonly<Record<DocumentName, number>> = {
  'livepatch.txt': 505,
  'module-elf-format.txt': 323,
  'livepatch.rst': 448,
  'cumulative-patches.rst': 102,
  'callbacks.rst': 133,
  'system-state.rst': 167,
  'shadow-vars.rst': 226,
  'module-elf-format.rst': 305,
  'reliable-stacktrace.rst': 309,
  'sysfs-kernel-livepatch': 95,
};

/** A passage of Documentation/livepatch/livepatch.txt, Linux 4.14. */
export function livepatchTxt(lines: string, statement: string): DocumentReference {
  return { document: 'livepatch.txt', lines, statement };
}

/** A passage of Documentation/livepatch/module-elf-format.txt, Linux 4.14. */
export function elfFormat(lines: string, statement: string): DocumentReference {
  return { document: 'module-elf-format.txt', lines, statement };
}

/** A passage of Documentation/livepatch/livepatch.rst, Linux 7.3; in 6.1 the same lines say the same. */
export function livepatchRst(lines: string, statement: string): DocumentReference {
  return { document: 'livepatch.rst', lines, statement };
}

/** A passage of Documentation/livepatch/cumulative-patches.rst, Linux 7.3; in 5.10, 6.1 and 6.12 the same lines say the same. */
export function cumulativePatches(lines: string, statement: string): DocumentReference {
  return { document: 'cumulative-patches.rst', lines, statement };
}

/** A passage of Documentation/livepatch/callbacks.rst, Linux 7.3. */
export function callbacksRst(lines: string, statement: string): DocumentReference {
  return { document: 'callbacks.rst', lines, statement };
}

/** A passage of Documentation/livepatch/system-state.rst, Linux 7.3; in 6.1 the same lines say the same. */
export function systemState(lines: string, statement: string): DocumentReference {
  return { document: 'system-state.rst', lines, statement };
}

/** A passage of Documentation/livepatch/shadow-vars.rst, Linux 7.3; in 5.10, 6.1 and 6.12 the same lines say the same. */
export function shadowVars(lines: string, statement: string): DocumentReference {
  return { document: 'shadow-vars.rst', lines, statement };
}

/** A passage of Documentation/livepatch/module-elf-format.rst, Linux 7.3; 6.1 says the same. */
export function elfFormatRst(lines: string, statement: string): DocumentReference {
  return { document: 'module-elf-format.rst', lines, statement };
}

/** A passage of Documentation/livepatch/reliable-stacktrace.rst, Linux 7.3; 6.1 says the same, 5.10 does not have it. */
export function reliableStacks(lines: string, statement: string): DocumentReference {
  return { document: 'reliable-stacktrace.rst', lines, statement };
}

/** A passage of Documentation/ABI/testing/sysfs-kernel-livepatch, Linux 7.3; 6.1 lacks `replace` and `stack_order`. */
export function sysfsAbi(lines: string, statement: string): DocumentReference {
  return { document: 'sysfs-kernel-livepatch', lines, statement };
}
