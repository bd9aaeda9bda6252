// SPDX-License-Identifier: MIT
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { uncompressed } from '../../kernels/pvh.js';
import type { AcquiredKernel } from '../../kernels/types.js';
import { cached, digest } from '../cache.js';
import type { KallsymsEntry } from '../elf/index.js';
import { InfrastructureError, messageOf } from '../errors.js';
import { type Guest, must } from '../guest/guest.js';
import { parseKallsyms } from '../guest/kernel-tables.js';
import {
  type Capability,
  type Finding,
  type ProbeFacts,
  booleanParameter,
  present,
  probe,
  probedFiles,
  probedHeaders,
  probedStrings,
  probedWords,
} from '../model/capabilities.js';
import type { Facts } from '../model/state.js';
import type { Dialect } from '../modules/source.js';

/** What can be known of a kernel before it runs: its configuration and its headers. */
export interface StaticFacts {
  readonly facts: ProbeFacts;
  readonly findings: ReadonlyMap<Capability, Finding>;
  readonly capabilities: ReadonlySet<Capability>;
}

/** The rest, asked of a running guest once and kept. */
export interface KernelFacts {
  readonly facts: Facts;
  /** What the probes saw, for a person. */
  readonly findings: ReadonlyMap<Capability, Finding>;
  readonly dialect: Dialect;
  readonly kallsyms: readonly KallsymsEntry[];
}

/** @throws InfrastructureError when the kernel's configuration cannot be read */
export async function staticFacts(kernel: AcquiredKernel): Promise<StaticFacts> {
  const config = await readFile(kernel.config, 'utf8').catch((cause: unknown) => {
    throw new InfrastructureError(`the configuration of ${kernel.name} cannot be read: ${messageOf(cause)}`, { cause });
  });
  const texts = await Promise.all(probedHeaders.map(async (h) => [h, await readHeader(kernel.buildDir, `include/${h}`)]));
  const headers = Object.fromEntries(texts) as ProbeFacts['headers'];
  const facts = { config, headers, guest: undefined };
  const findings = probe(facts);
  return { facts, findings, capabilities: present(findings) };
}

/** What is kept of a guest's answers beside its symbol table. */
interface Kept {
  readonly files: readonly (readonly [string, string])[];
  readonly strings: readonly string[] | null;
  readonly words: readonly string[] | null;
}

/**
 * Asks a running guest for its symbol table and what else the probes look at, and derives what model and modules need. The
 * answers are kept: names and their order belong to the kernel, whatever the addresses of one boot were.
 *
 * @param bench the guest that runs, and its kernel's command line: module signatures can be enforced there
 */
export async function kernelFacts(
  kernel: AcquiredKernel,
  known: StaticFacts,
  bench: { readonly guest: Guest; readonly commandLine: string },
): Promise<KernelFacts> {
  const { guest, commandLine } = bench;
  const directory = await cached('kallsyms', digest('3', kernel.fingerprint, commandLine), async (work) => {
    const { stdout, code } = await guest.run('cat /proc/kallsyms');
    if (code !== 0) throw new InfrastructureError(`${kernel.name} has no /proc/kallsyms: CONFIG_KALLSYMS is not set`);
    await writeFile(join(work, 'kallsyms'), stdout);
    const files: [string, string][] = [];
    for (const path of probedFiles) {
      const text = await guest.readText(path);
      if (text.ok) files.push([path, text.value]);
    }
    const image = await uncompressed(kernel);
    const strings = image ? probedStrings.filter((text) => image.includes(text)) : null;
    await writeFile(join(work, 'probed.json'), JSON.stringify({ files, strings, words: await takenWords(guest) } satisfies Kept));
  });
  // Modules of the image (virtio) stand in it too; their symbols are named with the module, so they do no harm.
  const kallsyms = parseKallsyms(await readFile(join(directory, 'kallsyms'), 'utf8'));
  const kept = JSON.parse(await readFile(join(directory, 'probed.json'), 'utf8')) as Kept;
  const counts = new Map<string, number>();
  const symbols = new Map<string, string>();
  for (const { name, type, module } of kallsyms) {
    if (module !== undefined) continue;
    counts.set(name, (counts.get(name) ?? 0) + 1);
    symbols.set(name, type);
  }
  const strings = kept.strings === null ? undefined : new Set(kept.strings);
  const words = kept.words === null ? undefined : new Set(kept.words);
  const findings = probe({ ...known.facts, guest: { symbols, files: new Map(kept.files), strings, words } });
  const capabilities = present(findings);
  const dialect = !capabilities.has('livepatch')
    ? 'marked'
    : capabilities.has('registration')
      ? 'registration'
      : 'enable-only';
  return { facts: { capabilities, vmlinuxSymbols: (name) => counts.get(name) ?? 0 }, findings, dialect, kallsyms };
}

/** Which of the words a boolean parameter takes; it is put back to what it was. @returns null where there is none */
async function takenWords(guest: Guest): Promise<readonly string[] | null> {
  const before = await guest.readText(booleanParameter);
  if (!before.ok) return null;
  const taken: string[] = [];
  for (const word of probedWords) if ((await guest.write(booleanParameter, word)).ok) taken.push(word);
  must(await guest.write(booleanParameter, before.value), booleanParameter);
  return taken;
}

/**
 * A header of the kernel's source: in the build directory itself, behind its `source` link, or where its Makefile
 * leads (separate output directories and Debian's headers include the source tree's Makefile).
 * @returns '' when there is none
 */
async function readHeader(buildDir: string, header: string): Promise<string> {
  const makefile = await readFile(join(buildDir, 'Makefile'), 'utf8').catch(() => '');
  const included = /^include\s+(?:\$\(dir \$\(lastword \$\(MAKEFILE_LIST\)\)\))?(\S+)\/Makefile\s*$/m.exec(makefile)?.[1];
  const roots = [buildDir, join(buildDir, 'source'), ...(included === undefined ? [] : [resolve(buildDir, included)])];
  for (const root of roots) {
    const text = await readFile(join(root, header), 'utf8').catch(() => undefined);
    if (text !== undefined) return text;
  }
  return '';
}
