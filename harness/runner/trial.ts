// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import type { ElfObject } from '../elf/index.js';
import { DeadlineError, InfrastructureError } from '../errors.js';
import { ConnectionLostError } from '../guest/errors.js';
import { type Outcome, must } from '../guest/guest.js';
import { type Hold, holdText, whoHolds } from '../guest/holders.js';
import { SituationError } from '../model/reference.js';
import type { TrialResult, TrialStep, TrialTransition } from '../report/trial-schema.js';
import { MachineError, failureOf, worstReport } from '../vm/failure.js';
import { hostWait } from '../vm/host-wait.js';
import { within } from '../vm/within.js';
import { emulatorFault } from './attempt.js';
import type { Bench } from './bench.js';
import { kernelLog } from './evidence.js';
import { TrialEnded, TrialRecord } from './trial-record.js';
import { hasNoExit, leadsAstray, patchedFunctions, resolvedSymbols, symbolText, symbolsText, sysfsTree, taints, whyItStays } from './trial-sights.js';
import { awaitTransition, unlessKernelBreaks } from './trial-wait.js';
import { TransitionWatch } from './trial-watch.js';

/** A module as the user has it. */
export interface TrialModule {
  /** What the kernel calls it. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly object: ElfObject;
}

/** What is to be tried. */
export interface TrialRequest {
  /** One patch, or several that follow one another. */
  readonly patches: readonly TrialModule[];
  /** Modules that are loaded before the first patch. */
  readonly targets: readonly TrialModule[];
  /** Modules that are loaded when the last patch is in. */
  readonly later: readonly TrialModule[];
  /** A shell command before the first patch, when the targets are loaded. */
  readonly before?: string | undefined;
  /** A shell command with the patch in place, which has to succeed. */
  readonly exercise?: string | undefined;
  /** Processes that compute, fork and sleep all the time. */
  readonly stress: boolean;
  /** Milliseconds that a transition has, at the pace of a machine that is not emulated. */
  readonly patience: number;
}

/** What a trial showed. */
export type TrialFindings = Pick<TrialResult, 'verdict' | 'reasons' | 'steps' | 'transitions' | 'sysfs' | 'taint' | 'log'>;

const root = '/sys/kernel/livepatch';
const folder = '/tmp/klp-try';

/** Milliseconds a shell command has. */
const commandPatience = 120_000;
/** Milliseconds until a patch that has been disabled can be unloaded. */
const unloadPatience = 10_000;
/** Milliseconds that a step has in a kernel that broke. */
const brokenPatience = 2000;
/** Lines kept of a command's output and of the log that belongs to a step. */
const linesKept = 20;

/**
 * Loads, watches, reverts, unloads livepatches in a guest, all of it twice, and says what was not as it should be.
 * @param bench a guest in its pristine state; after this it is of no further use
 * @param said  is told each step as it is done
 * @throws InfrastructureError when guest or host let the trial down; the reason of an aborted signal
 */
export async function runTrial(bench: Bench, request: TrialRequest, said: (step: TrialStep) => void): Promise<TrialFindings> {
  return new Trial(bench, request, said).run();
}

class Trial {
  private readonly record: TrialRecord;
  /** Patches that were loaded and not unloaded yet, oldest first. */
  private loaded: TrialModule[] = [];

  constructor(
    private readonly bench: Bench,
    private readonly request: TrialRequest,
    said: (step: TrialStep) => void,
  ) {
    this.record = new TrialRecord(said);
  }

  async run(): Promise<TrialFindings> {
    const { bench } = this;
    const mark = bench.mark();
    const from = await bench.guest.logEnd();
    const before = await taints(bench.guest);
    try {
      const broke = (): void => this.record.close('the kernel broke meanwhile');
      await unlessKernelBreaks(bench.machine.console, brokenPatience * bench.machine.slowdown, this.everything(), broke);
    } catch (error) {
      if (!(error instanceof TrialEnded)) await this.explain(error, mark);
    }
    const after = bench.alive ? await within(taints(bench.guest), brokenPatience * bench.machine.slowdown, 'the taints').catch(() => before) : before;
    this.judgeKernel(mark, before, after);
    const log = [...(await kernelLog(bench, from, this.record.begin))];
    return { ...this.record.findings(), taint: { before: [...before], after: [...after] }, log };
  }

  private async everything(): Promise<void> {
    const { guest } = this.bench;
    const { patches, targets, later, before, stress } = this.request;
    await guest.push(folder, [...patches, ...targets, ...later].map(({ name, bytes }) => ({ name: `${name}.ko`, content: bytes })));
    for (const target of targets) await this.loadTarget(target);
    if (before !== undefined) await this.command('before', before);
    if (stress) await this.startStress();
    for (const again of [false, true]) {
      for (const patch of patches) await this.apply(patch, again);
      if (!again) for (const target of later) await this.loadTarget(target);
      const newest = patches.at(-1);
      if (newest && !again && later.length > 0) await this.lookAt(newest);
      if (this.request.exercise !== undefined) await this.command('exercise', this.request.exercise);
      for (const patch of [...this.loaded].reverse()) await this.revert(patch);
    }
    for (const target of [...targets, ...later].reverse()) await this.unload(target);
  }

  /** insmod of a patch, and its transition to the end. */
  private async apply(patch: TrialModule, again: boolean): Promise<void> {
    const { guest } = this.bench;
    const older = [...this.loaded];
    const watch = await TransitionWatch.start(guest, patch.name);
    const log = await guest.logEnd();
    const what = `insmod ${patch.name}${again ? ', again' : ''}`;
    const outcome = await this.record.step(what, async () => {
      const result = await guest.insmod(`${folder}/${patch.name}.ko`);
      return { value: result, outcome: result.name, ok: result.ok, lines: result.ok ? [] : await this.logSince(log) };
    });
    if (!outcome.ok) {
      await watch.cancel();
      this.record.end('refused', `the kernel refuses ${patch.name}${again ? ' the second time' : ''}: insmod ends with ${outcome.name}`);
    }
    this.loaded.push(patch);
    const enabled = await guest.readText(`${root}/${patch.name}/enabled`);
    if (!enabled.ok) {
      await watch.cancel();
      this.record.end('unclean', `${patch.name} is loaded, but no patch of that name is there: its init enables none`);
    }
    if (enabled.value.trim() === '1') await this.transition(patch, 'patched', what, watch, outcome);
    else await this.write(patch, 'patched', watch);
    await this.lookAt(patch);
    for (const { name } of older) {
      const stays = await this.stays(name);
      this.record.note(`${name}, which was there before`, stays ? 'stays, below it' : 'is replaced', true);
    }
  }

  /** Whether an older patch is still enabled; the kernel takes a replaced one's folder away a moment after it has disabled it. */
  private async stays(name: string): Promise<boolean> {
    const { guest, machine } = this.bench;
    const enabled = await guest.readText(`${root}/${name}/enabled`);
    if (!enabled.ok || enabled.value.trim() === '1') return enabled.ok;
    const gone = await guest.awaitGone(`${root}/${name}/enabled`, unloadPatience * machine.slowdown);
    if (!gone.ok || !gone.value.came) this.record.find('unclean', `${name} is disabled, but its folder in sysfs stays`);
    return false;
  }

  /** Waits for the end of a transition, and says who holds it if it does not come. */
  private async transition(
    patch: TrialModule,
    to: TrialTransition['to'],
    what: string,
    watch: TransitionWatch,
    operation: Outcome<unknown>,
  ): Promise<void> {
    const { guest } = this.bench;
    const { name } = patch;
    const ended = await this.record.step(`transition of ${name} to ${to}`, async () => {
      const hold = await this.held(name);
      const seen = await watch.stop(operation.span.begin, what, to);
      this.record.transitions.push(seen);
      const lines = hold ? holdText(hold) : [];
      const last = seen.threads.filter((t) => t.switched !== null).sort((a, b) => (b.switched ?? 0) - (a.switched ?? 0))[0];
      const latest = last ? `; the last thread seen to switch: ${last.comm} (${last.tid}), after ${last.switched ?? 0} ms` : '';
      const took = seen.ended === null ? '' : `after ${seen.ended} ms`;
      return { value: !hold, outcome: hold ? 'held' : `ended ${took}${latest}`.trim(), ok: !hold, lines };
    });
    if (ended) return;
    if (to === 'unpatched') this.record.end('held', `the transition of ${name} to ${to} does not end`);
    this.record.find('held', `the transition of ${name} to ${to} does not end`);
    await this.record.step(`write 0 to enabled of ${name}, which turns the transition round`, async () => {
      const written = await guest.write(`${root}/${name}/enabled`, '0');
      const hold = written.ok ? await this.held(name) : await whoHolds(guest);
      const back = written.ok && !hold;
      return { value: undefined, outcome: back ? 'the patch is gone' : written.ok ? 'held on the way back, too' : written.name, ok: back, lines: hold ? holdText(hold) : [] };
    });
    if (!(await whoHolds(guest))) await this.unload(patch);
    throw new TrialEnded();
  }

  /** Who holds the transition of a patch that does not end in time; undefined when it ends. */
  private held(name: string): Promise<Hold | undefined> {
    const { guest, machine } = this.bench;
    return awaitTransition(guest, name, this.request.patience * machine.slowdown, () => hostWait(machine.pid));
  }

  /** What a patch that is in place patches, and where its relocations lead. */
  private async lookAt({ name }: TrialModule): Promise<void> {
    const { guest } = this.bench;
    await this.keepTree(`with ${name} in place`);
    const objects = await patchedFunctions(guest, name);
    for (const { object, functions, loaded } of objects) {
      const what = `${name} replaces in ${object}`;
      this.record.note(what, loaded ? functions.join(', ') : `nothing yet, ${object} is not loaded (${functions.join(', ')})`, true);
    }
    const symbols = await resolvedSymbols(guest, name);
    const wrong = symbols.filter(leadsAstray);
    for (const symbol of wrong) this.record.find('unclean', `relocation symbol of ${name}: ${symbolText(symbol)}`);
    if (symbols.length > 0) this.record.note(`relocation symbols of ${name}`, symbolsText(symbols), wrong.length === 0, wrong.map(symbolText));
  }

  /** Disables a patch, watches the transition, and unloads the module. */
  private async revert(patch: TrialModule): Promise<void> {
    const { guest } = this.bench;
    const { name } = patch;
    const enabled = await guest.readText(`${root}/${name}/enabled`);
    if (enabled.ok && enabled.value.trim() === '1') await this.write(patch, 'unpatched', await TransitionWatch.start(guest, name));
    await this.unload(patch);
    await this.keepTree(`after ${name} was unloaded`);
    this.loaded = this.loaded.filter((p) => p !== patch);
  }

  /** Writes to `enabled`, and waits for the transition. A patch that its module only registers (4.12 to 5.0) is enabled so, too. */
  private async write(patch: TrialModule, to: TrialTransition['to'], watch: TransitionWatch): Promise<void> {
    const { guest } = this.bench;
    const { name } = patch;
    const value = to === 'patched' ? '1' : '0';
    const what = `write ${value} to enabled of ${name}`;
    const log = await guest.logEnd();
    const outcome = await this.record.step(what, async () => {
      const result = await guest.write(`${root}/${name}/enabled`, value);
      return { value: result, outcome: result.name, ok: result.ok, lines: result.ok ? [] : await this.logSince(log) };
    });
    if (!outcome.ok) {
      await watch.cancel();
      this.record.end(to === 'patched' ? 'refused' : 'unclean', `${name} cannot be ${to === 'patched' ? 'enabled' : 'disabled'}: ${outcome.name}`);
    }
    await this.transition(patch, to, what, watch, outcome);
  }

  private async loadTarget({ name }: TrialModule): Promise<void> {
    const { guest } = this.bench;
    const log = await guest.logEnd();
    const outcome = await this.record.step(`insmod ${name}, a target`, async () => {
      const result = await guest.insmod(`${folder}/${name}.ko`);
      return { value: result, outcome: result.name, ok: result.ok, lines: result.ok ? [] : await this.logSince(log) };
    });
    if (!outcome.ok) this.record.end('refused', `the kernel refuses target ${name}: insmod ends with ${outcome.name}`);
  }

  /** rmmod; the kernel lets go of a patch a moment after its transition. */
  private async unload({ name, object }: TrialModule): Promise<void> {
    const { guest, machine } = this.bench;
    const outcome = await this.record.step(`rmmod ${name}`, async () => {
      const deadline = Date.now() + (hasNoExit(object) ? 0 : unloadPatience * machine.slowdown);
      let result = await guest.rmmod(name);
      while (!result.ok && Date.now() < deadline && ['EAGAIN', 'EBUSY'].includes(result.name)) {
        await sleep(50);
        result = await guest.rmmod(name);
      }
      return { value: result, outcome: result.name, ok: result.ok, lines: [] };
    });
    if (outcome.ok) return;
    const why = await whyItStays(guest, name, object);
    this.record.end('unclean', `${name} cannot be unloaded: rmmod ends with ${outcome.name}${why === undefined ? '' : `; ${why}`}`);
  }

  /** A command of the user's; that it fails is a finding. */
  private async command(which: 'before' | 'exercise', command: string): Promise<void> {
    const { guest, machine } = this.bench;
    const timeout = commandPatience * machine.slowdown;
    const end = await this.record.step(`${which}: ${command}`, async () => {
      try {
        const { code, stdout, stderr } = await guest.run(command, { timeout });
        const lines = `${stdout}${stderr}`.split('\n').filter((text) => text !== '').slice(-linesKept);
        return { value: code === 0 ? undefined : `ends with status ${code}`, outcome: `status ${code}`, ok: code === 0, lines };
      } catch (error) {
        // Not one of those for a connection.
        if (!(error instanceof DeadlineError) || !error.awaited.endsWith('to end in the guest')) throw error;
        const value = `has not ended after ${timeout / 1000} s`;
        return { value, outcome: value, ok: false, lines: [] };
      }
    });
    if (end !== undefined) this.record.end('unclean', `--${which} ${end}`);
  }

  private async startStress(): Promise<void> {
    const { guest } = this.bench;
    await this.record.step('start processes that compute, fork and sleep', async () => {
      for (const kind of ['spin', 'forks', 'spin'] as const) must(await guest.spawn({ kind, name: `klp-${kind}` }), `starting ${kind}`);
      must(await guest.spawn({ kind: 'sleep', name: 'klp-sleep', threads: 50 }), 'starting sleepers');
      return { value: undefined, outcome: 'OK', ok: true, lines: [] };
    });
  }

  private async keepTree(when: string): Promise<void> {
    const lines = await sysfsTree(this.bench.guest);
    this.record.trees.push({ when, lines: [...lines] });
  }

  private async logSince(from: bigint): Promise<readonly string[]> {
    const { records } = await this.bench.guest.log(from);
    return records.slice(-linesKept).map((r) => r.text);
  }

  /**
   * An exception: what became of the guest says whether it is a finding.
   * @throws what it was, when it says nothing of the kernel
   */
  private async explain(error: unknown, mark: number): Promise<void> {
    if (error instanceof SituationError) throw new InfrastructureError(error.message, { cause: error });
    const known = error instanceof ConnectionLostError || error instanceof MachineError || error instanceof InfrastructureError;
    if (!known) throw error;
    const reports = this.bench.reportsSince(mark);
    const diagnosis = error instanceof MachineError ? error : await this.bench.machine.diagnose();
    const bad = worstReport(reports.filter((r) => r.kind !== 'warning'));
    if (!bad && (diagnosis.kind === 'infrastructure' || diagnosis.kind === 'connection lost')) throw error;
    this.record.note('the guest', diagnosis.message, false, diagnosis.details.filter((text) => text.startsWith('console: ')));
    this.record.find('crashed', `the kernel broke: ${bad?.title ?? diagnosis.message}`);
  }

  /** What the kernel complained of, and what it is tainted with now. */
  private judgeKernel(mark: number, before: readonly string[], after: readonly string[]): void {
    const reports = this.bench.reportsSince(mark);
    const emulator = emulatorFault(this.bench, reports);
    if (emulator) throw new InfrastructureError(emulator.reason ?? 'an emulator fault', { hint: 'try again: it is a race of the emulator' });
    for (const report of reports) {
      const crash = report.kind !== 'warning';
      this.record.note(crash ? failureOf(report) : 'warning', report.title, false, report.lines.map((l) => l.text).slice(0, 40));
      this.record.find(crash ? 'crashed' : 'unclean', `${crash ? 'the kernel broke' : 'the kernel warned'}: ${report.title}`);
    }
    const usual = /livepatch|out of the tree|not signed/;
    const added = after.filter((t) => !before.includes(t) && !usual.test(t));
    if (added.length > 0 && reports.length === 0) this.record.find('unclean', `the kernel is tainted: ${added.join('; ')}`);
  }
}
