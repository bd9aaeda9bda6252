// SPDX-License-Identifier: MIT
import { createWriteStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import type { AcquiredKernel } from '../../kernels/types.js';
import { shellQuoted } from '../vm/argv.js';
import type { ConsoleLine } from '../vm/console.js';
import { describeExit } from '../vm/failure.js';
import type { Machine } from '../vm/machine.js';
import type { Access } from './access.js';
import type { Bench } from './bench.js';

/** How a run stops at a failure. */
export interface PauseOptions {
  /** Where a person reads what is said. */
  readonly say: (line: string) => void;
  /**
   * Waits for the word to go on, and says before what it waits for; it must end by itself where nobody may be there. Rejected
   * when the signal is aborted.
   */
  readonly wait: (signal: AbortSignal) => Promise<void>;
}

/** Stops a run where a scenario failed, and tells how its guest is reached. */
export class Pause {
  /** One guest at a time: whoever reads can only be at one. */
  #last: Promise<void> = Promise.resolve();

  /** @param results the run's folder */
  constructor(
    private readonly results: string,
    private readonly access: Access,
    private readonly options: PauseOptions,
  ) {}

  /**
   * Returns when the run is to go on. Nothing is done to the guest; whoever was in it may have changed anything, so that it
   * is fit for no other scenario.
   * @throws the signal's reason
   */
  at(scenario: string, kernel: AcquiredKernel, bench: Bench, signal: AbortSignal): Promise<void> {
    const turn = this.#last.then(() => this.#stop(scenario, kernel, bench, signal));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #stop(scenario: string, kernel: AcquiredKernel, bench: Bench, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { say, wait } = this.options;
    const { machine } = bench;
    const file = join(this.results, `console-${kernel.name}-${scenario}.log`.replaceAll(/[^\w.-]/g, '_'));
    await using shown = consoleFile(machine, file);
    say(`paused after ${scenario} on ${kernel.name}`);
    if (machine.ended) {
      say(`  guest    gone: ${describeExit(machine.ended)}; nothing is left to look at but its console`);
    } else {
      say(`  guest    ${machine.dead ? 'has ended; QEMU holds it as it was, and SSH does not answer' : 'as the scenario left it'}`);
      say(`  qemu     process ${machine.pid}`);
      if (!machine.dead) say(`  ssh      ${await this.#ssh(bench)}`);
    }
    say(`  console  tail -n +1 -f ${shellQuoted([shown.file])}`);
    if (!machine.ended) for (const line of await gdbLines(kernel, machine)) say(`  gdb      ${line}`);
    await wait(signal);
    signal.throwIfAborted();
  }

  /** A line that lets a person in, and nobody else answer. */
  async #ssh({ machine, keys }: Bench): Promise<string> {
    const known = await this.access.knownHosts(machine.sshPort, keys.hostKey);
    const options = ['IdentitiesOnly=yes', `UserKnownHostsFile=${known}`, 'StrictHostKeyChecking=yes'];
    // Without the person's own configuration, which may send every host through a proxy.
    const words = ['ssh', '-F', 'none', '-i', keys.userKeyFile, '-p', String(machine.sshPort)];
    return shellQuoted([...words, ...options.flatMap((o) => ['-o', o]), 'root@127.0.0.1']);
  }
}

/** How a debugger is attached to a machine; says so where it has no stub. */
export async function gdbLines(kernel: AcquiredKernel, machine: Machine): Promise<readonly string[]> {
  const { gdb } = machine;
  if (gdb === undefined) return ['no stub; run with --gdb to have one'];
  const { file, note } = await symbols(kernel);
  const program = kernel.arch === 'x86_64' ? 'gdb' : 'gdb-multiarch';
  const line = shellQuoted([program, ...(file === undefined ? [] : [file]), '-ex', `target remote ${gdb}`]);
  return note === undefined ? [line] : [line, note];
}

/** The kernel with its symbols, where there is or could be one. */
async function symbols(kernel: AcquiredKernel): Promise<{ readonly file?: string; readonly note?: string }> {
  const exists = (file: string): Promise<boolean> => access(file).then(() => true, () => false);
  const built = join(kernel.buildDir, 'vmlinux');
  if (await exists(built)) return { file: built };
  if (kernel.origin !== 'stock') return { note: `no symbols: ${kernel.buildDir} has no vmlinux` };
  const debian = `/usr/lib/debug/boot/vmlinux-${kernel.release}`;
  if (await exists(debian)) return { file: debian };
  return { note: `symbols: ${debian} of the Debian package linux-image-${kernel.release}-dbg` };
}

/** Writes a console to a file: what there was, and what comes until it is disposed of. */
function consoleFile({ console }: Machine, file: string): AsyncDisposable & { readonly file: string } {
  const stream = createWriteStream(file);
  // A full disk is said by the run's own files.
  stream.on('error', () => undefined);
  const write = (line: ConsoleLine): void => void stream.write(`${line.text}\n`);
  console.since(0).forEach(write);
  console.emitter.on('line', write);
  return {
    file,
    async [Symbol.asyncDispose]() {
      console.emitter.off('line', write);
      stream.end();
      await finished(stream).catch(() => undefined);
    },
  };
}
