// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import { InfrastructureError } from '../errors.js';
import type { EventType, Payload } from '../events/schema.js';
import { type Guest, type Outcome, type Span, type Task, calls, must } from '../guest/guest.js';
import type { FunctionName, LivepatchDescription, ModuleDescription } from '../model/description.js';
import { vmlinux } from '../model/description.js';
import type { Observation } from '../model/observations/index.js';
import type { Operation } from '../model/operations/index.js';
import { type Judgement, ModelViolation, type ReferenceModel, SituationError } from '../model/reference.js';
import { type Body, holders, original, reachableBodies, references } from '../model/state.js';
import { readEnabledFunctions, readKallsyms } from '../guest/kernel-tables.js';
import { Activity, narrated } from './activity.js';
import type { Observe, ParkOptions, ScenarioContext, Sleeper } from './scenario.js';

/** Where a scenario's modules lie in the guest. */
export const moduleDirectory = '/tmp/klp-modules';

/** How the lines begin that we write into the guest's kernel log. */
const logMark = 'klp-harness: ';

const livepatchRoot = '/sys/kernel/livepatch';

/** Milliseconds of the guest's clock, for what its kernel times itself: stragglers are retried every second. */
const kernelTime = {
  /** Until every thread that nothing holds has switched, and the transition ends. */
  transition: 40_000,
  /** A held transition is watched for several retry intervals. */
  held: 3500,
};

/** Milliseconds of work, multiplied by the machine's slowdown. */
const patience = { park: 10_000, release: 10_000, departure: 10_000 };

/** What the session reports; the runner adds kernel and scenario. */
export type Emit = <T extends SessionEvent>(type: T, payload: Omit<Payload<T>, 'kernel' | 'scenario'>) => void;
export type SessionEvent = Extract<EventType, 'operation' | 'observation' | 'witness' | 'judgement'>;

/**
 * One scenario's hold on a pristine guest: carries operations out on kernel and model alike, and lets the model judge
 * what is seen.
 */
export class Session {
  /** What was done and when, for failures that come out of the blue. */
  readonly activity = new Activity();
  readonly judgements: Judgement[] = [];
  readonly context: ScenarioContext;
  private readonly guest: Guest;
  #commandLine = '';
  #ended = false;
  #astray = false;

  constructor(
    guest: Guest,
    private readonly model: ReferenceModel,
    private readonly modules: readonly ModuleDescription[],
    private readonly slowdown: number,
    private readonly emit: Emit,
  ) {
    this.guest = this.leashed(guest);
    const observe: Observe = {
      threads: () => this.threads(false),
      settledThreads: () => this.threads(true),
      sysfs: (patch) => this.sysfs(patch),
      call: (f) => this.call(f),
      references: (module) => this.references(module),
      transitionEnd: (patch) => this.transitionEnd(patch),
      departure: (patch) => this.departure(patch),
      resolvedSymbols: (patch) => this.resolvedSymbols(patch),
      ftrace: (f) => this.ftrace(f),
    };
    this.context = {
      guest: narrated(this.guest, this.activity),
      model,
      observe,
      load: (module) => this.load(module),
      unload: (module) => this.unload(module),
      write: (patch, text) => this.write(patch, text),
      enable: (patch) => this.write(patch, '1'),
      disable: (patch) => this.write(patch, '0'),
      park: (f, options) => this.park(f, options),
    };
  }

  get doing(): string {
    return this.activity.current.what;
  }

  set doing(what: string) {
    this.activity.step(what);
  }

  /**
   * The guest, out of reach once the session has ended: what an abandoned scenario still tries, the steps and waits of this
   * class included, must not touch the guest of the next one.
   */
  private leashed(guest: Guest): Guest {
    return new Proxy(guest, {
      get: (target, key) => {
        if (this.#ended) throw new SituationError('the scenario has ended');
        const value: unknown = Reflect.get(target, key);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }

  /** After this the scenario has no guest any more: it is over, or its time is up. */
  end(): void {
    this.#ended = true;
  }

  /** Before the scenario: what the unpatched kernel says. */
  async prepare(): Promise<void> {
    this.doing = 'reading /proc/cmdline';
    this.#commandLine = must(await this.guest.readText('/proc/cmdline'), '/proc/cmdline').trim();
  }

  // ---- operations ----------------------------------------------------------------------------------------------

  private async operate(op: Operation, what: string, perform: () => Promise<Outcome<unknown>>): Promise<void> {
    this.doing = what;
    const from = await this.guest.logEnd();
    const outcome = await perform();
    // A mark for whoever reads the log; and the kernel's own last line, if it lacks its newline, ends only with the next
    // record (kernel/printk): REG-6's does.
    await this.guest.write('/dev/kmsg', `<7>${logMark}${what}: ${outcome.name}\n`);
    const log = (await this.guest.log(from)).records.map((r) => r.text).filter((text) => !text.startsWith(logMark));
    this.emit('operation', { what, result: outcome.name, span: spanText(outcome.span) });
    try {
      this.judge(this.model.operate(op, what, { errno: outcome.name, log }));
    } catch (error) {
      if (error instanceof ModelViolation) this.judge(error.judgements);
      throw error;
    }
  }

  private load(module: ModuleDescription): Promise<void> {
    const path = `${moduleDirectory}/${module.name}.ko`;
    return this.operate({ kind: 'load', module }, `insmod ${module.name}`, async () => {
      const outcome = await this.guest.insmod(path);
      this.requireTrusted(module, outcome);
      return outcome;
    });
  }

  /** A key that the kernel does not trust is the user's fault, and says nothing of livepatch. */
  private requireTrusted(module: ModuleDescription, { name }: Outcome<unknown>): void {
    if (!this.model.facts.capabilities.has('signatures-enforced') || !/^E(?:NO)?KEY/.test(name)) return;
    throw new InfrastructureError(`the kernel does not trust the key that ${module.name} is signed with: insmod ends with ${name}`, {
      hint: 'the certificate of --sign-cert must be one that the kernel was built with',
    });
  }

  private unload(module: ModuleDescription): Promise<void> {
    return this.operate({ kind: 'unload', module: module.name }, `rmmod ${module.name}`, () => this.guest.rmmod(module.name));
  }

  private write(patch: LivepatchDescription, text: string): Promise<void> {
    const path = `${livepatchRoot}/${patch.name}/enabled`;
    return this.operate({ kind: 'write-enabled', patch: patch.name, text }, `write "${text}" to ${patch.name}/enabled`, () =>
      this.guest.write(path, text),
    );
  }

  private async park(f: FunctionName, options: ParkOptions = {}): Promise<Sleeper> {
    const { sleep: how = 'uninterruptible', depth = 0 } = options;
    const directory = `/proc/${f.object}`;
    const what = `park a task (${how}, ${depth} frames deep) in ${f.name}`;
    this.doing = what;
    const call = calls.io(`${directory}/${f.name.slice(f.object.length + 1)}`, { write: `${how} ${depth}`, read: 80 });
    const spawned = await this.guest.spawn({ kind: 'op', name: 'klp-sleeper', call });
    const task = must(spawned, what);
    const tid = task.pid;
    const body = await this.awaitAsleep(tid, f, how === 'interruptible' ? 'S' : 'D');
    await this.operate({ kind: 'park', tid, function: f, body }, what, () => Promise.resolve(spawned));
    await this.witness(tid, f, body);
    return {
      tid,
      release: () => this.release(task, `${directory}/release`),
      witness: () => this.witness(tid, f, body),
    };
  }

  /** Waits until a task sleeps inside a body of the function. @returns which body, as its stack shows */
  private async awaitAsleep(tid: number, f: FunctionName, state: string): Promise<Body> {
    const deadline = Date.now() + patience.park * this.slowdown;
    const bodies = [...new Set(this.model.states.flatMap((s) => reachableBodies(s, f)))];
    for (;;) {
      const stat = await this.guest.readText(`/proc/${tid}/stat`);
      const [stack] = await this.guest.stacks([tid]);
      const frames = stack?.ok === true ? stack.value : '';
      // The state stands behind the comm, which is in brackets and may hold anything.
      const now = stat.ok ? (/^\) (\S)/.exec(stat.value.slice(stat.value.lastIndexOf(')')))?.[1] ?? '?') : stat.name;
      const body = bodies.find((b) => frames.includes(frameOf(f, b)));
      if (now === state && body !== undefined) return body;
      if (now === 'Z' || Date.now() > deadline) {
        throw new SituationError(
          `thread ${tid} does not sleep in ${f.name} (${bodies.join(' or ')}): state ${now}, stack: ${frames.trim() || 'none'}`,
        );
      }
      await sleep(20);
    }
  }

  private async witness(tid: number, f: FunctionName, body: Body): Promise<void> {
    const [stack] = await this.guest.stacks([tid]);
    if (stack?.ok !== true || !stack.value.includes(frameOf(f, body))) {
      throw new SituationError(`thread ${tid} no longer sleeps in ${body} of ${f.name}`);
    }
    const proof = stack.value.trim().split('\n');
    // Where every state the kernel may be in has the transition held, the file has to say so in the same span.
    const { states } = this.model;
    const transition = states.every((s) => holders(s).length > 0) ? states[0]?.transition : undefined;
    if (transition) {
      const value = await this.guest.readText(`${livepatchRoot}/${transition.patch}/transition`);
      const text = value.ok ? value.value.trim() : value.name;
      proof.push(`${transition.patch}/transition: ${text}`);
      if (text !== '1') throw new SituationError(`transition reads ${text} while thread ${tid} sleeps in ${f.name}`);
    }
    this.emit('witness', { situation: `thread ${tid} sleeps in ${body} of ${f.name}`, proof, span: spanText(stack.span) });
  }

  private async release(task: Task, file: string): Promise<void> {
    const what = `release thread ${task.pid}`;
    await this.operate({ kind: 'release', tid: task.pid }, what, () => this.guest.write(file, String(task.pid)));
    const ended = must(await this.guest.wait(task, patience.release * this.slowdown), what);
    if (ended.state === 'running') throw new SituationError(`thread ${task.pid} was released but does not end`);
  }

  // ---- observations --------------------------------------------------------------------------------------------

  private observe(what: string, seen: string, span: Span | undefined, observation: Observation): void {
    this.emit('observation', { what, seen, ...(span === undefined ? {} : { span: spanText(span) }) });
    this.judge(this.model.observe(observation));
  }

  private judge(judgements: readonly Judgement[]): void {
    for (const judgement of judgements) {
      this.judgements.push(judgement);
      this.emit('judgement', judgement);
      if (!judgement.mainline.does) this.#astray = true;
    }
  }

  /** How long a transition may take. Once the kernel has left the model's path, long waits teach nothing more. */
  private transitionTime(): number {
    return this.#astray ? kernelTime.held : kernelTime.transition;
  }

  private async threads(settled: boolean): Promise<void> {
    const what = settled ? 'patch_state of every thread, settled' : 'patch_state of every thread';
    this.doing = what;
    const deadline = Date.now() + this.transitionTime();
    for (;;) {
      const outcome = await this.guest.sweep();
      const threads = must(outcome, 'sweep').map((t) => ({ tid: t.tid, comm: t.comm, patchState: t.patchState ?? null }));
      const states = this.model.states;
      const running = states.find((s) => s.transition?.phase === 'running');
      const held = new Set(running ? holders(running).map((h) => h.task.tid) : []);
      const target = running?.transition?.target;
      const waiting = threads.some((t) => target !== undefined && !held.has(t.tid) && t.patchState === 1 - target);
      if (settled && waiting && Date.now() < deadline) {
        await sleep(50);
        continue;
      }
      const seen = [...new Set(threads.map((t) => t.patchState))].map(
        (s) => `${threads.filter((t) => t.patchState === s).length} × ${s ?? 'gone'}`,
      );
      this.observe(what, seen.join(', '), outcome.span, { kind: 'threads', threads, settled });
      return;
    }
  }

  private async sysfs(patch: LivepatchDescription): Promise<void> {
    const root = `${livepatchRoot}/${patch.name}`;
    this.doing = `looking at ${root}`;
    const batch = await this.guest.batch([
      calls.tree(root),
      calls.read(`${root}/enabled`),
      calls.read(`${root}/transition`),
    ]);
    const [tree, enabled, transition] = must(batch, root);
    if (!tree.ok) {
      this.observe(root, tree.name, tree.span, { kind: 'sysfs', patch: patch.name, entries: null });
      return;
    }
    const values = new Map([
      ['enabled', enabled.ok ? enabled.value.data.toString().trim() : null],
      ['transition', transition.ok ? transition.value.data.toString().trim() : null],
    ]);
    const entries = tree.value
      .filter((e) => e.name !== '' && (e.type === 'file' || e.type === 'directory'))
      .map((e) => ({
        path: e.name,
        type: e.type === 'file' ? ('file' as const) : ('directory' as const),
        mode: e.mode,
        value: values.get(e.name) ?? null,
      }));
    const seen = entries.map((e) => `${e.path}${e.type === 'directory' ? '/' : ` 0${e.mode.toString(8)}`}${e.value === null ? '' : ` = ${e.value}`}`);
    this.observe(root, seen.join(', '), batch.span, { kind: 'sysfs', patch: patch.name, entries });
  }

  private async call(f: FunctionName): Promise<void> {
    const file = f.object === vmlinux ? '/proc/cmdline' : `/proc/${f.object}/${f.name.slice(f.object.length + 1)}`;
    this.doing = `calling ${f.name}`;
    const outcome = await this.guest.readText(file);
    const text = must(outcome, file).trim();
    const [first = ''] = text.split('\n');
    const unpatched = f.object === vmlinux ? this.#commandLine : original;
    const patch = this.modules.find((m) => m.kind === 'livepatch' && m.name === first);
    const body = patch ? patch.name : text === unpatched ? original : `unknown: ${first}`;
    const caller = this.guest.agentPid;
    this.observe(`call of ${f.name}`, body, outcome.span, { kind: 'call', function: f, caller, body });
  }

  private async references(module: ModuleDescription): Promise<void> {
    const file = `/sys/module/${module.name}/refcnt`;
    this.doing = `reading ${file}`;
    const deadline = Date.now() + patience.departure * this.slowdown;
    for (;;) {
      const outcome = await this.guest.readText(file);
      const count = Number(must(outcome, file).trim());
      const last = this.model.states.at(-1);
      if (last && count !== references(last, module.name) && Date.now() < deadline) {
        await sleep(20);
        continue;
      }
      this.observe(file, String(count), outcome.span, { kind: 'references', module: module.name, count });
      return;
    }
  }

  private async transitionEnd(patch: LivepatchDescription): Promise<void> {
    const file = `${livepatchRoot}/${patch.name}/transition`;
    this.doing = `waiting for the transition of ${patch.name} to end`;
    const held = this.model.states.some((s) => s.transition?.patch === patch.name && holders(s).length > 0);
    const outcome = await this.guest.awaitContent(file, '0\n', held ? kernelTime.held : this.transitionTime());
    // Kernels that cannot enable again take the file away at the end of a disable.
    const ended = outcome.ok ? outcome.value.came : outcome.name === 'ENOENT' || outcome.name === 'ENODEV';
    if (!outcome.ok && !ended) must(outcome, file);
    const seen = ended ? 'ended' : 'still 1';
    this.observe(`end of ${file}`, seen, outcome.span, { kind: 'transition-end', patch: patch.name, ended });
  }

  private async departure(patch: LivepatchDescription): Promise<void> {
    const root = `${livepatchRoot}/${patch.name}`;
    this.doing = `watching whether ${root} goes away`;
    const stays = this.model.states.at(-1)?.patches.some((p) => p.description.name === patch.name) === true;
    const outcome = await this.guest.awaitGone(`${root}/enabled`, stays ? 1000 : patience.departure * this.slowdown);
    const left = must(outcome, root).came;
    this.observe(root, left ? 'gone' : 'there', outcome.span, { kind: 'left-sysfs', patch: patch.name, left });
  }

  private async resolvedSymbols(patch: LivepatchDescription): Promise<void> {
    this.doing = `reading the .klp.sym symbols of ${patch.name}`;
    const table = await readKallsyms(this.guest, `[${patch.name}]`, ...patch.uses.map((u) => ` ${u.name}`));
    const printed = await this.guest.readText('/proc/cmdline');
    const symbols = patch.uses.flatMap((use) => {
      const object = use.object === vmlinux ? undefined : use.object;
      const own = table.find((e) => e.name === use.name && e.module === object);
      if (!own) throw new SituationError(`kallsyms has no ${use.name}`);
      const truth = own.address.toString(16);
      const prefix = `.klp.sym.${use.object}.${use.name},`;
      const found = table.find((e) => e.module === patch.name && e.name.startsWith(prefix));
      const inCode = new RegExp(`^${use.name}=0*([0-9a-f]+)$`, 'm').exec(printed.ok ? printed.value : '');
      return [
        { name: `${prefix}N`, address: found ? found.address.toString(16) : null, truth },
        { name: `code that refers to ${use.name}`, address: inCode?.[1] ?? null, truth },
      ];
    });
    const seen = symbols.map((s) => `${s.name} = ${s.address ?? 'absent'}`).join(', ');
    this.observe(`symbols of ${patch.name}`, seen, printed.span, { kind: 'resolved-symbols', patch: patch.name, symbols });
  }

  private async ftrace(f: FunctionName): Promise<void> {
    this.doing = `reading ftrace's users of ${f.name}`;
    const line = (await readEnabledFunctions(this.guest)).find((e) => e.name === f.name);
    const observation = { kind: 'ftrace', function: f, users: line?.users ?? 0, flags: line?.flags ?? '' } as const;
    this.observe(`ftrace users of ${f.name}`, line ? `${line.users} ${line.flags}` : 'none', undefined, observation);
  }
}

/** What a stack shows of a body: the function itself, or the module of the patch that replaces it. */
function frameOf(f: FunctionName, body: Body): string {
  return body === original ? `${f.name}+` : `[${body}]`;
}

function spanText({ begin, end }: Span): { begin: string; end: string } {
  return { begin: String(begin), end: String(end) };
}
