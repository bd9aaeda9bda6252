// SPDX-License-Identifier: MIT

/**
 * The bytes are no relocatable object that can be read (or the object none that can be written). `offset` is
 * the place in the file of the field at fault, `field` its name in the ELF gABI (`sh_name`, `e_shstrndx`,
 * …).
 */
export class ElfError extends Error {
  readonly offset: number;
  readonly field: string;

  constructor(offset: number, field: string, problem: string) {
    super(`${field} at offset 0x${offset.toString(16)}: ${problem}`);
    this.name = 'ElfError';
    this.offset = offset;
    this.field = field;
  }
}

/** Why an operation on a readable module is impossible. */
export type LivepatchErrorKind =
  | 'bad-name' // an object, section or symbol name that the livepatch formats cannot hold
  | 'no-such-section' // the module lacks the section the operation works on
  | 'unresolved-symbol' // undefined, neither exported nor converted
  | 'late-relocation' // a module's relocation into a section that is used up before the module comes
  | 'sympos-missing' // kallsyms does not have the symbol, or not at that address
  | 'sympos-ambiguous' // kallsyms has it several times, and nothing says which is meant
  | 'fault-inapplicable'; // the module has no place for the fault

/** An operation on a readable module is impossible; `names` are the symbols or sections it stumbled over. */
export class LivepatchError extends Error {
  readonly kind: LivepatchErrorKind;
  readonly names: readonly string[];

  constructor(kind: LivepatchErrorKind, message: string, names: readonly string[] = []) {
    super(message);
    this.name = 'LivepatchError';
    this.kind = kind;
    this.names = names;
  }
}
