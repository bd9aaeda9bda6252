// SPDX-License-Identifier: MIT
import { checkKernel } from '../../kernels/brought.js';
import { defaultKernels, findKernel } from '../../kernels/catalogue.js';
import { promised } from '../../kernels/promised.js';
import type { BootChoice } from '../../kernels/types.js';
import { scenarios as ours } from '../../scenarios/index.js';
import { type Arch, parseArch } from '../arch.js';
import { importFile } from '../config/import.js';
import { UsageError, messageOf } from '../errors.js';
import { clause } from '../model/catalogue/index.js';
import { nearest } from '../nearest.js';
import type { KernelChoice } from '../runner/run.js';
import { type Scenario, clauseIds } from '../runner/scenario.js';
import { shellQuoted } from '../vm/argv.js';

/** Options that say which kernels a command is about. */
export interface KernelOptions {
  readonly arch?: string;
  readonly kernel?: readonly string[];
  readonly image?: string;
  readonly buildDir?: string;
  readonly toolchain?: string;
  readonly modulesDir?: string;
  readonly machine?: string;
  readonly boot?: BootChoice;
  /** Words separated by blanks. */
  readonly append?: string;
}

/**
 * The kernels that command-line words choose: those named, the one brought along, or the architecture's own.
 * @throws UsageError for unknown names, and for words that contradict each other
 */
export async function chooseKernels(options: KernelOptions): Promise<readonly KernelChoice[]> {
  const chosen = await named(options);
  const { boot = 'auto' } = options;
  const append = (options.append ?? '').split(/\s+/).filter((word) => word !== '');
  if (boot === 'auto' && append.length === 0) return chosen;
  const more = [...(boot === 'auto' ? [] : ['--boot', boot]), ...(append.length === 0 ? [] : ['--append', append.join(' ')])];
  return chosen.map((choice) => ({
    ...choice,
    acquire: async (progress) => ({ ...(await choice.acquire(progress)), boot, ...(append.length === 0 ? {} : { append }) }),
    words: `${choice.words} ${shellQuoted(more)}`,
  }));
}

async function named(options: KernelOptions): Promise<readonly KernelChoice[]> {
  const arch = options.arch === undefined ? undefined : parseArch(options.arch);
  if (options.image !== undefined || options.buildDir !== undefined) return [await brought(options, arch)];
  const ofImages = [['--toolchain', options.toolchain], ['--modules-dir', options.modulesDir], ['--machine', options.machine]];
  for (const [word, value] of ofImages) {
    if (value !== undefined) throw new UsageError(`${word} belongs to --image and --build-dir`);
  }
  const names = options.kernel ?? [];
  const entries = names.length > 0 ? await Promise.all(names.map((n) => findKernel(n))) : await defaultKernels(arch ?? 'x86_64');
  for (const entry of entries) {
    if (arch !== undefined && entry.arch !== arch) {
      throw new UsageError(`kernel ${entry.name} is for ${entry.arch}, not ${arch}`, { hint: `leave out --arch ${arch}` });
    }
  }
  const distinct = new Map(entries.map((entry) => [entry.name, entry]));
  return [...distinct.values()].map(({ name, acquire }) => ({
    name,
    acquire,
    words: shellQuoted(['--kernel', name]),
    must: promised(name),
  }));
}

async function brought(options: KernelOptions, arch: Arch | undefined): Promise<KernelChoice> {
  const { image, buildDir, toolchain, modulesDir, machine } = options;
  if (image === undefined || buildDir === undefined) {
    throw new UsageError('--image and --build-dir belong together', {
      hint: 'the build directory is where the image was built: modules are built against it',
    });
  }
  if (options.kernel) throw new UsageError('--kernel and --image exclude each other');
  const more = { arch, toolchain, modulesDir, machine };
  const given = Object.entries(more).filter((pair): pair is [string, string] => pair[1] !== undefined);
  const flags = { arch: '--arch', toolchain: '--toolchain', modulesDir: '--modules-dir', machine: '--machine' };
  const flagged = given.flatMap(([key, value]) => [flags[key as keyof typeof more], value]);
  const words = shellQuoted(['--image', image, '--build-dir', buildDir, ...flagged]);
  const request = { image, buildDir, ...Object.fromEntries(given) };
  // Looked at before anything else is done: a wrong pairing is a wrong command line.
  const { name, acquire } = await checkKernel(request);
  return { name, acquire, words };
}

/** A scenario, and the words that choose it alone. */
export interface Chosen {
  readonly scenario: Scenario;
  readonly words: string;
}

function byId(scenario: Scenario): Chosen {
  return { scenario, words: scenario.id };
}

/**
 * The scenarios that words choose: ids of ours, or files (`my-test.ts`) that export scenarios; all of ours without words.
 * @param grep keeps those whose id, title or clauses match
 * @throws UsageError for an unknown id, with the nearest one; for a file without scenarios; when nothing is left
 */
export async function chooseScenarios(words: readonly string[], grep?: string): Promise<readonly Chosen[]> {
  const chosen = words.length === 0 ? ours.map(byId) : (await Promise.all(words.map(scenariosOf))).flat();
  return matching([...new Map(chosen.map((c) => [c.scenario.id, c])).values()], grep);
}

/**
 * Those whose id, title or clauses match; all without a pattern.
 * @throws UsageError when nothing is left
 */
export function matching(chosen: readonly Chosen[], grep?: string): readonly Chosen[] {
  if (grep === undefined) return chosen;
  const pattern = compile(grep);
  const kept = chosen.filter(({ scenario: s }) => [s.id, s.title, ...clauseIds(s)].some((text) => pattern.test(text)));
  if (kept.length === 0) throw new UsageError(`no scenario matches --grep ${grep}`, { hint: 'npx klp run --list shows them' });
  return kept;
}

function compile(grep: string): RegExp {
  try {
    return new RegExp(grep, 'i');
  } catch (error) {
    throw new UsageError(`--grep ${grep}: ${messageOf(error)}`);
  }
}

async function scenariosOf(word: string): Promise<readonly Chosen[]> {
  const known = ours.find((s) => s.id === word);
  if (known) return [byId(known)];
  if (/\.[cm]?[jt]s$/.test(word)) {
    return (await fromFile(word)).map((scenario) => ({ scenario, words: shellQuoted([word, '--grep', `^${scenario.id}$`]) }));
  }
  const guess = nearest(word, ours.map((s) => s.id));
  throw new UsageError(`there is no scenario "${word}"`, {
    hint: guess === undefined ? 'npx klp run --list shows them' : `did you mean ${guess}?`,
  });
}

/** Scenarios that a file of the user's exports; TypeScript is compiled on the fly. */
async function fromFile(file: string): Promise<readonly Scenario[]> {
  const exported = await importFile(file);
  const found = Object.values(exported).filter(isScenario);
  if (found.length === 0) throw new UsageError(`${file} exports no scenario`, { hint: 'export const mine = scenario({ … })' });
  for (const s of found) {
    for (const id of clauseIds(s)) {
      try {
        clause(id);
      } catch (error) {
        throw new UsageError(`${file}: scenario ${s.id}: ${messageOf(error)}`, { cause: error });
      }
    }
  }
  return found;
}

function isScenario(value: unknown): value is Scenario {
  const s = value as Partial<Scenario> | null;
  return typeof s === 'object' && s !== null && typeof s.id === 'string' && Array.isArray(s.clauses) && typeof s.run === 'function';
}
