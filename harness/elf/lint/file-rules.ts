// SPDX-License-Identifier: MIT
import type { ElfError } from '../errors.js';
import { crashes, refused, wrong } from './outcome.js';
import type { Rule, RuleCode } from './rule.js';

/*
 * Files that cannot be read: one such finding is all there is. The reader says what and where.
 */

/** Rules about a field of the file's own structure. */
interface FileRule extends Rule {
  /** Fields of the gABI that an ElfError names. */
  readonly fields: RegExp;
}

/** Found by the reader, never by looking at an object. */
const check = (): [] => [];

export const fileRules: readonly FileRule[] = [
  {
    code: 'KLP001',
    title: 'the file is no relocatable ELF object for x86-64 or AArch64',
    fields: /^(e_ident.*|e_type|e_machine|e_shentsize|e_shnum)$/,
    document: 'ELF gABI, "ELF Header": e_ident, e_type ET_REL and e_machine say what the file is.',
    kernels: { '4.14': refused('ENOEXEC'), '6.1': refused('ENOEXEC', 'Invalid *ELF header*') },
    mend: 'Give the .ko file itself, for a 64-bit little-endian kernel; a linked or stripped executable is none.',
    check,
  },
  {
    code: 'KLP002',
    title: 'headers or contents lie outside the file, or over one another',
    fields: /^(e_shoff|sh_offset|sh_size|sh_addralign|sh_entsize)$/,
    document: 'ELF gABI, "Sections": every section is a range of bytes in the file, and sections do not overlap.',
    kernels: {
      '4.14': refused('ENOEXEC', 'Module len * truncated'),
      '5.10': refused('ENOEXEC', 'Invalid ELF section in module *'),
    },
    mend: 'The file was cut off or damaged: copy or build it anew.',
    check,
  },
  {
    code: 'KLP003',
    title: 'e_shstrndx leads to no section name table',
    fields: /^e_shstrndx$/,
    document: 'ELF gABI, "ELF Header": e_shstrndx is the index of the section name table.',
    kernels: {
      '4.14': crashes('names are read from outside the header table'),
      '5.10': refused('ENOEXEC'),
      '6.1': refused('ENOEXEC', 'Invalid ELF section name *'),
    },
    mend: 'The tool that wrote the header must set e_shstrndx to the index of .shstrtab.',
    check,
  },
  {
    code: 'KLP004',
    title: "a section's name lies outside the name table",
    fields: /^sh_name$/,
    document: 'ELF gABI, "Section Header": sh_name is an index into the section name table.',
    kernels: {
      '4.14': crashes('the name is read from outside the table'),
      '5.10': refused('ENOEXEC', 'Invalid ELF section name in module *'),
    },
    mend: 'The tool that renamed the section must add the new name to .shstrtab and keep its terminator.',
    check,
  },
  {
    code: 'KLP005',
    title: "the symbol table's names cannot be read",
    fields: /^(sh_link|st_name)$/,
    document: 'ELF gABI, "Symbol Table": sh_link of the table is its string table, st_name an index into it.',
    kernels: {
      '4.14': crashes('names are read from outside the table'),
      '5.10': wrong('names are read from outside the table'),
      '7.3': refused('ENOEXEC', '*symbol*'),
    },
    mend: 'The tool that renamed symbols must add the new names to .strtab and keep its terminator.',
    check,
  },
];

/** The rule that a file breaks which cannot be read. */
export function fileRuleOf({ field }: ElfError): RuleCode {
  return fileRules.find(({ fields }) => fields.test(field))?.code ?? 'KLP001';
}
