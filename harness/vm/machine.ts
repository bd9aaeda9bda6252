// SPDX-License-Identifier: MIT
import { spawn, type ChildProcess } from 'node:child_process';
import type { FileHandle } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeadlineError, InfrastructureError, messageOf } from '../errors.js';
import { lastLines, scrubbedEnvironment } from '../host.js';
import { inherited, qemuArguments, shellQuoted, type Hardware, type Threads } from './argv.js';
import { Console, type ConsoleReport } from './console.js';
import { MachineError, describeExit, whatBecame, type FailureKind, type MachineExit } from './failure.js';
import { Port } from './port.js';
import { findProgram, tiedToUs } from './qemu.js';
import { Qmp } from './qmp.js';
import { checkStates, copyStates, openStates, roomForStates, type SavedStates } from './states.js';
import { type RegisterDump, readRegisters } from './registers.js';
import { within } from './within.js';

export interface MachineOptions extends Omit<Hardware, 'paused'> {
  /** Milliseconds from power-on to the ready marker; scaled by architecture and accelerator when left out. */
  readonly bootDeadline?: number;
  /** Begin with a state another machine saved (`exportStates`), instead of booting. */
  readonly restore?: { readonly states: SavedStates; readonly snapshot: string };
  /** Aborting kills QEMU, at any time. */
  readonly signal?: AbortSignal;
  /** Once ready, a guest that ends (a panic does so after a second) is held as it is instead of ending QEMU. */
  readonly holdDead?: boolean;
  /** Called before the first line of the console can come: listen to its emitter here. */
  readonly onConsole?: (console: Console) => void;
}

/** Milliseconds, without an accelerator multiplied by the architecture's `tcgSlowdown`. */
const patience = { boot: 30_000, snapshot: 20_000, quit: 5000 };

/** A running QEMU. From `start` on, until `stop`, the console is watched and QEMU ends with this process. */
export class Machine {
  readonly argv: readonly string[];
  readonly console = new Console();
  /** Settled when QEMU is gone, for whatever reason; never rejected. */
  readonly exited: Promise<MachineExit>;
  /** Settled when the guest has ended and QEMU holds it (`holdDead`); else never. */
  readonly held: Promise<void>;
  /** Every report of the console so far. */
  readonly reports: ConsoleReport[] = [];
  private readonly child: ChildProcess;
  private readonly scale: number;
  private readonly agent: Port | undefined;
  private control: Qmp | undefined;
  private port = 0;
  private exit: MachineExit | undefined;
  private shutdown: string | undefined;
  private hold: () => void = () => undefined;
  private atPanic: Promise<RegisterDump | undefined> | undefined;
  /** How many reports there were when the guest was last restored. */
  private restoredAt = 0;
  private stopping = false;
  private stderr = '';

  private constructor(
    private readonly options: MachineOptions,
    private readonly states: FileHandle,
  ) {
    const { arch, accel, signal } = options;
    const qemu = findProgram(arch.qemu, arch.qemuPackage);
    this.argv = [qemu, ...qemuArguments({ ...options, paused: options.restore !== undefined })];
    // In one thread, a CPU has to wait for the others.
    const turns = options.threads === 'single' ? (options.cpus ?? arch.machine.cpus) : 1;
    this.scale = accel === 'tcg' ? arch.tcgSlowdown * turns : 1;
    const { command, args } = tiedToUs(qemu, this.argv.slice(1));
    this.console.emitter.on('report', (report) => this.reports.push(report));
    // A second later there may be no QEMU to ask.
    this.console.emitter.on('complaint', (kind) => {
      if (kind === 'panic' && this.control) this.atPanic ??= readRegisters(this.control);
    });
    this.held = new Promise((resolve) => (this.hold = resolve));
    options.onConsole?.(this.console);
    this.child = spawn(command, args, {
      env: scrubbedEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', states.fd, options.agentPort === true ? 'pipe' : 'ignore'],
    });
    const socket = (this.child.stdio as readonly unknown[])[inherited.agent] as Duplex | null | undefined;
    this.agent = socket ? new Port(socket) : undefined;
    this.exited = this.watch();
    const kill = (): void => this.kill();
    signal?.addEventListener('abort', kill, { once: true });
    void this.exited.then(() => signal?.removeEventListener('abort', kill));
  }

  /**
   * Powers a machine on and waits until its guest says that SSH listens; or restores one that had been ready.
   *
   * @throws MachineError: `panic` when the kernel panicked before, `silence` when the console stayed empty, `boot failed`
   *   when it did not but the guest never got ready or said why not, `infrastructure` when QEMU ended by itself
   * @throws InfrastructureError when a program is missing; the signal's reason when it was aborted
   */
  static async start(options: MachineOptions): Promise<Machine> {
    options.signal?.throwIfAborted();
    findProgram(options.arch.qemu, options.arch.qemuPackage);
    // Meanwhile QEMU starts: it loads nothing before this is known.
    const checked = options.restore && checkStates(options.restore.states);
    checked?.catch(() => undefined);
    const states = await openStates(options.restore?.states);
    let machine: Machine;
    try {
      options.signal?.throwIfAborted();
      machine = new Machine(options, states);
    } catch (error) {
      await states.close();
      throw error;
    }
    try {
      await machine.becomeReady(checked);
    } catch (error) {
      await machine.stop();
      options.signal?.throwIfAborted();
      throw error;
    }
    return machine;
  }

  /** Port on 127.0.0.1 that leads to the guest's SSH. */
  get sshPort(): number {
    return this.port;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /**
   * A new stream to the agent's port in the guest; an earlier one is closed.
   * @throws InfrastructureError when the machine has no such port
   */
  agentChannel(): Duplex {
    if (!this.agent) throw new InfrastructureError('this machine has no port for the guest agent');
    return this.agent.channel();
  }

  /** @throws MachineError when QEMU is gone or was never reached */
  get qmp(): Qmp {
    if (this.control) return this.control;
    throw this.failure('infrastructure', 'QEMU was never reached');
  }

  /** Whether QEMU has ended, or holds a guest that has. */
  get dead(): boolean {
    return this.exit !== undefined || this.isHeld;
  }

  /** How QEMU ended; undefined as long as it runs. */
  get ended(): MachineExit | undefined {
    return this.exit;
  }

  /** Where a debugger reaches the guest. */
  get gdb(): string | undefined {
    return this.options.gdb;
  }

  /** The registers when the console began to tell of a panic, if it did and QEMU answered. */
  get panicRegisters(): Promise<RegisterDump | undefined> {
    return this.atPanic ?? Promise.resolve(undefined);
  }

  /** How the guest's CPUs are emulated, if they are. */
  get threads(): Threads {
    return this.options.threads ?? 'multi';
  }

  /** The factor on guest deadlines: 1 with an accelerator. */
  get slowdown(): number {
    return this.scale;
  }

  /** QEMU's command line as a person would type it (descriptors 3 and 4 are ours). */
  get commandLine(): string {
    return shellQuoted(this.argv);
  }

  /**
   * Keeps the guest's whole state under a name, overwriting an earlier one. The guest stands still meanwhile.
   * @throws MachineError of kind `infrastructure` with QEMU's words
   */
  async saveSnapshot(name: string): Promise<void> {
    try {
      await this.snapshotCommand('savevm', name);
    } catch (error) {
      // QEMU speaks of an input/output error when the disk is full.
      throw error instanceof MachineError ? error.withHint(await roomForStates()) : error;
    }
  }

  /**
   * Puts the guest back into a state saved before. Its clock and its random state are those of then: whoever draws
   * keys in it reseeds first. TCP connections from before are dead: connect anew.
   * @throws MachineError of kind `infrastructure` with QEMU's words; the guest then stands still until another is loaded
   */
  async loadSnapshot(name: string): Promise<void> {
    this.console.settle();
    this.restoredAt = this.reports.length;
    await this.snapshotCommand('loadvm', name);
    // QEMU itself goes on only if the guest was running before.
    await this.qmp.execute('cont');
  }

  /**
   * Writes every state saved so far to a file, for `restore` of another machine with the same `stateFingerprint`.
   * @param file is overwritten
   */
  async exportStates(file: string): Promise<void> {
    await copyStates(this.states, file);
  }

  /** Kills QEMU unless it ends when asked. Does no harm when called again. */
  async stop(): Promise<MachineExit> {
    this.stopping = true;
    if (!this.exit && this.control) {
      await this.control.execute('quit', {}, patience.quit).catch(() => undefined);
      await this.waitForEnd(patience.quit);
    }
    if (!this.exit) this.kill();
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /**
   * What became of a guest that no longer answers. A panic is on the console before the connection notices, but its
   * text may still be on the way: waits until QEMU has ended or the console has been still. Counts what was reported
   * since the last restore.
   * @param milliseconds longest time to wait for either
   */
  async diagnose(milliseconds = 2000 * this.scale): Promise<MachineError> {
    const mark = this.reports.length;
    const deadline = performance.now() + milliseconds;
    let seen = this.console.mark();
    let stillSince = performance.now();
    while (!this.dead && performance.now() < deadline) {
      await sleep(100);
      if (this.console.mark() !== seen) {
        seen = this.console.mark();
        stillSince = performance.now();
      }
      if (this.reports.length > mark && performance.now() - stillSince > 1000) break;
    }
    this.console.settle();
    const end = this.isHeld ? 'held' : this.exit;
    const { kind, message } = whatBecame(this.reports.slice(this.restoredAt), end);
    return this.failure(kind, message);
  }

  /** A MachineError with the console's end and QEMU's command line among its details. */
  failure(kind: FailureKind, message: string, cause?: unknown): MachineError {
    const stderr = this.stderr.trim();
    return new MachineError(kind, message, {
      cause,
      details: [
        ...this.console.tail(20).map((line) => `console: ${line}`),
        ...(stderr === '' ? [] : lastLines(stderr, 10).map((line) => `qemu: ${line}`)),
        `command: ${this.commandLine}`,
      ],
    });
  }

  private async becomeReady(statesChecked: Promise<void> | undefined): Promise<void> {
    // Listens before anything can be missed.
    const ready = this.readyMarker();
    ready.catch(() => undefined);
    const gone = this.exited.then(() => Promise.reject(new InfrastructureError('QEMU is gone')));
    gone.catch(() => undefined);
    const reaching = Qmp.connect(this.child.stdio[inherited.qmp] as Duplex, 10_000 * this.scale);
    reaching.catch(() => undefined);
    try {
      this.control = await Promise.race([reaching, gone]);
    } catch (error) {
      // The connection breaks a moment before the process is seen to be gone.
      await this.waitForEnd(1000);
      throw this.failure('infrastructure', this.exit ? describeExit(this.exit) : messageOf(error), error);
    }
    this.control.emitter.on('event', ({ event, data }) => {
      if (event !== 'SHUTDOWN') return;
      this.shutdown = String(data.reason);
      if (this.isHeld) this.hold();
    });
    this.port = sshPortOf(await this.control.human('info usernet'));
    const { restore } = this.options;
    if (restore) {
      await statesChecked;
      await this.loadSnapshot(restore.snapshot);
    } else {
      await this.awaitReady(ready);
    }
    // Not before: a guest that ends while it boots is known by QEMU's end.
    if (this.options.holdDead === true) await this.control.execute('set-action', { shutdown: 'pause' });
  }

  private get isHeld(): boolean {
    const byItself = this.shutdown === 'guest-reset' || this.shutdown === 'guest-shutdown';
    return this.options.holdDead === true && !this.exit && byItself;
  }

  private async awaitReady(ready: Promise<void>): Promise<void> {
    const { arch, bootDeadline = patience.boot * this.scale } = this.options;
    const gone = this.exited.then((exit) => {
      const panic = this.reports.find((report) => report.kind === 'panic');
      if (panic) throw this.failure('panic', `the kernel panicked while booting: ${panic.title}`);
      if (exit.reason === 'powered off' || exit.reason === 'reset') {
        throw this.failure('boot failed', `the guest ${exit.reason === 'reset' ? 'was reset' : 'powered off'} before it was ready`);
      }
      throw this.failure('infrastructure', describeExit(exit));
    });
    try {
      await within(Promise.race([ready, gone]), bootDeadline, `the ${arch.arch} guest to print "klp-guest: ready"`);
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error;
      const { silent } = this.console;
      const how = silent ? 'its console stayed empty' : 'its console ends with what is below';
      throw this.failure(silent ? 'silence' : 'boot failed', `${error.message}: ${how}`, error);
    } finally {
      gone.catch(() => undefined);
    }
  }

  private readyMarker(): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      this.console.emitter.on('guest', (what) => {
        if (what === 'ready') resolve();
        else if (what.startsWith('failed: ')) reject(this.failure('boot failed', `the guest gave up: ${what.slice(8)}`));
      });
    });
  }

  private async snapshotCommand(command: 'savevm' | 'loadvm', name: string): Promise<void> {
    if (!/^[A-Za-z][\w.-]*$/.test(name)) throw new InfrastructureError(`"${name}" is no name for a snapshot`);
    // Neither has a word for success: any word is a complaint.
    const complaint = await this.qmp.human(`${command} ${name}`, patience.snapshot * this.scale).catch(messageOf);
    if (complaint !== '') {
      throw this.failure('infrastructure', `${command} ${name}: ${complaint.replace(/^Error: /, '')}`);
    }
  }

  /** Waits for QEMU's end, but no longer than this. */
  private async waitForEnd(milliseconds: number): Promise<void> {
    await within(this.exited, milliseconds, 'QEMU to end').catch(() => undefined);
  }

  private kill(): void {
    this.stopping = true;
    this.child.kill('SIGKILL');
  }

  private watch(): Promise<MachineExit> {
    const { child } = this;
    child.stdout?.on('data', (chunk: Buffer) => this.console.feed(chunk));
    child.stderr?.on('data', (chunk: Buffer) => (this.stderr = (this.stderr + chunk.toString()).slice(-16_384)));
    return new Promise((resolve) => {
      let failed = '';
      child.on('error', (error) => (failed = error.message));
      child.on('close', (code, signal) => {
        void this.states.close().catch(() => undefined);
        this.console.settle();
        this.control?.close();
        this.exit = { reason: this.exitReason(code), code, signal, stderr: `${failed}${this.stderr}` };
        resolve(this.exit);
      });
    });
  }

  private exitReason(code: number | null): MachineExit['reason'] {
    if (this.reports.some((report) => report.kind === 'panic')) return 'panic';
    if (this.shutdown === 'guest-reset') return 'reset';
    if (this.shutdown === 'guest-shutdown') return 'powered off';
    if (this.stopping) return 'stopped';
    return code === null ? 'killed' : 'failed';
  }
}

/** The port the host chose, from `info usernet`. */
function sshPortOf(usernet: string): number {
  const port = /^\s*TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+22\s/m.exec(usernet)?.[1];
  if (port === undefined) throw new InfrastructureError('QEMU does not say which port leads to the guest', { details: [usernet] });
  return Number(port);
}
