// SPDX-License-Identifier: MIT
import type { DocumentName, DocumentReference } from './types.js';

/** Length in lines of the 4.14 documents; a reference beyond it is a mistake. */
export const documentLength: Readonly<Record<DocumentName, number>> = {
  'livepatch.txt': 505,
  'module-elf-format.txt': 323,
};

/** A passage of Documentation/livepatch/livepatch.txt, Linux 4.14. */
export function livepatchTxt(lines: string, statement: string): DocumentReference {
  return { document: 'livepatch.txt', lines, statement };
}

/** A passage of Documentation/livepatch/module-elf-format.txt, Linux 4.14. */
export function elfFormat(lines: string, statement: string): DocumentReference {
  return { document: 'module-elf-format.txt', lines, statement };
}
