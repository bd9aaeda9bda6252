// SPDX-License-Identifier: MIT
import type { Guest, Member } from '../guest/guest.js';
import type { Capability } from '../model/capabilities.js';
import type { FunctionName, LivepatchDescription, ModuleDescription, PlainDescription, TargetDescription } from '../model/description.js';
import type { ProbePlace, Tracer, WhichPatch } from '../model/operations/index.js';
import type { ReferenceModel } from '../model/reference.js';
import type { Construction, ShadowKey } from '../model/shadow.js';
import type { Stay } from '../model/tasks.js';

/** A clause that a scenario tests; with `needs`, only on kernels that have that capability. */
export type ClauseUse = string | { readonly clause: string; readonly needs: Capability };

/**
 * One conformance scenario: operations and situations, no expected values. Those come from the reference model, which
 * follows every operation and judges every observation.
 */
export interface Scenario {
  /** Lower-case words with dashes; never reused. */
  readonly id: string;
  /** What happens, in a sentence. */
  readonly title: string;
  readonly clauses: readonly ClauseUse[];
  /** Capabilities without which the question can't be asked: the scenario is then n/a. */
  readonly needs: readonly Capability[];
  /** Modules it loads; built and in the guest before it begins. */
  readonly modules: readonly ModuleDescription[];
  /** Kernel warnings that are part of it; any other fails it. */
  readonly splats?: readonly RegExp[];
  /** Seconds it may take on a guest with an accelerator (120 when left out); more without. Then it is ended, as a hang. */
  readonly seconds?: number;
  run(context: ScenarioContext): Promise<void>;
}

/** A task that computes in user space and never calls the kernel. */
export interface Spinner {
  readonly tid: number;
  /** Records that it runs, and has used CPU time in user space since it was last looked at. */
  witness(): Promise<void>;
  /** Ends it. */
  release(): Promise<void>;
  /**
   * Which body a call reaches that an interrupt makes over the task.
   * @param f alpha, beta or quiet of a target module that is loaded
   */
  interrupt(f: FunctionName): Promise<void>;
}

/** A task, or tasks, of a kind that the scenario wants beside what it does. */
export interface Situation {
  readonly tid: number;
  /** Records that it is still so. */
  witness(): Promise<void>;
  /** Ends it. */
  release(): Promise<void>;
}

/** A task that the scenario has put into a function. */
export interface Sleeper {
  readonly tid: number;
  /** Lets it go and waits for its end. */
  release(): Promise<void>;
  /** Records once more that it is where it was, with its stack and the state of the transition. */
  witness(): Promise<void>;
  /**
   * Sends it SIGSTOP and SIGCONT. One that sleeps interruptibly leaves the kernel and enters the function again, as its
   * system call is restarted: which body it reaches then is judged.
   */
  stopAndContinue(): Promise<void>;
  /**
   * Whether the kernel takes it out of the function by itself, in a transition that it holds: watches for a minute of the
   * guest's clock, or until it has left and come again, and which body it has reached then is judged, too.
   */
  leftAlone(): Promise<void>;
  /**
   * Which body a call reaches that the task itself makes, from where it sleeps; it goes back to sleep.
   * @param f alpha, beta or quiet of a target module that is loaded
   */
  call(f: FunctionName): Promise<void>;
  /** The same for a call that an interrupt makes over the task, which has to be running. */
  interrupt(f: FunctionName): Promise<void>;
  /** Has it fork from where it is: what the child is born with is judged. The child is gone soon; the task stays. */
  fork(): Promise<void>;
}

export interface ParkOptions {
  /** A user task in a system call, a kernel thread of its own, or one that does a work item; a user task when left out. */
  readonly by?: 'user' | 'kernel' | 'work';
  /**
   * How it sleeps, or that it runs, giving up its CPU when another task wants it; of user tasks only, `faulting`: it
   * sleeps uninterruptibly in a page fault that it took in the kernel; `preempted`: it runs, and a task that computes
   * ({@link ScenarioContext.spin}), which has to be there before, has taken its CPU. Uninterruptible when left out.
   */
  readonly activity?: Stay;
  /** Frames between the function and where it is: up to 80, which every stack check can take, or 100 to 150, which none can. None when left out. */
  readonly depth?: number;
  /** A user task that has been killed, and sleeps uninterruptibly on its way out of the kernel. */
  readonly dying?: boolean;
  /** Further threads of its process, asleep in user space (up to 64); none when left out, or of a kernel thread. */
  readonly threads?: number;
}

/**
 * `forks`, `computing`: tasks, as many as there are CPUs, that fork and wait, or compute. `execs`: a task that executes one
 * program after the other. `low-memory`: memory is full, and its rest taken and given back. A module ({@link stormModule}): it
 * is loaded and unloaded.
 */
export type StormKind = 'forks' | 'computing' | 'execs' | 'low-memory' | PlainDescription;

/** A load on the system, which makes nothing legal that is not, and the other way round. */
export interface Storm {
  /** Records that it has gone on since it was last looked at. */
  witness(): Promise<void>;
  release(): Promise<void>;
}

/** How tasks are switched is being recorded, by the function tracer. */
export interface Ways {
  /** How these were, since the last look: they are where they were, and have been switched. */
  look(...tasks: readonly { readonly tid: number }[]): Promise<void>;
  release(): Promise<void>;
}

/** A process of several threads, one of which is in a patched function while another is to execute a program. */
export interface ThreadGroup {
  /** Of the process. */
  readonly tid: number;
  /** The thread in the function. */
  readonly held: Situation;
  /**
   * Has the other thread execute a program, for which the kernel kills all others. One that sleeps interruptibly is gone when
   * this returns, and the program runs; of one that does not, it is shown that the exec waits for it.
   */
  exec(): Promise<void>;
  /** Waits until the program runs, once the thread that the exec waited for has been released. */
  executed(): Promise<void>;
  /** Has the program call the function, which is judged, and end. */
  call(): Promise<void>;
}

export interface GroupOptions {
  /** Which thread enters the function, and which one is to execute a program: the leader of the process, or another; not twice the leader. */
  readonly held: Member;
  readonly executes: Member;
  /** How the one in the function sleeps; uninterruptibly when left out. */
  readonly activity?: 'uninterruptible' | 'interruptible';
}

/** Tasks that make one system call without end. */
export interface SystemCalls {
  readonly tids: readonly number[];
  /** Which body the calls of each task reach, of a thousand and more that come after all that nothing holds have switched. */
  look(): Promise<void>;
  release(): Promise<void>;
}

/** A timeline that is being recorded. */
export interface Watch {
  /** Ends it: where each thread was, and what the files said, is judged for every stretch between two operations. */
  end(): Promise<void>;
}

/** What a look at passes waits for. */
export interface PassLook {
  /** Passes from the begin of the look on; 10,000 when left out. */
  readonly atLeast?: number;
  /** Parked tasks that are asked for a thousand passes each, from where they are. */
  readonly callers?: readonly Sleeper[];
  /** That passes reach old and new is what the scenario shows: it ends as an error when none has. */
  readonly mixed?: boolean;
}

/** Tasks that call two functions in one system call, the second from within the first, again and again. */
export interface Passers {
  readonly tids: readonly number[];
  /** What passes have reached, those since the last look included. Where the model says that a transition is held, it lasts meanwhile. */
  look(options?: PassLook): Promise<void>;
  /** Ends them. */
  release(): Promise<void>;
}

export interface ProbeOptions {
  /** `entry`: the first instruction. `inside`: behind ftrace's site. `return`: a kretprobe. */
  readonly place: ProbePlace;
  /** Whether the kprobe has a post_handler; not when left out. */
  readonly postHandler?: boolean;
}

/** A call of klp_unregister_patch() that a task of its own makes. */
export interface Unregistering {
  /** The task. */
  readonly tid: number;
  /** Whether the call waits; looks once it sleeps in there for good, or has returned. */
  waits(): Promise<void>;
  /** Waits for its return: only now it counts as an operation, and what it returned is judged. */
  end(): Promise<void>;
}

/**
 * The livepatch API, called by modules that are described as `driven`; each call is an operation. `which`, `first` when left
 * out: with the module's patch, with its second one, which has no objects, or with NULL.
 */
export interface DrivenApi {
  register(patch: LivepatchDescription, which?: WhichPatch): Promise<void>;
  enable(patch: LivepatchDescription, which?: WhichPatch): Promise<void>;
  disable(patch: LivepatchDescription, which?: WhichPatch): Promise<void>;
  unregister(patch: LivepatchDescription, which?: WhichPatch): Promise<void>;
  /** Begins to unregister without waiting for the end. */
  beginUnregister(patch: LivepatchDescription): Promise<Unregistering>;
  /** Takes a reference of the patch's kobject, as somebody does who has one of its files open. */
  hold(patch: LivepatchDescription): Promise<void>;
  /** Gives that reference back. */
  letGo(patch: LivepatchDescription): Promise<void>;
}

/**
 * The shadow variable API, called by the module of a patch that is described with `shadow`. Each call is an operation; what it
 * returned, and which constructors and destructors ran, is observed at once. Objects are numbers that mean the same object to
 * every module.
 */
export interface ShadowVariables {
  get(patch: LivepatchDescription, key: ShadowKey): Promise<void>;
  /** @param construct what the constructor stores in the data, or that it fails; left out, there is no constructor */
  alloc(patch: LivepatchDescription, key: ShadowKey, construct?: Construction): Promise<void>;
  getOrAlloc(patch: LivepatchDescription, key: ShadowKey, construct?: Construction): Promise<void>;
  /** With a destructor, unless it is false. */
  free(patch: LivepatchDescription, key: ShadowKey, options?: { readonly destructor?: boolean }): Promise<void>;
  freeAll(patch: LivepatchDescription, id: number, options?: { readonly destructor?: boolean }): Promise<void>;
  /**
   * klp_shadow_get_or_alloc() by 2 to 16 tasks at the same time, each with a constructor that stores a number of its own. Where
   * one runs, it does not end before another task has begun to call, which is the witness.
   */
  getOrAllocAtOnce(patch: LivepatchDescription, key: ShadowKey, tasks: number): Promise<void>;
}

/** Looks at the kernel; each look is judged by the model. */
export interface Observe {
  /** patch_state of every thread, now. */
  threads(): Promise<void>;
  /** patch_state of every thread, once each that nothing holds has switched. */
  settledThreads(): Promise<void>;
  /** patch_state of the idle task of every CPU that is online, once it has switched; through a target module. */
  idleTasks(through: TargetDescription): Promise<void>;
  /** The files that show patch_state, of a process and of each of its threads. */
  stateFiles(tid: number): Promise<void>;
  /**
   * Which tasks the kernel logs as not switched, and why: over several of its attempts, which begin once all that nothing holds
   * have switched. Debug messages are switched on for it.
   */
  reasons(): Promise<void>;
  /** The patch's tree in /sys/kernel/livepatch: names, modes, values. */
  sysfs(patch: LivepatchDescription): Promise<void>;
  /** Names of all patches in /sys/kernel/livepatch. */
  patches(): Promise<void>;
  /** Which body a call reaches: of any function of a target module, or of vmlinux's cmdline_proc_show. */
  call(f: FunctionName): Promise<void>;
  /** The module's reference count, once it has come to rest. */
  references(module: ModuleDescription): Promise<void>;
  /** The module's taint letters, and whether the kernel is tainted by a livepatch. */
  taint(module: ModuleDescription): Promise<void>;
  /** Whether the transition ends; where the model says that it is held, that it does not for several retry intervals. */
  transitionEnd(patch: LivepatchDescription): Promise<void>;
  /** Whether the patch's directory goes away after its disable. */
  departure(patch: LivepatchDescription): Promise<void>;
  /** Which callbacks of patches have run since the last look, and in which order. */
  callbacks(): Promise<void>;
  /** The addresses that `.klp.sym` symbols were resolved to, of a patch that replaces vmlinux's cmdline_proc_show. */
  resolvedSymbols(patch: LivepatchDescription): Promise<void>;
  /** The function's line in ftrace's enabled_functions: how many users, and which flags. */
  ftrace(f: FunctionName): Promise<void>;
  /** Whether the probe runs in one call of the function; the call is judged as well. */
  probeHit(f: FunctionName): Promise<void>;
  /** Whether the tracer that is set records one call of the function; the call is judged as well. */
  traced(f: FunctionName): Promise<void>;
}

/** What a scenario has in its hands. */
export interface ScenarioContext {
  /** The raw guest, for what no method here covers; nothing done through it is judged. */
  readonly guest: Guest;
  /** The model beside the kernel: its capabilities, and what it would allow. */
  readonly model: ReferenceModel;
  /** insmod. */
  readonly load: (module: ModuleDescription) => Promise<void>;
  /** rmmod, without waiting. */
  readonly unload: (module: ModuleDescription) => Promise<void>;
  /** Writes any text into the patch's `enabled`. */
  readonly write: (patch: LivepatchDescription, text: string) => Promise<void>;
  readonly enable: (patch: LivepatchDescription) => Promise<void>;
  readonly disable: (patch: LivepatchDescription) => Promise<void>;
  /**
   * Writes the opposite of what the patch's `enabled` reads, then the opposite of that, back to back in the guest. Each write
   * is an operation.
   */
  readonly turn: (patch: LivepatchDescription, times: number) => Promise<void>;
  /** Writes into the patch's `force`: 1 when left out. */
  readonly force: (patch: LivepatchDescription, text?: string) => Promise<void>;
  /** The livepatch API itself. */
  readonly api: DrivenApi;
  readonly shadow: ShadowVariables;
  /** A task enters a target module's function and stays inside; its stack is the witness. */
  readonly park: (f: FunctionName, options?: ParkOptions) => Promise<Sleeper>;
  /** A task computes in user space. */
  readonly spin: () => Promise<Spinner>;
  /** A task ends, and is not waited for until it is released. */
  readonly zombie: () => Promise<Situation>;
  /** A task opens a FIFO, and sleeps in vmlinux's fifo_open until it is released. */
  readonly openFifo: () => Promise<Situation>;
  /** A process one of whose threads enters a target module's function and stays there, while another can execute a program. */
  readonly threadGroup: (f: FunctionName, options: GroupOptions) => Promise<ThreadGroup>;
  /** Tasks call getpid(2) without end: `f` is the kernel's own function for it. */
  readonly systemCalls: (f: FunctionName) => Promise<SystemCalls>;
  /** Takes a CPU offline, or brings it back. */
  readonly switchCpu: (cpu: number, online: boolean) => Promise<void>;
  /**
   * Tasks call alpha of a target module and, from within it, another function: beta, alpha, beta or quiet of another target,
   * or vmlinux's cmdline_proc_show. A replacement of alpha has to use the gate of its target.
   */
  readonly passes: (outer: FunctionName, inner: FunctionName) => Promise<Passers>;
  /** Begins a load. */
  readonly storm: (kind: StormKind) => Promise<Storm>;
  /** Records who switches how, until it is released. No tracer is set meanwhile. */
  readonly ways: () => Promise<Ways>;
  /** Follows patch_state of every thread, and `enabled` and `transition` of some patches, until it is ended. */
  readonly watch: (...patches: readonly LivepatchDescription[]) => Promise<Watch>;
  /** Sets a kprobe in alpha or beta of a target module, one a module. */
  readonly probe: (f: FunctionName, options: ProbeOptions) => Promise<void>;
  /** Takes away the probe of a target module. */
  readonly unprobe: (target: TargetDescription) => Promise<void>;
  /** Writes the sysctl kernel.ftrace_enabled. */
  readonly ftraceEnabled: (on: boolean) => Promise<void>;
  /** Sets one of ftrace's tracers to a function whose name no other has. */
  readonly trace: (tracer: Tracer, f: FunctionName) => Promise<void>;
  /** Sets no tracer. */
  readonly untrace: () => Promise<void>;
  readonly observe: Observe;
}

/** A scenario, checked as it is written down. */
export function scenario(definition: Scenario): Scenario {
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(definition.id)) throw new RangeError(`scenario id "${definition.id}" is no dashed word`);
  const names = definition.modules.map((m) => m.name);
  if (new Set(names).size !== names.length) throw new RangeError(`scenario ${definition.id} has two modules of one name`);
  return definition;
}

/** Ids of the clauses that a scenario tests on a kernel with these capabilities, and of those it can't test there. */
export function clausesOn(
  s: Scenario,
  capabilities: ReadonlySet<Capability>,
): { readonly asked: readonly string[]; readonly notAsked: ReadonlyMap<string, Capability> } {
  const asked: string[] = [];
  const notAsked = new Map<string, Capability>();
  for (const use of s.clauses) {
    if (typeof use === 'string') asked.push(use);
    else if (capabilities.has(use.needs)) asked.push(use.clause);
    else notAsked.set(use.clause, use.needs);
  }
  return { asked, notAsked };
}

/** All clause ids a scenario names. */
export function clauseIds(s: Scenario): readonly string[] {
  return s.clauses.map((use) => (typeof use === 'string' ? use : use.clause));
}
