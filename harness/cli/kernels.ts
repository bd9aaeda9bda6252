// SPDX-License-Identifier: MIT
import { Command } from 'commander';
import { catalogue, findKernel } from '../../kernels/catalogue.js';
import { UsageError } from '../errors.js';
import { clean } from '../report/text.js';
import { probeCommand } from './kernels-probe.js';
import { ownKernelCommands } from './own-kernels.js';
import { say } from './say.js';

/** `klp kernels list | fetch K | build K | path K | probe K | add NAME | remove NAME`. */
export function kernelsCommand(): Command {
  const command = new Command('kernels').description('the kernels that can be tested');
  command
    .command('list', { isDefault: true })
    .description('every kernel of the catalogue, and what is cached')
    .option('--names', 'only the names, for scripts')
    .action(async (options: { readonly names?: boolean }) => {
      for (const entry of await catalogue()) {
        if (options.names === true) {
          process.stdout.write(`${entry.name}\n`);
          continue;
        }
        const kernel = await entry.cached();
        const version = kernel ? `${kernel.release} (${kernel.version})` : `not ${entry.origin === 'stock' ? 'fetched' : 'built'} yet`;
        const can = entry.livepatch ? 'can livepatch' : 'refuses livepatches';
        process.stdout.write(`${entry.name.padEnd(18)} ${entry.arch.padEnd(7)} ${entry.origin.padEnd(6)} ${can.padEnd(20)} ${clean(version)}\n`);
      }
    });
  for (const [name, what, origin] of [
    ['fetch', 'download and verify a stock kernel', 'stock'],
    ['build', 'build a kernel from source', 'built'],
  ] as const) {
    command
      .command(name)
      .argument('<kernel>', 'name in the catalogue')
      .description(`${what}, unless it is cached`)
      .action(async (word: string) => {
        const entry = await findKernel(word);
        if (entry.origin !== origin) {
          throw new UsageError(`kernel ${entry.name} is ${entry.origin}`, {
            hint: `npx klp kernels ${entry.origin === 'stock' ? 'fetch' : 'build'} ${entry.name}`,
          });
        }
        const kernel = await entry.acquire(say);
        process.stdout.write(`${kernel.image}\n`);
      });
  }
  command
    .command('path')
    .argument('<kernel>', 'name in the catalogue')
    .description('where a cached kernel lies: its image and its build directory')
    .action(async (word: string) => {
      const entry = await findKernel(word);
      const kernel = await entry.cached();
      if (!kernel) {
        throw new UsageError(`kernel ${entry.name} is not in the cache`, {
          hint: `npx klp kernels ${entry.origin === 'stock' ? 'fetch' : 'build'} ${entry.name}`,
        });
      }
      process.stdout.write(`${kernel.image}\n${kernel.buildDir}\n`);
    });
  command.addCommand(probeCommand());
  for (const own of ownKernelCommands()) command.addCommand(own);
  return command;
}
