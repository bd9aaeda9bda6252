// SPDX-License-Identifier: MIT
import * as c from './constants.js';
import { ElfError } from './errors.js';
import { viewOf, type ElfParts, type ElfSection } from './object.js';

/** File offsets need no more alignment than a page, whatever sh_addralign asks of addresses. */
const LARGEST_ALIGNMENT = 4096;

/**
 * The bytes of an object. What was read and not changed stays where it was, so that an unmodified object
 * becomes the very bytes it was read from; sections without a place (new ones, and those that grew) follow
 * behind, aligned, then the section header table if its place is gone too, then the trailer. Rooms that were
 * left are zero.
 * @throws ElfError for more sections than e_shnum can count (gABI, "ELF Header": below SHN_LORESERVE)
 */
export function writeObject(object: ElfParts): Uint8Array {
  const { header, sections, padding, trailer } = object;
  if (sections.length >= c.SHN_LORESERVE)
    throw new ElfError(60, 'e_shnum', `${sections.length} sections are too many`);
  const tableSize = sections.length * c.SHDR_SIZE;

  const ends = sections.map(({ offset, data }) =>
    data.length > 0 && offset !== undefined ? offset + data.length : 0,
  );
  ends.push(c.EHDR_SIZE, ...padding.map(({ offset, data }) => offset + data.length));
  if (header.shoff !== undefined) ends.push(header.shoff + tableSize);
  let end = ends.reduce((a, b) => Math.max(a, b));
  const place = (size: number, align: number): number => {
    const step = Math.min(Math.max(align, 1), LARGEST_ALIGNMENT);
    const offset = Math.ceil(end / step) * step;
    end = offset + size;
    return offset;
  };
  const offsets = sections.map(({ offset, data, align }) => offset ?? place(data.length, align));
  const shoff = header.shoff ?? place(tableSize, 8);

  const file = new Uint8Array(end + trailer.length);
  const view = viewOf(file);
  for (const { offset, data } of padding) file.set(data, offset);
  file.set(header.ident, 0);
  view.setUint16(16, header.type, true);
  view.setUint16(18, header.machine, true);
  view.setUint32(20, header.version, true);
  view.setBigUint64(24, header.entry, true);
  view.setBigUint64(32, header.phoff, true);
  view.setBigUint64(40, BigInt(shoff), true);
  view.setUint32(48, header.flags, true);
  view.setUint16(52, header.ehsize, true);
  view.setUint16(54, header.phentsize, true);
  view.setUint16(56, header.phnum, true);
  view.setUint16(58, header.shentsize, true);
  view.setUint16(60, sections.length, true);
  view.setUint16(62, header.shstrndx, true);
  sections.forEach((section, i) => {
    const offset = offsets[i] ?? 0;
    if (section.data.length > 0) file.set(section.data, offset);
    writeSectionHeader(view, shoff + i * c.SHDR_SIZE, section, offset);
  });
  file.set(trailer, end);
  return file;
}

function writeSectionHeader(view: DataView, at: number, section: ElfSection, offset: number): void {
  view.setUint32(at, section.nameOffset, true);
  view.setUint32(at + 4, section.type, true);
  view.setBigUint64(at + 8, section.flags, true);
  view.setBigUint64(at + 16, section.addr, true);
  view.setBigUint64(at + 24, BigInt(offset), true);
  view.setBigUint64(at + 32, BigInt(section.size), true);
  view.setUint32(at + 40, section.link, true);
  view.setUint32(at + 44, section.info, true);
  view.setBigUint64(at + 48, BigInt(section.align), true);
  view.setBigUint64(at + 56, BigInt(section.entsize), true);
}
