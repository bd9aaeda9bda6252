// SPDX-License-Identifier: MIT
import type { Verdict } from './results-schema.js';

const codes = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  magenta: [35, 39],
  cyan: [36, 39],
} as const;
export type Colour = keyof typeof codes;
export type Paint = (colour: Colour, text: string) => string;

/** Text in a colour where the display has them, else as it is. */
export function painter(colour: boolean): Paint {
  if (!colour) return (_colour, text) => text;
  return (name, text) => `\x1b[${codes[name][0]}m${text}\x1b[${codes[name][1]}m`;
}

export const verdictColour: Readonly<Record<Verdict, Colour>> = {
  fail: 'red',
  error: 'magenta',
  deviates: 'yellow',
  pass: 'green',
  'n/a': 'dim',
};
