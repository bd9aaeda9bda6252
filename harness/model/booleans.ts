// SPDX-License-Identifier: MIT
import type { Facts } from './state.js';

/**
 * What `enabled` makes of a text (kstrtobool, lib/kstrtox.c): the first character decides, of `o` the second. Later kernels
 * know more words.
 * @returns undefined where the kernel answers EINVAL
 */
export function parseBoolean(text: string, { capabilities }: Facts): boolean | undefined {
  const [first = '', second = ''] = text.toLowerCase();
  if (first === 'o') return second === 'n' ? true : second === 'f' ? false : undefined;
  if (first === 'y' || first === '1') return true;
  if (first === 'n' || first === '0') return false;
  if (capabilities.has('true-false') && (first === 't' || first === 'f')) return first === 't';
  if (capabilities.has('enabled-disabled') && (first === 'e' || first === 'd')) return first === 'e';
  return undefined;
}
