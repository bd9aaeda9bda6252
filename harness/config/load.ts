// SPDX-License-Identifier: MIT
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { dirname, join, resolve } from 'node:path';
import { withLock } from '../cache.js';
import { UsageError, messageOf } from '../errors.js';
import { importFile } from './import.js';
import { parseKlpConfig, type KlpConfig, type OwnKernel } from './schema.js';

/** Written by the user. */
const handWritten = 'klp.config.ts';
/** Written by `klp kernels add`. */
const registry = 'klp.kernels.json';

/** A kernel of the user's own, and the file that names it. */
export interface NamedKernel {
  readonly name: string;
  /** Paths are absolute. */
  readonly kernel: OwnKernel;
  readonly file: string;
}

/** The nearest folder, from this one up, that holds one of our two files; this one when none does. */
export function configFolder(from = process.cwd()): string {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    if ([handWritten, registry].some((name) => existsSync(join(folder, name)))) return folder;
    if (folder === dirname(folder)) return resolve(from);
  }
}

/**
 * The kernels that `klp.config.ts` and `klp.kernels.json` of the nearest folder name, in that order.
 * @throws UsageError when a file can't be read, or names what the other does
 */
export async function namedKernels(from?: string): Promise<readonly NamedKernel[]> {
  const folder = configFolder(from);
  const found: NamedKernel[] = [];
  for (const [name, load] of [[handWritten, loadHandWritten], [registry, loadRegistry]] as const) {
    const file = join(folder, name);
    if (!existsSync(file)) continue;
    for (const [word, kernel] of Object.entries((await load(file)).kernels ?? {})) {
      const other = found.find((k) => k.name === word);
      if (other) throw new UsageError(`${file}: kernels.${word}: ${other.file} has a kernel of that name already`);
      found.push({ name: word, kernel: absolute(kernel, folder), file });
    }
  }
  return found;
}

async function loadHandWritten(file: string): Promise<KlpConfig> {
  let { default: value } = await importFile(file);
  // Without "type": "module" in the user's package, what the file exports is one step further in.
  if (typeof value === 'object' && value !== null && '__esModule' in value) ({ default: value } = value as { default?: unknown });
  if (value === undefined) throw new UsageError(`${file} has no default export`, { hint: 'export default { kernels: { … } }' });
  return parseKlpConfig(value, file);
}

async function loadRegistry(file: string): Promise<KlpConfig> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new UsageError(`${file}: ${messageOf(error)}`, { cause: error });
  }
  return parseKlpConfig(value, file);
}

function absolute(kernel: OwnKernel, folder: string): OwnKernel {
  if ('source' in kernel) {
    // A word without a slash or a dot is a fragment of ours.
    const config = kernel.config.map((word) => (/[/.]/.test(word) ? resolve(folder, word) : word));
    return { ...kernel, source: resolve(folder, kernel.source), config };
  }
  const { image, buildDir, modulesDir } = kernel;
  return {
    ...kernel,
    image: resolve(folder, image),
    buildDir: resolve(folder, buildDir),
    ...(modulesDir === undefined ? {} : { modulesDir: resolve(folder, modulesDir) }),
  };
}

/**
 * Adds a kernel to the registry of the nearest folder.
 * @param kernel its paths absolute
 * @returns the registry's path
 * @throws UsageError when the registry can't be read, or has the name already
 */
export async function addKernel(name: string, kernel: OwnKernel): Promise<string> {
  return change((kernels, file) => {
    if (kernels[name] !== undefined) throw new UsageError(`${file} has a kernel ${name} already`, { hint: `npx klp kernels remove ${name}` });
    return { ...kernels, [name]: kernel };
  });
}

/**
 * Takes a kernel out of the registry; what it names is left alone.
 * @returns the registry's path
 * @throws UsageError when it is not there
 */
export async function removeKernel(name: string): Promise<string> {
  return change((kernels, file) => {
    const { [name]: gone, ...rest } = kernels;
    if (gone === undefined) {
      throw new UsageError(`${file} has no kernel ${name}`, { hint: `klp kernels add put it there? what ${handWritten} names is removed there` });
    }
    return rest;
  });
}

async function change(
  edit: (kernels: Readonly<Record<string, OwnKernel>>, file: string) => Readonly<Record<string, OwnKernel>>,
): Promise<string> {
  const file = join(configFolder(), registry);
  return withLock(`registry-${file}`, async () => {
    const before = existsSync(file) ? ((await loadRegistry(file)).kernels ?? {}) : {};
    const after = parseKlpConfig({ kernels: edit(before, file) }, file);
    await mkdir(dirname(file), { recursive: true });
    const draft = `${file}.${randomUUID()}`;
    await writeFile(draft, `${JSON.stringify(after, undefined, 2)}\n`);
    await rename(draft, file);
    return file;
  });
}
