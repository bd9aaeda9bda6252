// SPDX-License-Identifier: MIT
import { Command } from 'commander';
import { UsageError } from '../errors.js';
import { Bench } from '../runner/bench.js';
import { parseAccel } from '../vm/accel.js';
import { interruptible } from './interrupt.js';
import { withKernelOptions } from './run.js';
import { say } from './say.js';
import { type KernelOptions, chooseKernels } from './select.js';

/** `klp shell [K]`: an interactive shell in a fresh guest. */
export function shellCommand(done: (status: number) => void): Command {
  const command = new Command('shell')
    .description('an SSH shell in a fresh guest, which ends with the shell')
    .argument('[kernel]', 'name in the catalogue');
  withKernelOptions(command);
  return command.action(async (word: string | undefined, options: KernelOptions & { readonly accel: string }) => {
    const [choice] = await chooseKernels({ ...options, ...(word === undefined ? {} : { kernel: [word] }) });
    if (!choice) throw new UsageError('no kernel chosen');
    const { signal, release } = interruptible();
    try {
      const kernel = await choice.acquire(say);
      await using bench = await Bench.start({ kernel, accel: parseAccel(options.accel), progress: say, signal });
      say(`${kernel.release}: exit or Ctrl-D ends the guest`);
      done(await bench.guest.shell(process.stdin, process.stdout));
    } finally {
      release();
    }
  });
}
