// SPDX-License-Identifier: MIT
import { readFile } from 'node:fs/promises';
import { packagePath } from '../package-root.js';

/** A file of the C that comes with the harness. */
export function template(name: string): Promise<string> {
  return readFile(packagePath('harness/modules/c', name), 'utf8');
}

/** kbuild takes a module of one file: each `#include "name"` is replaced by that template, where it stands first. */
export async function withTemplates(source: string): Promise<string> {
  const seen = new Set<string>();
  const expanded = async (text: string): Promise<string> => {
    const lines: string[] = [];
    for (const line of text.split('\n')) {
      const name = /^#include "([^"]+)"$/.exec(line)?.[1];
      if (name === undefined) lines.push(line);
      else if (!seen.has(name)) {
        seen.add(name);
        lines.push(await expanded(await template(name)));
      }
    }
    return lines.join('\n');
  };
  return expanded(source);
}
