// SPDX-License-Identifier: MIT
import { resolve } from 'node:path';
import { Command } from 'commander';
import { checkKernel } from '../../kernels/brought.js';
import { catalogue } from '../../kernels/catalogue.js';
import { broughtKernel, sourceKernel } from '../../kernels/own.js';
import { versionOfTree } from '../../kernels/source.js';
import { machineFor, parseArch } from '../arch.js';
import { addKernel, removeKernel } from '../config/load.js';
import { parseKlpConfig, type OwnKernel } from '../config/schema.js';
import { UsageError } from '../errors.js';
import { say } from './say.js';

interface AddWords {
  readonly image?: string;
  readonly buildDir?: string;
  readonly modulesDir?: string;
  readonly source?: string;
  readonly config?: readonly string[];
  readonly arch?: string;
  readonly toolchain?: string;
  readonly machine?: string;
}

/** `klp kernels add NAME` and `remove NAME`: kernels of the user's own, under a name. */
export function ownKernelCommands(): readonly Command[] {
  const add = new Command('add')
    .description('give a kernel of your own a name: one that is built, or a source tree')
    .argument('<name>', 'what --kernel will say')
    .option('--image <file>', 'kernel image; needs --build-dir')
    .option('--build-dir <dir>', 'build directory the image came from')
    .option('--modules-dir <dir>', 'lib/modules/<release>, when it lacks drivers built in')
    .option('--source <dir>', 'kernel source tree to build; needs --config')
    .option('--config <fragment...>', 'fragments of ours, or files; the first may be a whole configuration')
    .option('--arch <arch>', 'x86_64 or arm64')
    .option('--toolchain <word>', 'a Debian suite, host, or a CROSS_COMPILE prefix')
    .option('--machine <profile>', 'machine profile: pc; mt2731 or virt')
    .action(async (name: string, words: AddWords) => {
      const taken = (await catalogue()).find((e) => e.name === name || e.aliases.includes(name));
      if (taken) throw new UsageError(`there is a kernel ${name} already: ${taken.title}`, { hint: 'give another name' });
      const kernel = kernelFrom(name, words);
      await look(name, kernel);
      say(`${name} is in ${await addKernel(name, kernel)}`);
    });
  const remove = new Command('remove')
    .description('forget a name that klp kernels add gave; files are left alone')
    .argument('<name>', 'as klp kernels list shows it')
    .action(async (name: string) => {
      say(`${name} is no more in ${await removeKernel(name)}`);
    });
  return [add, remove];
}

function kernelFrom(name: string, { image, buildDir, modulesDir, source, config, ...common }: AddWords): OwnKernel {
  const built = image !== undefined || buildDir !== undefined || modulesDir !== undefined;
  const fromSource = source !== undefined || config !== undefined;
  if (built === fromSource) {
    throw new UsageError('a kernel is either built (--image and --build-dir) or to be built (--source and --config)');
  }
  if (built && (image === undefined || buildDir === undefined)) throw new UsageError('--image and --build-dir belong together');
  if (fromSource && (source === undefined || config === undefined)) throw new UsageError('--source and --config belong together');
  const file = 'the command line';
  const absolute = (path: string | undefined): string | undefined => (path === undefined ? undefined : resolve(path));
  const fragments = config?.map((word) => (/[/.]/.test(word) ? resolve(word) : word));
  const kernel = built
    ? { ...common, image: absolute(image), buildDir: absolute(buildDir), modulesDir: absolute(modulesDir) }
    : { ...common, source: absolute(source), config: fragments };
  const present = Object.fromEntries(Object.entries(kernel).filter(([, value]) => value !== undefined));
  const checked = parseKlpConfig({ kernels: { [name]: present } }, file).kernels?.[name];
  if (!checked) throw new Error('a kernel that was parsed is there');
  return checked;
}

/** What can be seen to be wrong is said now, and nothing is written. */
async function look(name: string, kernel: OwnKernel): Promise<void> {
  if ('source' in kernel) {
    await versionOfTree(kernel.source);
    const { arch } = sourceKernel(name, kernel);
    machineFor(arch, kernel.machine);
  } else {
    if (kernel.arch !== undefined) parseArch(kernel.arch);
    await checkKernel(broughtKernel(name, kernel));
  }
}
