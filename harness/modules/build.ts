// SPDX-License-Identifier: MIT
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AcquiredKernel, Progress } from '../../kernels/types.js';
import { cached, digest, ifCached } from '../cache.js';
import {
  type ElfObject,
  type KallsymsEntry,
  convertToLivepatch,
  faults,
  readObject,
  requireResolved,
  symposOf,
  writeObject,
} from '../elf/index.js';
import { InfrastructureError, messageOf } from '../errors.js';
import { type LivepatchDescription, type ModuleDescription, type UsedSymbol, vmlinux } from '../model/description.js';
import { type ModuleSource, ModuleBuildError, kbuild } from './kbuild.js';
import { type SigningKey, signModule } from './sign.js';
import { type Dialect, livepatchSource } from './source.js';
import { finishTarget, targetSource } from './target.js';
import { withTemplates } from './template.js';

/** What building needs to know of a kernel beside its build directory. */
export interface BuildFacts {
  readonly kernel: AcquiredKernel;
  readonly dialect: Dialect;
  /** The kernel's own symbol table, in its own order: sympos is counted in it. */
  readonly kallsyms: readonly KallsymsEntry[];
  /** Set for a kernel that takes signed modules only. */
  readonly signing?: SigningKey;
}

/** Result of one module: where its .ko is, or why there is none. */
export type BuiltModule = { readonly file: string } | { readonly error: InfrastructureError };

/**
 * Builds what scenarios need, as few kbuild runs as there can be: one, unless two modules share a name. Modules whose
 * sources, kernel and compiler have not changed come from the cache. A module that does not compile takes no other
 * down with it.
 *
 * @param signal aborting it ends the compiler
 * @returns by {@link moduleKey} of each description
 */
export async function buildModules(
  facts: BuildFacts,
  descriptions: readonly ModuleDescription[],
  progress: Progress,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, BuiltModule>> {
  const results = new Map<string, BuiltModule>();
  const wanted = new Map<string, { description: ModuleDescription; source: string; key: string }>();
  for (const description of descriptions) {
    const source = await sourceOf(description, facts.dialect);
    const key = digest('1', facts.kernel.fingerprint, facts.kernel.toolchain.version, description.name, source);
    wanted.set(moduleKey(description), { description, source, key });
  }

  const raw = new Map<string, string>();
  let missing = [...new Map([...wanted.values()].map((w) => [w.key, w])).values()];
  for (const w of [...missing]) {
    const directory = await ifCached('modules', w.key);
    if (directory === undefined) continue;
    raw.set(w.key, join(directory, 'module.ko'));
    missing = missing.filter((m) => m !== w);
  }
  const failures = new Map<string, InfrastructureError>();
  while (missing.length > 0) {
    // One batch: the first module of each name.
    const batch = missing.filter((m, i) => missing.findIndex((o) => o.description.name === m.description.name) === i);
    missing = missing.filter((m) => !batch.includes(m));
    progress(`compiling ${batch.length === 1 ? 'a module' : `${batch.length} modules`} for ${facts.kernel.name}`);
    const sources = batch.map((b) => ({ name: b.description.name, source: b.source, key: b.key }));
    await compile(facts.kernel, sources, raw, failures, signal);
  }

  for (const [id, { description, key }] of wanted) {
    const file = raw.get(key);
    const failure = failures.get(key);
    if (file === undefined) {
      results.set(id, { error: failure ?? new InfrastructureError(`module ${description.name} was not built`) });
      continue;
    }
    try {
      results.set(id, { file: await finish(facts, description, file, key) });
    } catch (error) {
      const cause = error instanceof InfrastructureError ? error : undefined;
      results.set(id, { error: cause ?? new InfrastructureError(`module ${description.name}: ${messageOf(error)}`, { cause: error }) });
    }
  }
  return results;
}

/** Identity of a description: two that read the same are the same module. */
export function moduleKey(description: ModuleDescription): string {
  return JSON.stringify(description);
}

async function sourceOf(description: ModuleDescription, dialect: Dialect): Promise<string> {
  if (description.kind === 'plain') return description.source;
  return withTemplates(description.kind === 'livepatch' ? livepatchSource(description, dialect) : await targetSource(description));
}

interface Compilation extends ModuleSource {
  readonly key: string;
}

/** One kbuild run; when it fails and there were several, each alone, so that the others are not lost. */
async function compile(
  kernel: AcquiredKernel,
  batch: readonly Compilation[],
  raw: Map<string, string>,
  failures: Map<string, InfrastructureError>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const keyOf = new Map(batch.map((b) => [b.name, b.key]));
  try {
    const deliver = async (name: string, file: string): Promise<void> => {
      const key = keyOf.get(name) ?? '';
      const directory = await cached('modules', key, (d) => copyFile(file, join(d, 'module.ko')));
      raw.set(key, join(directory, 'module.ko'));
    };
    await kbuild(kernel, batch, deliver, signal);
  } catch (error) {
    if (!(error instanceof ModuleBuildError)) throw error;
    const [only] = batch;
    if (only && batch.length === 1) failures.set(only.key, error);
    else for (const one of batch) await compile(kernel, [one], raw, failures, signal);
  }
}

/** What is loaded: the module as it was compiled, checked, converted, broken where it is meant to be, and signed. */
async function finish(facts: BuildFacts, description: ModuleDescription, file: string, key: string): Promise<string> {
  const made = await finishUnsigned(facts, description, file, key);
  if (!facts.signing) return made;
  const bytes = await signModule(await readFile(made), facts.signing);
  const directory = await cached('modules', digest(key, bytes), (d) => writeFile(join(d, 'module.ko'), bytes));
  return join(directory, 'module.ko');
}

/** Conversion, faults and the checks that need the linked module. */
async function finishUnsigned(facts: BuildFacts, description: ModuleDescription, file: string, key: string): Promise<string> {
  if (description.kind === 'plain' || (description.kind === 'livepatch' && facts.dialect === 'marked')) return file;
  const object = readObject(await readFile(file));
  const result = description.kind === 'target' ? finishTarget(object, description) : converted(facts, description, object);
  requireResolved(result, await exportedSymbols(facts.kernel));
  const broken = description.kind === 'livepatch' && description.fault ? faults[description.fault].apply(result) : result;
  const bytes = writeObject(broken);
  const directory = await cached('modules', digest(key, bytes), (d) => writeFile(join(d, 'module.ko'), bytes));
  return join(directory, 'module.ko');
}

/** Symbols that nothing exports, as livepatch relocations. */
function converted(facts: BuildFacts, { uses }: LivepatchDescription, object: ElfObject): ElfObject {
  // What a target module offers is unique in it; it is not in the symbol table of a pristine guest.
  const sympos = (u: UsedSymbol): number => (u.object === vmlinux ? symposOf(facts.kallsyms, u.object, u.name) : 0);
  return convertToLivepatch(object, new Map(uses.map((u) => [u.name, { object: u.object, sympos: sympos(u) }]))).object;
}

/** Names in the Module.symvers of a kernel. */
export async function exportedSymbols(kernel: AcquiredKernel): Promise<ReadonlySet<string>> {
  const table = await readFile(join(kernel.buildDir, 'Module.symvers'), 'utf8');
  return new Set(table.split('\n').map((line) => line.split('\t')[1] ?? ''));
}
