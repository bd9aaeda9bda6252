// SPDX-License-Identifier: MIT
import { withSection } from './edit.js';
import { LivepatchError } from './errors.js';
import type { ElfObject } from './object.js';
import { bytesToText, textToBytes } from './strings.js';

/** One `key=value` of .modinfo. `offset` is where it begins in the section. */
export interface ModinfoField {
  readonly key: string;
  readonly value: string;
  readonly offset: number;
}

/**
 * The fields of the first .modinfo section in their order; strings without `=` are passed over, as the kernel
 * does (kernel/module.c, get_modinfo). None if there is no such section.
 */
export function modinfoFields(object: ElfObject): ModinfoField[] {
  const index = modinfoIndex(object);
  const fields: ModinfoField[] = [];
  if (index === undefined) return fields;
  let offset = 0;
  for (const entry of bytesToText(object.section(index).data).split('\0')) {
    const equals = entry.indexOf('=');
    if (equals > 0) fields.push({ key: entry.slice(0, equals), value: entry.slice(equals + 1), offset });
    offset += entry.length + 1;
  }
  return fields;
}

/**
 * The value of a field such as `depends`, `vermagic`, `livepatch` or `name`: the first, where there are
 * several.
 */
export function modinfo(object: ElfObject, key: string): string | undefined {
  return modinfoFields(object).find((field) => field.key === key)?.value;
}

/**
 * Whether the module has the `livepatch` field (module-elf-format.txt 1); its value does not matter to the
 * kernel.
 */
export function isLivepatch(object: ElfObject): boolean {
  return modinfo(object, 'livepatch') !== undefined;
}

/**
 * A module without a field. Its bytes become zero, which every reader of .modinfo skips, so that the other
 * fields and the symbols that point at them stay where they are.
 */
export function withoutModinfo(object: ElfObject, key: string): ElfObject {
  const index = modinfoIndex(object);
  const doomed = modinfoFields(object).filter((field) => field.key === key);
  if (index === undefined || doomed.length === 0) return object;
  const data = new Uint8Array(object.section(index).data);
  for (const { offset, value } of doomed) data.fill(0, offset, offset + key.length + 1 + value.length);
  return withSection(object, index, { data });
}

/**
 * A module in which a field has exactly this value: those there were are removed, a new one added at the end.
 * @throws LivepatchError (`no-such-section`) for an object without .modinfo
 */
export function withModinfo(object: ElfObject, key: string, value: string): ElfObject {
  const index = modinfoIndex(object);
  if (index === undefined)
    throw new LivepatchError('no-such-section', 'the object has no .modinfo section', ['.modinfo']);
  const cleared = withoutModinfo(object, key);
  const old = cleared.section(index).data;
  const lead = old.length > 0 && old[old.length - 1] !== 0 ? '\0' : '';
  const added = textToBytes(`${lead}${key}=${value}\0`);
  const data = new Uint8Array(old.length + added.length);
  data.set(old);
  data.set(added, old.length);
  return withSection(cleared, index, { data });
}

function modinfoIndex(object: ElfObject): number | undefined {
  return object.sectionIndex('.modinfo');
}
