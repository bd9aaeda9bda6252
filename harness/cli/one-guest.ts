// SPDX-License-Identifier: MIT
import type { AcquiredKernel } from '../../kernels/types.js';
import { UsageError } from '../errors.js';
import { Bench } from '../runner/bench.js';
import type { KernelChoice } from '../runner/run.js';
import { parseAccel } from '../vm/accel.js';
import { interruptible } from './interrupt.js';
import { say } from './say.js';
import { type KernelOptions, chooseKernels } from './select.js';

/** Options of a command about one kernel. */
export type GuestOptions = KernelOptions & { readonly accel: string };

/**
 * Starts a guest of the kernel that the command line chooses, and ends it when `use` is done, or with Ctrl-C.
 * @param word the kernel's name, when one was given
 * @throws what `use` throws; after Ctrl-C, that it was interrupted (130)
 */
export async function withGuest(
  word: string | undefined,
  options: GuestOptions,
  use: (bench: Bench, kernel: AcquiredKernel, choice: KernelChoice) => Promise<void>,
): Promise<void> {
  const [choice] = await chooseKernels({ ...options, ...(word === undefined ? {} : { kernel: [word] }) });
  if (!choice) throw new UsageError('no kernel chosen');
  const { signal, release } = interruptible();
  try {
    const kernel = await choice.acquire(say);
    await using bench = await Bench.start({ kernel, accel: parseAccel(options.accel), progress: say, signal });
    await use(bench, kernel, choice);
  } catch (error) {
    // Whatever failed since QEMU was killed.
    signal.throwIfAborted();
    throw error;
  } finally {
    release();
  }
}
