// SPDX-License-Identifier: MIT
import { clean } from '../report/text.js';
import { beside } from './terminal.js';

/** A line for the person at the keyboard, beside the command's own output. What others wrote may stand in it. */
export function say(line: string): void {
  beside(() => void process.stderr.write(`${clean(line)}\n`));
}
