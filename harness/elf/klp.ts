// SPDX-License-Identifier: MIT
import { SHF_RELA_LIVEPATCH, SHN_LIVEPATCH } from './constants.js';
import { LivepatchError } from './errors.js';
import type { ElfObject, ElfSection, ElfSymbol } from './object.js';

/** The parts of `.klp.rela.<object>.<section>` (module-elf-format.txt 2.2.2). */
export interface KlpSectionName {
  /** `vmlinux` or a module's name. */
  readonly object: string;
  /** What follows the dot after the object; see `namesSection`. */
  readonly section: string;
}

/** The parts of `.klp.sym.<object>.<symbol>,<sympos>` (module-elf-format.txt 3.3.2). */
export interface KlpSymbolName {
  readonly object: string;
  readonly symbol: string;
  /** 0: the only one of its name in the object; n: the n-th in the order of kallsyms. */
  readonly sympos: number;
}

/**
 * Longest names the kernel can take, in characters: of objects (`%55[^.]`: MODULE_NAME_LEN - 1); of a whole
 * `.klp.sym.` name (KSYM_NAME_LEN - 1: 127 up to 6.0, 511 from 6.1 on). kernel/livepatch/core.c,
 * klp_resolve_symbols.
 */
export const klpNameLimits = { object: 55, symbolBefore61: 127, symbol: 511 } as const;

/**
 * The parts of a livepatch relocation section's name, or undefined for a name of another or a broken form.
 */
export function parseKlpSectionName(name: string): KlpSectionName | undefined {
  const [, object, section] = /^\.klp\.rela\.([^.]+)\.(.+)$/s.exec(name) ?? [];
  return object === undefined || section === undefined ? undefined : { object, section };
}

/**
 * The name of a livepatch relocation section, in the form that real tools emit: `section` is the target's own
 * name, its dot included, so that `.klp.rela.vmlinux..text.f` has two.
 * @throws LivepatchError (`bad-name`) for an object no kernel would find
 */
export function formatKlpSectionName({ object, section }: KlpSectionName): string {
  checkObject(object);
  if (section === '')
    throw new LivepatchError('bad-name', 'a livepatch relocation section needs a target', [section]);
  return `.klp.rela.${object}.${section}`;
}

/**
 * Whether a parsed name means a section: the format document's own example leaves the target's first dot out.
 */
export function namesSection(parsed: KlpSectionName, target: string): boolean {
  return parsed.section === target || `.${parsed.section}` === target;
}

/**
 * The parts of a livepatch symbol's name, or undefined for a name of another or a broken form.
 * Stricter than the kernel's sscanf, which takes `,0junk` and `, 0` for `,0`.
 */
export function parseKlpSymbolName(name: string): KlpSymbolName | undefined {
  const [, object, symbol, digits] = /^\.klp\.sym\.([^.]+)\.([^,]+),(\d+)$/.exec(name) ?? [];
  const sympos = Number(digits);
  if (object === undefined || symbol === undefined || !Number.isSafeInteger(sympos)) return undefined;
  return { object, symbol, sympos };
}

/**
 * The name of a livepatch symbol.
 * @throws LivepatchError (`bad-name`) for names the kernel cannot parse, or too long for every kernel
 */
export function formatKlpSymbolName({ object, symbol, sympos }: KlpSymbolName): string {
  checkObject(object);
  if (symbol === '' || symbol.includes(',')) {
    throw new LivepatchError('bad-name', `'${symbol}' cannot be the symbol of a livepatch symbol's name`, [
      symbol,
    ]);
  }
  if (!Number.isSafeInteger(sympos) || sympos < 0) {
    throw new LivepatchError('bad-name', `${sympos} is no position for symbol ${symbol}`, [symbol]);
  }
  const name = `.klp.sym.${object}.${symbol},${sympos}`;
  if (name.length > klpNameLimits.symbol) {
    throw new LivepatchError('bad-name', `${name} is longer than ${klpNameLimits.symbol} characters`, [
      symbol,
    ]);
  }
  return name;
}

function checkObject(object: string): void {
  if (object === '' || object.includes('.') || object.length > klpNameLimits.object) {
    throw new LivepatchError('bad-name', `'${object}' is no object name (1 to 55 characters without a dot)`, [
      object,
    ]);
  }
}

/** A livepatch relocation section of a module. */
export interface KlpSection {
  readonly index: number;
  readonly section: ElfSection;
  /** Whether it has SHF_RELA_LIVEPATCH; without, only its name says what it is. */
  readonly flagged: boolean;
  /** undefined if the name is broken. */
  readonly parsed: KlpSectionName | undefined;
}

/** The livepatch relocation sections of a module: those that are flagged as such, and those named as such. */
export function klpSections(object: ElfObject): KlpSection[] {
  return object.sections
    .map((section, index) => ({
      index,
      section,
      flagged: (section.flags & SHF_RELA_LIVEPATCH) !== 0n,
      parsed: parseKlpSectionName(section.name),
    }))
    .filter(({ section, flagged }) => flagged || section.name.startsWith('.klp.rela.'));
}

/** A livepatch symbol of a module. */
export interface KlpSymbol {
  readonly symbol: ElfSymbol;
  /** Whether st_shndx is SHN_LIVEPATCH; otherwise only its name says what it is. */
  readonly marked: boolean;
  /** undefined if the name is broken. */
  readonly parsed: KlpSymbolName | undefined;
}

/** The livepatch symbols of a module: those that are marked as such, and those named as such. */
export function klpSymbols(object: ElfObject): KlpSymbol[] {
  return object.symbols
    .map((symbol) => ({
      symbol,
      marked: symbol.shndx === SHN_LIVEPATCH,
      parsed: parseKlpSymbolName(symbol.name),
    }))
    .filter(({ symbol, marked }) => marked || symbol.name.startsWith('.klp.sym.'));
}
