// SPDX-License-Identifier: MIT
import type { Guest } from '../guest/guest.js';
import { type FunctionName, type LivepatchDescription, functionKey } from '../model/description.js';
import type { ApiCall, Operation } from '../model/operations/index.js';
import { SituationError } from '../model/reference.js';
import { type ShadowCall, shadowCallText } from '../model/shadow.js';
import { type Body, type State, findPatch, isLoaded, original } from '../model/state.js';
import { reachableBodies } from '../model/tasks.js';
import type { Observation } from '../model/observations/index.js';
import type { DryRecord } from './dry-run-record.js';
import { dryPasses } from './dry-run-passes.js';
import * as sights from './dry-run-sights.js';
import { dryWatch } from './dry-run-watch.js';
import { fifoOpen } from './fifo.js';
import { callFile, isExported, knobOf, probeKnob } from './function-calls.js';
import { requireCompetition } from './preemption.js';
import { requireShadow, shadowVariables } from './shadow.js';
import { stormName } from './storms.js';
import { callerCount, requireGetpid } from './system-calls.js';
import { turns } from './turns.js';
import type { DrivenApi, GroupOptions, Observe, ParkOptions, Scenario, ScenarioContext, Situation, Sleeper, Spinner, Storm, StormKind, SystemCalls, ThreadGroup } from './scenario.js';

/** What a scenario has in its hands in a dry run. What a session could not do ends here with the same SituationError. */
export function dryContext(s: Scenario, record: DryRecord): ScenarioContext {
  const { kernel, model } = record;
  let tasks = 0;
  const write = (patch: LivepatchDescription, text: string): Promise<void> =>
    done(() => {
      record.operate({ kind: 'write-enabled', patch: patch.name, text }, `write ${JSON.stringify(text)} to ${patch.name}/enabled`);
    });
  return {
    guest: noGuest,
    model,
    observe: observe(record),
    load: (module) =>
      done(() => {
        if (!s.modules.some((m) => m.name === module.name)) throw new SituationError(`${module.name} is none of the scenario's modules`);
        record.operate({ kind: 'load', module }, `insmod ${module.name}`);
      }),
    unload: ({ name }) => done(() => record.operate({ kind: 'unload', module: name }, `rmmod ${name}`)),
    write,
    enable: (patch) => write(patch, '1'),
    disable: (patch) => write(patch, '0'),
    turn: async (patch, times) => {
      // What comes after the first turns is the same again.
      const few = times > 4 ? 4 + (times % 2) : times;
      for (const text of turns([findPatch(kernel.state, patch.name)?.enabled], patch.name, few)) await write(patch, text);
    },
    force: ({ name }, text = '1') =>
      done(() => record.operate({ kind: 'write-force', patch: name, text }, `write ${JSON.stringify(text)} to ${name}/force`)),
    api: drivenApi(record),
    shadow: shadowVariables((patch, call) => done(() => shadowCall(record, patch, call))),
    park: (f, options) => done(() => park(record, 1001 + tasks++, f, options)),
    spin: () => done(() => spin(record, 1001 + tasks++)),
    zombie: () => done(() => zombie(record, 1001 + tasks++)),
    openFifo: () => done(() => openFifo(record, 1001 + tasks++)),
    threadGroup: (f, options) => done(() => threadGroup(record, 1001 + (tasks += 3) - 3, f, options)),
    systemCalls: (f) => done(() => drySystemCalls(record, 1001 + (tasks += callerCount) - callerCount, f)),
    switchCpu: (cpu, online) => done(() => record.operate({ kind: 'switch-cpu', cpu, online }, `CPU ${cpu} ${online ? 'online' : 'offline'}`)),
    storm: (kind) => done(() => storm(record, kind, [1001 + tasks++, 1001 + tasks++])),
    ways: () =>
      done(() => ({
        look: (...tasks) => done(() => record.observe('ways in which tasks are switched', sights.ways(kernel.state, tasks))),
        release: () => Promise.resolve(),
      })),
    watch: (...patches) => done(() => dryWatch(record, patches)),
    passes: (outer, inner) => done(() => dryPasses(record, [outer, inner])),
    probe: (f, { place, postHandler = false }) =>
      done(() => {
        probeKnob(f, place);
        requireTarget(kernel.state, f.object);
        const what = `${place === 'return' ? 'kretprobe' : 'kprobe'} ${postHandler ? 'with post_handler ' : ''}at the ${place} of ${f.name}`;
        record.operate({ kind: 'probe', function: f, place, postHandler }, what);
      }),
    unprobe: ({ name }) =>
      done(() => {
        requireTarget(kernel.state, name);
        record.operate({ kind: 'unprobe', target: name }, `remove the probe of ${name}`);
      }),
    ftraceEnabled: (on) => done(() => record.operate({ kind: 'switch-ftrace', on }, `write ${on ? 1 : 0} to kernel.ftrace_enabled`)),
    trace: (tracer, f) => done(() => record.operate({ kind: 'trace', tracer, function: f }, `${tracer} tracer on ${functionKey(f)}`)),
    untrace: () => done(() => record.operate({ kind: 'untrace' }, 'no tracer')),
  };
}

/** A promise of something that is done at once, and in the order of the calls. */
function done<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(work());
  });
}

/** There is none: whatever is asked of it ends the scenario. */
const noGuest = new Proxy({} as Guest, {
  get: (_target, key) => {
    throw new SituationError(`a dry run has no guest, and the scenario asks for its ${String(key)}`);
  },
});

function requireTarget(state: State, name: string): void {
  if (!isLoaded(state, name)) throw new SituationError(`the target module ${name} is not loaded`);
}

// ---- the livepatch API -------------------------------------------------------------------------------------------

function drivenApi(record: DryRecord): DrivenApi {
  const operate = (patch: LivepatchDescription, op: Operation, what: string): void => {
    requireDriven(record, patch);
    record.operate(op, what);
  };
  const call = (name: ApiCall): DrivenApi['register'] => (patch, which = 'first') => {
    const argument = { null: 'NULL', first: patch.name, second: `${patch.name}, its second patch` }[which];
    return done(() => operate(patch, { kind: 'api', call: name, patch: patch.name, which }, `klp_${name}_patch(${argument})`));
  };
  const unregister = call('unregister');
  return {
    register: call('register'),
    enable: call('enable'),
    disable: call('disable'),
    unregister,
    beginUnregister: (patch) =>
      done(() => {
        requireDriven(record, patch);
        record.witness(`klp_unregister_patch(${patch.name}) begins in a thread of its own`);
        return {
          tid: 1000,
          waits: () =>
            done(() => record.observe(`klp_unregister_patch(${patch.name})`, sights.unregisterWaits(record.kernel.state, patch.name))),
          end: () => unregister(patch),
        };
      }),
    hold: (patch) => done(() => operate(patch, { kind: 'hold', patch: patch.name }, `hold the kobject of ${patch.name}`)),
    letGo: (patch) => done(() => operate(patch, { kind: 'let-go', patch: patch.name }, `let go of the kobject of ${patch.name}`)),
  };
}

function requireDriven({ kernel }: DryRecord, patch: LivepatchDescription): void {
  if (!patch.driven) throw new SituationError(`${patch.name} is not described as driven: it offers no calls`);
  if (!kernel.state.modules.some((m) => m.name === patch.name)) throw new SituationError(`${patch.name} is not loaded`);
}

// ---- shadow variables --------------------------------------------------------------------------------------------

function shadowCall(record: DryRecord, patch: LivepatchDescription, call: ShadowCall): void {
  requireShadow(patch);
  loaded(record.kernel.state, patch.name);
  const what = shadowCallText(patch.name, call);
  record.operate({ kind: 'shadow', patch: patch.name, call }, what);
  record.observe(what, sights.shadowCall(record.kernel.state, patch.name, call));
}

// ---- tasks -------------------------------------------------------------------------------------------------------

function park(
  record: DryRecord,
  tid: number,
  f: FunctionName,
  { by = 'user', activity = 'uninterruptible', depth = 0 }: ParkOptions = {},
): Sleeper {
  const { kernel } = record;
  knobOf(f, 'park a task in');
  if (activity === 'preempted') requireCompetition(kernel.state);
  requireTarget(kernel.state, f.object);
  const enter = (caller: number): Body => {
    const [body = ''] = reachableBodies(kernel.state, f, caller);
    record.operate({ kind: 'park', tid, by: by === 'user' ? 'user' : 'kernel', activity, function: f, body, depth }, `park a task (${by}, ${activity}, ${depth} frames deep) in ${f.name}`);
    return body;
  };
  // A new task has the state of the one that made it.
  let body = enter(sights.agentTid);
  const asleep = (): void => requireTask(kernel.state, tid, `in ${body} of ${f.name}`);
  return {
    tid,
    release: () =>
      done(() => {
        asleep();
        record.operate({ kind: 'release', tid }, `release thread ${tid}`);
      }),
    witness: () =>
      done(() => {
        asleep();
        record.witness(`thread ${tid} is in ${body} of ${f.name}`);
      }),
    call: (other) =>
      done(() => {
        asleep();
        if (!isExported(other)) {
          throw new SituationError(`thread ${tid} cannot call ${functionKey(other)}: it is not exported`);
        }
        requireTarget(kernel.state, other.object);
        record.observe(`call of ${functionKey(other)} by thread ${tid}`, sights.call(kernel.state, other, tid));
      }),
    leftAlone: () =>
      done(() => {
        asleep();
        record.observe(`thread ${tid}, left alone`, sights.leftAlone(kernel.state, tid, kernel.facts, kernel.log));
        const again = kernel.state.tasks.find((t) => t.tid === tid)?.frames[0]?.body ?? body;
        if (again === body) return;
        body = again;
        record.observe(`call of ${functionKey(f)} by thread ${tid}`, sights.call(kernel.state, f, tid));
      }),
    interrupt: (other) =>
      done(() => {
        asleep();
        if (activity !== 'running') throw new SituationError(`thread ${tid} sleeps: no interrupt goes off over it`);
        interrupt(record, tid, other);
      }),
    fork: () =>
      done(() => {
        asleep();
        record.observe(`fork of thread ${tid}`, sights.birth(kernel.state, tid, kernel.facts));
      }),
    stopAndContinue: () =>
      done(() => {
        asleep();
        record.operate({ kind: 'signal', tid }, `stop and continue thread ${tid}`);
        if (by !== 'user' || activity !== 'interruptible') return;
        record.observe(`call of ${functionKey(f)} by thread ${tid}`, sights.call(kernel.state, f, tid));
        body = enter(tid);
      }),
  };
}

function interrupt(record: DryRecord, tid: number, f: FunctionName): void {
  const { state, facts } = record.kernel;
  if (!isExported(f)) throw new SituationError(`${functionKey(f)} is not exported`);
  requireTarget(state, f.object);
  record.observe(`call of ${functionKey(f)} in an interrupt over thread ${tid}`, sights.interrupt(state, f, tid, facts));
}

function threadGroup(record: DryRecord, pid: number, f: FunctionName, { held, executes, activity = 'uninterruptible' }: GroupOptions): ThreadGroup {
  const { kernel } = record;
  if (held === 'leader' && executes === 'leader') throw new SituationError('the thread in the function cannot execute a program as well');
  knobOf(f, 'park a task in');
  requireTarget(kernel.state, f.object);
  const tid = held === 'leader' ? pid : pid + 1;
  const executing = executes === 'leader' ? pid : pid + 2;
  const [body = ''] = reachableBodies(kernel.state, f, sights.agentTid);
  record.operate({ kind: 'park', tid, by: 'user', activity, function: f, body, depth: 0 }, `park a thread of process ${pid} (${activity}) in ${f.name}`);
  const executed = (): void => record.operate({ kind: 'exec', tid: executing, pid, ends: [tid] }, `thread ${executing} of process ${pid} executes a program`);
  return {
    tid: pid,
    held: situation(record, tid, `in ${body} of ${f.name}`),
    exec: () =>
      done(() => {
        requireTask(kernel.state, tid, `in ${body} of ${f.name}`);
        if (activity === 'interruptible') executed();
        else record.witness(`thread ${executing} waits in exec for thread ${tid}`);
      }),
    executed: () => done(executed),
    call: () => done(() => record.observe(`call of ${functionKey(f)} by the program, thread ${pid}`, sights.call(kernel.state, f, pid))),
  };
}

function drySystemCalls(record: DryRecord, first: number, f: FunctionName): SystemCalls {
  requireGetpid(f);
  const tids = Array.from({ length: callerCount }, (_none, i) => first + i);
  for (const tid of tids) record.operate({ kind: 'spin', tid }, `start a task that calls ${f.name}`);
  return {
    tids,
    look: () =>
      done(() => {
        for (const tid of tids) record.observe(`calls of ${functionKey(f)} by thread ${tid}`, sights.call(record.kernel.state, f, tid));
      }),
    release: () =>
      done(() => {
        for (const tid of tids) record.operate({ kind: 'release', tid }, `end thread ${tid}`);
      }),
  };
}

function zombie(record: DryRecord, tid: number): Situation {
  record.operate({ kind: 'die', tid }, 'a task that ends and is not waited for');
  return situation(record, tid, 'a zombie');
}

function storm(record: DryRecord, kind: StormKind, tids: readonly number[]): Storm {
  const own = kind === 'forks' || kind === 'computing' ? tids : [];
  for (const tid of own) record.operate({ kind: kind === 'forks' ? 'fork-storm' : 'spin', tid }, 'start a task of the storm');
  return {
    witness: () => done(() => record.witness(`storm of ${stormName(kind)}`)),
    release: () =>
      done(() => {
        if (kind === 'forks') record.observe('warnings of the kernel', { kind: 'warnings', warnings: [] });
        for (const tid of own) record.operate({ kind: 'release', tid }, `end thread ${tid} of the storm`);
      }),
  };
}

function openFifo(record: DryRecord, tid: number): Situation {
  record.operate({ kind: 'park', tid, by: 'user', activity: 'interruptible', function: fifoOpen, body: original }, 'open a FIFO');
  return situation(record, tid, `in ${fifoOpen.name}`);
}

function situation(record: DryRecord, tid: number, what: string): Situation {
  return {
    tid,
    witness: () =>
      done(() => {
        requireTask(record.kernel.state, tid, what);
        record.witness(`thread ${tid} is ${what}`);
      }),
    release: () =>
      done(() => {
        requireTask(record.kernel.state, tid, what);
        record.operate({ kind: 'release', tid }, `end thread ${tid}`);
      }),
  };
}

function spin(record: DryRecord, tid: number): Spinner {
  record.operate({ kind: 'spin', tid }, 'start a task that computes');
  return {
    tid,
    witness: () =>
      done(() => {
        requireTask(record.kernel.state, tid, 'in user space');
        record.witness(`thread ${tid} computes in user space`);
      }),
    interrupt: (f) =>
      done(() => {
        requireTask(record.kernel.state, tid, 'in user space');
        interrupt(record, tid, f);
      }),
    release: () =>
      done(() => {
        requireTask(record.kernel.state, tid, 'in user space');
        record.operate({ kind: 'release', tid }, `end thread ${tid}`);
      }),
  };
}

function requireTask(state: State, tid: number, where: string): void {
  if (!state.tasks.some((t) => t.tid === tid)) throw new SituationError(`thread ${tid} is no longer ${where}`);
}

// ---- looks -------------------------------------------------------------------------------------------------------

function observe(record: DryRecord): Observe {
  const { kernel } = record;
  const { facts } = kernel;
  const look = (what: string, see: (state: State) => Observation): Promise<void> => done(() => record.observe(what, see(kernel.state)));
  const seenThreads = (settled: boolean) => (state: State) => ({ kind: 'threads', threads: sights.threads(state, facts), settled }) as const;
  const call = (f: FunctionName): Promise<void> =>
    look(`call of ${functionKey(f)}`, (state) => {
      callFile(f);
      if (f.object !== 'vmlinux') requireTarget(state, f.object);
      return sights.call(state, f, sights.agentTid);
    });
  return {
    threads: () => look('patch_state of every thread', seenThreads(false)),
    settledThreads: () => look('patch_state of every thread, settled', seenThreads(true)),
    idleTasks: ({ name }) => look('patch_state of idle tasks', (state) => sights.idleTasks(loaded(state, name))),
    stateFiles: (tid) => look(`files of thread ${tid} that show patch_state`, () => sights.stateFiles(tid)),
    reasons: () => look('why tasks are not switched, in the kernel log', (state) => sights.reasons(state, facts)),
    sysfs: ({ name }) =>
      look(`/sys/kernel/livepatch/${name}`, (state) => ({ kind: 'sysfs', patch: name, entries: sights.sysfs(state, name, facts) })),
    patches: () => look('/sys/kernel/livepatch', sights.patches),
    call,
    references: ({ name }) => look(`references of module ${name}`, (state) => sights.moduleReferences(loaded(state, name), name)),
    taint: ({ name }) => look(`taint of ${name}`, (state) => sights.taint(loaded(state, name), name, facts)),
    transitionEnd: ({ name }) => look(`end of the transition of ${name}`, (state) => sights.transitionEnd(state, name, kernel.log)),
    departure: ({ name }) => look(`whether /sys/kernel/livepatch/${name} goes away`, (state) => sights.departure(state, name)),
    callbacks: () => look('callbacks that ran', (state) => ({ kind: 'callbacks', ran: state.callbacks.map((c) => c.text) })),
    resolvedSymbols: (patch) =>
      look(`symbols of ${patch.name}`, (state) => sights.resolvedSymbols(loaded(state, patch.name), patch, facts)),
    ftrace: (f) => look(`ftrace users of ${functionKey(f)}`, (state) => sights.ftrace(state, f, facts)),
    probeHit: async (f) => {
      await call(f);
      await look(`hits of the probe in ${f.name}`, (state) => sights.probeHit(state, f, facts));
    },
    traced: async (f) => {
      await call(f);
      await look(`trace of one call of ${f.name}`, (state) => sights.traced(state, f, facts));
    },
  };
}

/** @throws SituationError where a session would find no file of the module */
function loaded(state: State, module: string): State {
  if (!state.modules.some((m) => m.name === module)) throw new SituationError(`${module} is not loaded`);
  return state;
}
