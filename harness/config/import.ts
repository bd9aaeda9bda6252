// SPDX-License-Identifier: MIT
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { UsageError, messageOf } from '../errors.js';

/**
 * What a file of the user's exports; TypeScript is compiled on the fly.
 * @throws UsageError when there is no such file, or it can't be loaded
 */
export async function importFile(file: string): Promise<Record<string, unknown>> {
  const path = resolve(file);
  if (!existsSync(path)) throw new UsageError(`there is no file ${file}`);
  try {
    // It would leave a folder in the temporary one.
    process.env.TSX_DISABLE_CACHE = '1';
    const { tsImport } = await import('tsx/esm/api');
    return (await tsImport(pathToFileURL(path).href, import.meta.url)) as Record<string, unknown>;
  } catch (error) {
    throw new UsageError(`${file}: ${messageOf(error)}`, { cause: error });
  }
}
