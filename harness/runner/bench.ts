// SPDX-License-Identifier: MIT
import { buildAgent } from '../../images/agent.js';
import { buildImage } from '../../images/initramfs.js';
import { hostSuite } from '../../kernels/mirrors.js';
import type { AcquiredKernel, Progress } from '../../kernels/types.js';
import { architectures } from '../arch.js';
import { InfrastructureError } from '../errors.js';
import { SshGuest } from '../guest/ssh-guest.js';
import { host } from '../host.js';
import type { AccelChoice } from '../vm/accel.js';
import { chooseAccel } from '../vm/accel.js';
import { kernelCommandLine } from '../vm/argv.js';
import type { ConsoleReport } from '../vm/console.js';
import { MachineError } from '../vm/failure.js';
import { Machine } from '../vm/machine.js';

/** The state every scenario begins in. */
const pristine = 'pristine';

export interface BenchOptions {
  readonly kernel: AcquiredKernel;
  readonly accel: AccelChoice;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** For tests of the harness: another PID 1 of the kernel's choosing. */
  readonly rdinit?: string;
  readonly bootDeadline?: number;
}

/** A booted kernel that gives out its pristine guest again and again. */
export class Bench implements AsyncDisposable {
  /** False once QEMU is gone (the kernel panicked, say): another bench has to be started. */
  alive = true;

  private constructor(
    readonly machine: Machine,
    readonly guest: SshGuest,
    readonly accel: string,
    /** QEMU's version, in its own words. */
    readonly qemu: string,
    readonly commandLine: string,
    readonly bootMs: number,
    private readonly signal: AbortSignal,
  ) {
    void machine.exited.then(() => (this.alive = false));
  }

  /**
   * Builds the guest's image, boots it, and keeps the state that every scenario starts from.
   * @throws MachineError when it does not boot; InfrastructureError when something to build or boot it with is missing
   */
  static async start(options: BenchOptions): Promise<Bench> {
    const { kernel, progress, signal } = options;
    const arch = architectures[kernel.arch];
    const agent = await buildAgent(kernel.arch, progress);
    const image = await buildImage({ kernel, agent, suite: await hostSuite(), progress });
    const { accel, reason } = await chooseAccel(kernel.arch, options.accel);
    progress(`booting ${kernel.name} (${kernel.release}) under QEMU, ${accel}: ${reason}`);
    const hardware = {
      arch,
      accel,
      kernel: kernel.image,
      initramfs: image.initramfs,
      transport: image.transport,
      ...(options.rdinit === undefined ? {} : { rdinit: options.rdinit }),
    };
    const begin = performance.now();
    const machine = await Machine.start({
      ...hardware,
      signal,
      ...(options.bootDeadline === undefined ? {} : { bootDeadline: options.bootDeadline }),
    });
    try {
      const bootMs = Math.round(performance.now() - begin);
      const [qemu = ''] = (await host(machine.argv[0] ?? arch.qemu, ['--version'], { timeout: 10_000 })).split('\n');
      await machine.saveSnapshot(pristine);
      const guest = await SshGuest.connect({
        host: '127.0.0.1',
        port: machine.sshPort,
        privateKey: image.userKey,
        hostKey: image.hostKey,
        timeScale: machine.slowdown,
        readyTimeout: 20_000 * machine.slowdown,
        deadline: 60_000 * machine.slowdown,
        signal,
      });
      return new Bench(machine, guest, accel, qemu, kernelCommandLine(hardware), bootMs, signal);
    } catch (error) {
      const cause = signal.aborted ? error : await whyUnreached(machine, error);
      await machine.stop();
      throw cause;
    }
  }

  /** Puts the guest back into its pristine state and connects anew. */
  async reset(): Promise<void> {
    this.guest.disconnect();
    await this.machine.loadSnapshot(pristine);
    await this.guest.reconnect({ deadline: 30_000 * this.machine.slowdown, signal: this.signal });
  }

  /** Where the console's reports stand, for {@link reportsSince}; an unfinished one counts as before. */
  mark(): number {
    return this.reportsSince(0).length;
  }

  /** Reports of the console (warnings, oopses, …) from a {@link mark} on. */
  reportsSince(mark: number): readonly ConsoleReport[] {
    this.machine.console.settle();
    return this.machine.reports.slice(mark);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.guest.disconnect();
    await this.machine.stop();
  }
}

/** Why a guest that had said it was ready is not reached: what its console knows says more than SSH's deadline. */
async function whyUnreached(machine: Machine, error: unknown): Promise<unknown> {
  if (!(error instanceof InfrastructureError) || error instanceof MachineError) return error;
  const diagnosis = await machine.diagnose();
  return diagnosis.kind === 'connection lost' ? error : diagnosis;
}
