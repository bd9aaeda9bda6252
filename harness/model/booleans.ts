// SPDX-License-Identifier: MIT

/**
 * What `enabled` makes of a text (kstrtobool, lib/kstrtox.c): the first character decides, of `o` the second.
 * @returns undefined where the kernel answers EINVAL
 */
export function parseBoolean(text: string): boolean | undefined {
  const [first = '', second = ''] = text.toLowerCase();
  if (first === 'o') return second === 'n' ? true : second === 'f' ? false : undefined;
  if (first === 'y' || first === '1') return true;
  if (first === 'n' || first === '0') return false;
  return undefined;
}
