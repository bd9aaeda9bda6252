// SPDX-License-Identifier: MIT
import { spawn } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { InfrastructureError } from '../errors.js';
import { lint } from '../elf/index.js';
import { modulesOf } from '../modules/packed.js';
import { packagePath } from '../package-root.js';
import type { Figure } from './figures.js';

/** Of about this many bytes is the module that one lint is measured with. */
const oneMiB = 1 << 20;
/** Lints before the first that is measured: the engine compiles what runs often. */
const warmUps = 10;

/** What `klp lint` takes for one module and for all of a kernel. */
export interface LintFigures {
  readonly one: Figure;
  readonly all: Figure;
  /** Most memory the process held that looked at all of them, and the largest of their files, in bytes. */
  readonly peak: number;
  readonly largest: number;
}

/**
 * Measures parse and lint of one module, warm, and `klp lint` of a whole folder in a process of its own.
 * @param folder modules of a kernel
 * @param count samples of the first; the second is taken once
 * @returns undefined where the folder has no modules
 * @throws InfrastructureError when `klp lint` could not be run
 */
export async function measureLint(folder: string, count: number, signal: AbortSignal): Promise<LintFigures | undefined> {
  const modules = await modulesOf(folder);
  const sized = await Promise.all(modules.map(async (module) => ({ module, size: (await stat(module.file)).size })));
  const [nearest] = sized.sort((a, b) => Math.abs(a.size - oneMiB) - Math.abs(b.size - oneMiB));
  if (!nearest) return undefined;
  const bytes = await nearest.module.unpacked();
  const samples: number[] = [];
  for (let i = -warmUps; i < count; i++) {
    const begin = performance.now();
    lint(bytes);
    if (i >= 0) samples.push(performance.now() - begin);
  }
  const begin = performance.now();
  const peak = await lintFolder(folder, signal);
  const all = { name: `klp lint, ${modules.length} modules`, samples: [performance.now() - begin], bar: '<= 30 s' };
  const one = { name: `lint of ${(bytes.length / oneMiB).toFixed(2)} MiB, warm`, samples, bar: '<= 20 ms' };
  return { one, all, peak, largest: Math.max(...sized.map(({ size }) => size)) };
}

/** @returns the most memory it held, in bytes, as far as looks at it every few milliseconds show */
async function lintFolder(folder: string, signal: AbortSignal): Promise<number> {
  const child = spawn(process.execPath, [packagePath('dist/harness/cli/main.js'), 'lint', folder], { stdio: 'ignore', signal });
  let status: number | string | undefined;
  const ended = new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, killedBy) => {
      status = code ?? String(killedBy);
      resolve();
    });
  });
  let peak = 0;
  while (status === undefined) {
    // The kernel's own high-water mark: what is missed is what comes after the last look.
    const text = await readFile(`/proc/${child.pid ?? 0}/status`, 'utf8').catch(() => '');
    peak = Math.max(peak, Number(/^VmHWM:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024);
    await Promise.race([ended, sleep(20)]);
  }
  // 1: there are findings, which takes as long.
  if (status !== 0 && status !== 1) throw new InfrastructureError(`klp lint ${folder} ended with ${status}`);
  return peak;
}
