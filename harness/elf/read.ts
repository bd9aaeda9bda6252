// SPDX-License-Identifier: MIT
import * as c from './constants.js';
import { ElfError } from './errors.js';
import {
  ElfObject,
  hasFileData,
  viewOf,
  type ElfHeader,
  type ElfPadding,
  type ElfSection,
} from './object.js';
import { StringTable } from './strings.js';

/**
 * Reads a relocatable object or kernel module (ELF64, little-endian, ET_REL, x86-64 or AArch64).
 * @param bytes the whole file; copied, so it may change afterwards
 * @throws ElfError for anything else, and for headers or names that lead outside the file or into one another
 *   (gABI, "Sections": "Sections in a file may not overlap"); time and memory stay proportional to the file's
 *   length
 */
export function readObject(bytes: Uint8Array): ElfObject {
  const file = new Uint8Array(bytes);
  const { header, shnum, shoff } = readHeader(file);
  const raw = Array.from({ length: shnum }, (_, i) => readSectionHeader(file, shoff + i * c.SHDR_SIZE, i));
  const sections = nameSections(raw, header, shoff);
  const { padding, end } = findPadding(file, sections, shoff);
  const object = new ElfObject({ header, sections, padding, trailer: file.subarray(end) });
  // The one part that is decoded later and can fail is decoded now, so that a read object has no surprises
  // left.
  const { symtab } = object;
  if (symtab !== undefined && object.symbols.length === 0) {
    throw new ElfError(
      shoff + symtab * c.SHDR_SIZE + 32,
      'sh_size',
      'a symbol table without its null symbol',
    );
  }
  return object;
}

function readHeader(file: Uint8Array): { header: ElfHeader; shnum: number; shoff: number } {
  if (file.length < c.EHDR_SIZE) {
    throw new ElfError(0, 'e_ident', `a file of ${file.length} bytes has no room for an ELF header`);
  }
  const view = viewOf(file);
  const must = (
    offset: number,
    field: string,
    found: number,
    wanted: readonly number[],
    meaning: string,
  ): number => {
    if (!wanted.includes(found))
      throw new ElfError(offset, field, `${found}, not ${wanted.join(' or ')} (${meaning})`);
    return found;
  };
  must(0, 'e_ident', view.getUint32(0, false), [0x7f454c46], 'the magic number of ELF');
  must(4, 'e_ident[EI_CLASS]', view.getUint8(4), [c.ELFCLASS64], 'ELFCLASS64');
  must(5, 'e_ident[EI_DATA]', view.getUint8(5), [c.ELFDATA2LSB], 'little-endian');
  const type = must(16, 'e_type', view.getUint16(16, true), [c.ET_REL], 'ET_REL');
  const machine = must(
    18,
    'e_machine',
    view.getUint16(18, true),
    [c.EM_X86_64, c.EM_AARCH64],
    'x86-64, AArch64',
  );
  const shentsize = must(
    58,
    'e_shentsize',
    view.getUint16(58, true),
    [c.SHDR_SIZE],
    'the size of Elf64_Shdr',
  );
  const shnum = view.getUint16(60, true);
  const shstrndx = view.getUint16(62, true);
  const shoff = fileNumber(view, 40, 'e_shoff');
  if (shnum === 0) throw new ElfError(60, 'e_shnum', 'no sections (or more than an Elf64_Ehdr can count)');
  if (shoff + shnum * c.SHDR_SIZE > file.length) {
    throw new ElfError(
      40,
      'e_shoff',
      `${shnum} section headers from ${shoff} end outside the file's ${file.length} bytes`,
    );
  }
  const header: ElfHeader = {
    ident: file.subarray(0, 16),
    type,
    machine,
    version: view.getUint32(20, true),
    entry: view.getBigUint64(24, true),
    phoff: view.getBigUint64(32, true),
    shoff,
    flags: view.getUint32(48, true),
    ehsize: view.getUint16(52, true),
    phentsize: view.getUint16(54, true),
    phnum: view.getUint16(56, true),
    shentsize,
    shstrndx,
  };
  return { header, shnum, shoff };
}

function readSectionHeader(file: Uint8Array, at: number, index: number): ElfSection {
  const view = viewOf(file);
  const type = view.getUint32(at + 4, true);
  const offset = fileNumber(view, at + 24, 'sh_offset');
  const size = fileNumber(view, at + 32, 'sh_size');
  if (hasFileData(type) && offset + size > file.length) {
    throw new ElfError(
      at + 24,
      'sh_offset',
      `section ${index}: ${size} bytes from ${offset} end outside the file's ${file.length} bytes`,
    );
  }
  return {
    name: '',
    nameOffset: view.getUint32(at, true),
    type,
    flags: view.getBigUint64(at + 8, true),
    addr: view.getBigUint64(at + 16, true),
    offset,
    size,
    link: view.getUint32(at + 40, true),
    info: view.getUint32(at + 44, true),
    align: fileNumber(view, at + 48, 'sh_addralign'),
    entsize: fileNumber(view, at + 56, 'sh_entsize'),
    data: hasFileData(type) ? file.subarray(offset, offset + size) : new Uint8Array(),
  };
}

function nameSections(raw: readonly ElfSection[], header: ElfHeader, shoff: number): ElfSection[] {
  const table = raw[header.shstrndx];
  if (table?.type !== c.SHT_STRTAB) {
    throw new ElfError(62, 'e_shstrndx', `section ${header.shstrndx} of ${raw.length} is no string table`);
  }
  const names = new StringTable(table.data);
  return raw.map((section, index) => {
    const name = names.at(section.nameOffset);
    if (name === undefined) {
      throw new ElfError(
        shoff + index * c.SHDR_SIZE,
        'sh_name',
        `section ${index}: no name ends at or after ${section.nameOffset} in ${names.size} bytes of names`,
      );
    }
    return { ...section, name };
  });
}

/** What lies between the parts of the file and is not zero, and where the last part ends. */
function findPadding(
  file: Uint8Array,
  sections: readonly ElfSection[],
  shoff: number,
): { padding: ElfPadding[]; end: number } {
  const parts = sections
    .map(({ offset = 0, data }, i) => ({
      from: offset,
      to: offset + data.length,
      header: shoff + i * c.SHDR_SIZE + 24,
    }))
    .filter(({ from, to }) => to > from);
  parts.push({ from: shoff, to: shoff + sections.length * c.SHDR_SIZE, header: 40 });
  parts.sort((a, b) => a.from - b.from);
  const padding: ElfPadding[] = [];
  let end = c.EHDR_SIZE;
  for (const { from, to, header } of parts) {
    if (from < end) {
      const field = header === 40 ? 'e_shoff' : 'sh_offset';
      throw new ElfError(header, field, `what begins at ${from} overlaps what ends at ${end}`);
    }
    const data = file.subarray(end, from);
    if (data.some((byte) => byte !== 0)) padding.push({ offset: end, data });
    end = to;
  }
  return { padding, end };
}

/** A 64-bit field that counts bytes. */
function fileNumber(view: DataView, at: number, field: string): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    throw new ElfError(at, field, `0x${value.toString(16)} is beyond any file`);
  return Number(value);
}
