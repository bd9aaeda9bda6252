// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import { buildAgent } from '../../images/agent.js';
import { buildImage, type Image } from '../../images/initramfs.js';
import { hostSuite } from '../../kernels/mirrors.js';
import { bootFile } from '../../kernels/pvh.js';
import type { AcquiredKernel, Progress } from '../../kernels/types.js';
import { architectures, machineFor, type MachineName } from '../arch.js';
import { DeadlineError, InfrastructureError, messageOf } from '../errors.js';
import { ConnectionLostError } from '../guest/errors.js';
import { must } from '../guest/guest.js';
import { SshGuest } from '../guest/ssh-guest.js';
import { host } from '../host.js';
import type { AccelChoice } from '../vm/accel.js';
import { chooseAccel } from '../vm/accel.js';
import { kernelCommandLine, type Hardware, type Threads } from '../vm/argv.js';
import type { ConsoleReport } from '../vm/console.js';
import { Machine, type MachineOptions } from '../vm/machine.js';
import { chooseAio, stateFingerprint } from '../vm/states.js';
import { dropState, keepState, savedState, type SavedState } from './saved-state.js';

/** The state every scenario begins in. */
const pristine = 'pristine';

export interface BenchOptions {
  readonly kernel: AcquiredKernel;
  readonly accel: AccelChoice;
  /** How an emulated guest's CPUs run; `multi` when left out. */
  readonly threads?: Threads;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Boot, whatever is in the cache, and leave the cache alone. */
  readonly fresh?: boolean;
  /** For tests of the harness: another PID 1 of the kernel's choosing. */
  readonly rdinit?: string;
  readonly bootDeadline?: number;
  /** Path of a debugger's socket. */
  readonly gdb?: string;
  /** A guest that ends is held as it was. */
  readonly holdDead?: boolean;
}

/** What a guest is made of, and how its state is called. */
interface Plan {
  readonly options: BenchOptions;
  readonly image: Image;
  readonly hardware: Hardware;
  readonly why: string;
  readonly fingerprint: string;
}

/** A booted kernel that gives out its pristine guest again and again. */
export class Bench implements AsyncDisposable {
  private constructor(
    readonly machine: Machine,
    readonly guest: SshGuest,
    readonly accel: string,
    /** QEMU's version, in its own words. */
    readonly qemu: string,
    readonly commandLine: string,
    /** Name of its machine profile. */
    readonly profile: MachineName,
    /** Milliseconds until the guest was ready. */
    readonly bootMs: number,
    /** Whether it was not booted but taken from the cache. */
    readonly restored: boolean,
    /** What a person logs in with, and what the guest is known by. */
    readonly keys: { readonly userKeyFile: string; readonly hostKey: Buffer },
    private readonly signal: AbortSignal,
  ) {}

  /** False once the guest has ended (its kernel panicked, say): another bench has to be started. */
  get alive(): boolean {
    return !this.machine.dead;
  }

  /** How the guest's CPUs are emulated, if they are. */
  get threads(): Threads {
    return this.machine.threads;
  }

  /**
   * Builds the guest's image, boots it, and keeps the state that every scenario starts from: in QEMU, and in the cache for
   * the benches to come, which skip the boot. A state that does not restore as it was saved is dropped, and the guest booted.
   *
   * @throws MachineError when it does not boot; InfrastructureError when something to build or boot it with is missing
   */
  static async start(options: BenchOptions): Promise<Bench> {
    const { kernel, progress, signal } = options;
    const arch = { ...architectures[kernel.arch], machine: machineFor(kernel.arch, kernel.machine) };
    const [image, { accel, reason }, bootedFile, aio] = await Promise.all([
      imageFor(kernel, progress),
      chooseAccel(kernel.arch, options.accel),
      bootFile(kernel, progress),
      chooseAio(),
    ]);
    const hardware: Hardware = {
      arch,
      accel,
      kernel: bootedFile,
      initramfs: image.initramfs,
      transport: image.transport,
      agentPort: image.agentPort,
      aio,
      ...(options.threads === undefined ? {} : { threads: options.threads }),
      ...(options.rdinit === undefined ? {} : { rdinit: options.rdinit }),
      ...(kernel.append === undefined ? {} : { append: kernel.append }),
    };
    const fingerprint = await stateFingerprint(hardware, kernel.fingerprint, image.fingerprint);
    const plan = { options, image, hardware, why: `${accel}: ${reason}`, fingerprint };
    const saved = options.fresh === true ? undefined : await savedState(fingerprint);
    if (saved) {
      try {
        return await Bench.restore(plan, saved);
      } catch (error) {
        signal.throwIfAborted();
        progress(`the saved state of ${kernel.name} is of no use: ${messageOf(error)}`);
        await dropState(fingerprint);
      }
    }
    return Bench.boot(plan);
  }

  private static async restore(plan: Plan, saved: SavedState): Promise<Bench> {
    const { options, hardware, why } = plan;
    const { kernel, progress } = options;
    progress(`restoring ${kernel.name} (${kernel.release}) under QEMU, ${why}`);
    const begin = performance.now();
    const machine = await Machine.start({ ...hardware, ...fromOptions(options), restore: { states: saved, snapshot: pristine } });
    return Bench.reach(plan, machine, async (guest) => {
      const bootId = await bootIdOf(guest);
      if (bootId !== saved.bootId) throw new InfrastructureError(`it holds boot ${bootId}, not ${saved.bootId}`);
      return { bootMs: performance.now() - begin, restored: true };
    });
  }

  private static async boot(plan: Plan): Promise<Bench> {
    const { options, hardware, why, fingerprint } = plan;
    const { kernel, progress, signal } = options;
    progress(`booting ${kernel.name} (${kernel.release}) under QEMU, ${why}`);
    const begin = performance.now();
    const machine = await Machine.start({ ...hardware, ...fromOptions(options) });
    const bootMs = performance.now() - begin;
    return Bench.reach(plan, machine, async (guest) => {
      const bootId = await bootIdOf(guest);
      await settle(guest, machine.slowdown);
      if (!plan.image.agentPort) guest.disconnect();
      await machine.saveSnapshot(pristine);
      if (!plan.image.agentPort) await guest.reconnect({ signal });
      if (options.fresh !== true) {
        await keepState(fingerprint, machine, bootId, kernel.fingerprint).catch((error: unknown) => {
          progress(`the state of ${kernel.name} can't be kept, so that the next run boots again: ${messageOf(error)}`);
        });
      }
      return { bootMs, restored: false };
    });
  }

  /** Connects to a machine that runs, and makes a bench of it; or stops it, and says why its guest is not reached. */
  private static async reach(
    { options, image, hardware }: Plan,
    machine: Machine,
    prepare: (guest: SshGuest) => Promise<{ readonly bootMs: number; readonly restored: boolean }>,
  ): Promise<Bench> {
    const { signal } = options;
    try {
      const [qemu = ''] = (await host(machine.argv[0] ?? hardware.arch.qemu, ['--version'], { timeout: 10_000 })).split('\n');
      const guest = await SshGuest.connect({
        host: '127.0.0.1',
        port: machine.sshPort,
        privateKey: image.userKey,
        hostKey: image.hostKey,
        timeScale: machine.slowdown,
        readyTimeout: 20_000 * machine.slowdown,
        deadline: 60_000 * machine.slowdown,
        signal,
        ...(image.agentPort ? { agentChannel: () => machine.agentChannel() } : {}),
      });
      const { bootMs, restored } = await prepare(guest);
      return new Bench(machine, guest, hardware.accel, qemu, kernelCommandLine(hardware), hardware.arch.machine.name, Math.round(bootMs), restored, image, signal);
    } catch (error) {
      const cause = signal.aborted ? error : await whyUnreached(machine, error);
      await machine.stop();
      throw cause;
    }
  }

  /** Puts the guest back into its pristine state, connects anew, and gives it the present time and new random numbers. */
  async reset(): Promise<void> {
    this.guest.disconnect();
    await this.machine.loadSnapshot(pristine);
    await this.guest.reconnect({ deadline: 30_000 * this.machine.slowdown, signal: this.signal });
    must(await this.guest.renew(), 'giving the restored guest time and random numbers');
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

async function imageFor(kernel: AcquiredKernel, progress: Progress): Promise<Image> {
  const [agent, suite] = await Promise.all([buildAgent(kernel.arch, progress), hostSuite()]);
  return buildImage({ kernel, agent, suite, progress });
}

/** What a machine is given that is no part of what its saved state depends on. */
function fromOptions({ signal, bootDeadline, gdb, holdDead }: BenchOptions): Omit<MachineOptions, keyof Hardware> & Pick<Hardware, 'gdb'> {
  return {
    signal,
    ...(bootDeadline === undefined ? {} : { bootDeadline }),
    ...(gdb === undefined ? {} : { gdb }),
    ...(holdDead === undefined ? {} : { holdDead }),
  };
}

async function bootIdOf(guest: SshGuest): Promise<string> {
  const file = '/proc/sys/kernel/random/boot_id';
  return must(await guest.readText(file), file).trim();
}

/**
 * Waits until a guest that has just booted has nothing to do any more, so that no scenario begins with the rest of a boot;
 * and has it answer SSH once, since the first time takes longer. One that never settles is taken as it is.
 */
async function settle(guest: SshGuest, slowdown: number): Promise<void> {
  await guest.run('true');
  guest.closeSsh();
  const deadline = Date.now() + 3000 * slowdown;
  for (let before = ''; Date.now() < deadline; ) {
    await sleep(100);
    const threads = must(await guest.sweep(), 'sweep');
    const busy = threads.some((t) => t.pid !== guest.agentPid && (t.state === 'R' || t.state === 'D'));
    const now = `${await guest.logEnd()} ${threads.map((t) => t.tid).join(' ')}`;
    if (now === before && !busy) return;
    before = now;
  }
}

/** Why a guest that had said it was ready is not reached: what its console knows says more than SSH's deadline. */
async function whyUnreached(machine: Machine, error: unknown): Promise<unknown> {
  if (!(error instanceof ConnectionLostError || error instanceof DeadlineError)) return error;
  const diagnosis = await machine.diagnose();
  return diagnosis.kind === 'connection lost' ? error : diagnosis;
}
