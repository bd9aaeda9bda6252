// SPDX-License-Identifier: MIT
import type { ClauseId } from '../catalogue/types.js';
import { type LivepatchDescription, type TargetDescription, entriesOf, objectsOf } from '../description.js';
import { objectsInForce } from '../replace.js';
import { type Facts, type Patch, type State, findPatch } from '../state.js';
import { kernelThreadsHold } from '../tasks.js';
import { type ModuleState, called, calledOnGoing } from '../callbacks.js';
import { enableRules } from './enable.js';
import { ftraceObstacle, obstacleLines } from './obstacle.js';
import { acceptance, objectRefusal, refusal, register, relocate, relocationKey } from './register.js';
import { type Errno, type LogLine, type OperationOf, type Outcome, decide, lines, literally, staged } from './types.js';

/** The ways an insmod may end. */
export function load(state: State, { module }: OperationOf<'load'>, facts: Facts): readonly Outcome[] {
  switch (module.kind) {
    case 'livepatch':
      return loadPatch(state, module, facts);
    case 'target':
      return loadTarget(state, module, facts);
    case 'plain':
      return [staged('a module that no patch names just loads', { ...state, modules: [...state.modules, module] })];
  }
}

// ---- a livepatch -----------------------------------------------------------------------------------------------

function loadPatch(state: State, patch: LivepatchDescription, facts: Facts): readonly Outcome[] {
  if (!facts.capabilities.has('livepatch')) {
    const text = `${patch.name}: module is marked as livepatch module, but livepatch support is disabled`;
    const because = 'a kernel without livepatch refuses a module that is marked as one';
    return [ended(state, 'REG-6', 'ENOEXEC', because, lines('REG-6', text))];
  }
  if (patch.fault === 'EF-09') {
    const because = 'a flagged relocation section whose name does not parse stops the object it is looked at for';
    const log = lines('ELF-4', 'livepatch: section \\S+ has an incorrectly formatted name');
    return [ended(state, 'ELF-4', 'EINVAL', because, log)];
  }
  const taint = patch.fault === 'EF-01' || state.tainted ? [] : lines('REG-4', `${patch.name}: tainting kernel with TAINT_LIVEPATCH`);
  const tainted = { ...state, tainted: state.tainted || patch.fault !== 'EF-01' };
  const loaded = { ...tainted, modules: [...tainted.modules, patch] };
  const outcomes = patch.driven ? [staged('the module does nothing by itself', loaded)] : enableFromInit(tainted, loaded, patch, facts);
  return outcomes.map((o) => ({ ...o, log: [...taint, ...o.log] }));
}

/** What the init of a patch module does: register and enable, or enable alone; it fails if either does. */
function enableFromInit(gone: State, loaded: State, patch: LivepatchDescription, facts: Facts): readonly Outcome[] {
  const refused = refusal(patch, loaded, facts);
  if (refused) {
    const outcome = { ...ended(gone, refused.clause, refused.errno, refused.because, refused.log), unlogged: refused.unlogged };
    // do_init_module() of 7.3 makes EBUSY of it (kernel/module/main.c:3124), and nothing shows that it does.
    const other = refused.errno === 'EEXIST' && !facts.capabilities.has('registration');
    return other ? [outcome, { ...outcome, errno: 'EBUSY' }] : [outcome];
  }
  return enableNew(loaded, patch, facts).map((o) => ({ ...o, next: o.errno === 'OK' ? o.next : { ...gone, callbacks: o.next.callbacks } }));
}

/** The enable of a patch that has just been taken into the list. */
export function enableNew(state: State, description: LivepatchDescription, facts: Facts): readonly Outcome[] {
  const registered = register(state, description);
  const patch = findPatch(registered, description.name);
  if (!patch) return [];
  const outcomes = decide(enableRules, { state: registered, patch, facts, via: 'load' });
  return outcomes.flatMap((o): readonly Outcome[] => {
    if (o.errno !== 'OK') {
      const { refused, callbacks } = o.next;
      return [{ ...o, next: { ...state, initialised: registered.initialised, refused, callbacks } }];
    }
    const clause = o.clause === 'ENA-4' ? acceptance(description, state, facts, 'ENA-4') : o.clause;
    return withDemand({ ...o, clause, log: [...o.log, ...doubts(facts)] }, state);
  });
}

/** A patch that is taken although the document wants its positions otherwise: an outcome for each. */
export function withDemand(outcome: Outcome, refused: State): readonly Outcome[] {
  if (outcome.clause !== 'REG-13') return [outcome];
  const because = 'the position of a unique symbol is 0';
  const demanded: Outcome = { ...outcome, errno: 'EINVAL', log: [], next: refused, because, oracle: 'documents' };
  return [{ ...outcome, forbidden: true }, demanded];
}

/** Later kernels take a patch although they can't check stacks, and say so. */
function doubts(facts: Facts): readonly LogLine[] {
  if (!kernelThreadsHold(facts) || facts.capabilities.has('registration')) return [];
  return lines('REG-5', "livepatch: This architecture doesn't have support for the livepatch consistency model\\.");
}

function ended(next: State, clause: ClauseId, errno: Errno, because: string, log: readonly LogLine[]): Outcome {
  return { clause, errno, log, unlogged: [], next, because, oracle: 'mainline', forbidden: false };
}

// ---- a module that patches may name ------------------------------------------------------------------------------

/** klp_module_coming(), and klp_module_going() where the module's init fails. */
function loadTarget(before: State, module: TargetDescription, facts: Facts): readonly Outcome[] {
  const concerned = concernedBy(before, module.name);
  let state: State = { ...before, modules: [...before.modules, module] };
  const applied: Patch[] = [];
  for (const patch of concerned) {
    const refused = comingRefusal(patch, applied, module, state, facts);
    state = relocate(state, patch.description, module.name);
    // The cleanup stops before the patch that failed: its relocations stay written.
    if (refused) {
      const undone = goingCallbacks({ ...state, callbacks: refused.next.callbacks }, applied, module.name, 'coming', 'CBK-5');
      const outcome = { ...refused, next: relocate(withoutTarget(undone, module.name, facts), patch.description, module.name) };
      if (refused.clause !== 'MOD-8') return [outcome];
      const demanded = staged('relocations are applied whenever their object comes', state);
      return [{ ...outcome, forbidden: true }, { ...demanded, clause: 'MOD-8', oracle: 'documents' }];
    }
    if (!isApplied(patch, state, facts)) continue;
    applied.push(patch);
    state = comingCallbacks(state, patch, module.name);
  }
  const log = [
    ...applyingLines(applied, module.name, state),
    ...(module.failing ? revertingLines(applied, module.name, 'MOD-5') : []),
  ];
  const unlogged = concerned.filter((p) => !applied.includes(p)).flatMap((p) => applyingLines([p], module.name, state));
  if (module.failing) {
    const because = 'the init of the module fails, and what was applied to it is reverted';
    const clause = applied.length > 0 ? 'MOD-5' : null;
    const gone = goingCallbacks(state, applied, module.name, 'going', 'CBK-4');
    return [{ ...staged(because, withoutTarget(gone, module.name, facts)), clause, errno: 'ENODEV', log, unlogged }];
  }
  const inTransition = applied.some((p) => isInTransition(p, state));
  const back = applied.some((p) => state.unloadedSince.includes(relocationKey(p.description, module.name)));
  const whenApplied = inTransition ? 'MOD-6' : back ? 'MOD-8' : 'MOD-1';
  const clause = applied.length > 0 ? whenApplied : concerned.length > 0 ? 'MOD-2' : null;
  const because = clause === null ? 'a module that no patch names just loads' : 'enabled patches are applied to a loading module';
  return [{ ...staged(because, state), clause, log, unlogged }];
}

/** Why a patch keeps a module from loading. `state` has the module already. */
function comingRefusal(
  patch: Patch,
  applied: readonly Patch[],
  module: TargetDescription,
  state: State,
  facts: Facts,
): Outcome | undefined {
  const { description } = patch;
  const name = literally(description.name);
  const said = (verb: string, errno: number, log: readonly LogLine[], clause: ClauseId): readonly LogLine[] => [
    ...applyingLines(applied, module.name, state),
    ...log,
    ...lines(
      clause,
      `livepatch: ${verb} patch '${name}' (for|to) module '${module.name}' \\(-${errno}\\)`,
      `livepatch: patch '${name}' failed for module '${module.name}', refusing to load module '${module.name}'`,
    ),
    ...revertingLines(applied, module.name, clause),
  ];
  const objects = objectsOf(description).filter((o) => o.name === module.name);
  const [object] = objects;
  const refused = object && objectRefusal(description, object, state, facts);
  if (refused) {
    const ordinary = patch.enabled || !facts.capabilities.has('registration') ? 'REG-15' : 'MOD-3';
    const clause = refused.clause === 'MOD-8' ? 'MOD-8' : applied.length > 0 ? 'MOD-7' : ordinary;
    const log = refused.log.map((l) => ({ ...l, clause }));
    return ended(state, clause, refused.errno, refused.because, said('failed to initialize', numbers[refused.errno], log, clause));
  }
  if (!isApplied(patch, state, facts)) return undefined;
  const prepared = called(state, description, objects, 'pre_patch', 'CBK-5', 'coming');
  if (object?.failing) {
    const log = [
      ...applyingLines([...applied, patch], module.name, state),
      ...lines(
        'CBK-5',
        `livepatch: pre-patch callback failed for object '${module.name}'`,
        `livepatch: patch '${name}' failed for module '${module.name}', refusing to load module '${module.name}'`,
      ),
      ...revertingLines(applied, module.name, 'CBK-5'),
    ];
    return ended(prepared, 'CBK-5', 'ENODEV', 'a pre_patch callback fails', log);
  }
  // Its entries are not on their stacks yet: the module has only just come.
  const without = { ...state, patches: state.patches.filter((p) => applied.includes(p)) };
  const entries = entriesOf(description).filter((e) => e.object.name === module.name);
  const obstacle = ftraceObstacle(entries, without, facts);
  if (!obstacle) return undefined;
  const clause = obstacle.why === 'data' ? 'REG-16' : obstacle.why === 'untraced' ? 'FTR-1' : 'FTR-5';
  const errno = obstacle.why === 'switched off' ? 'EBUSY' : 'EINVAL';
  const log = [...applyingLines([patch], module.name, state), ...obstacleLines(obstacle.name, obstacle.why, facts)];
  const undone = called(prepared, description, objects, 'post_unpatch', 'CBK-7', 'coming');
  return ended(undone, clause, errno, 'ftrace refuses a function', said('failed to apply', numbers[errno], log, clause));
}

const numbers: Readonly<Record<Errno, number>> = {
  OK: 0,
  ENOENT: 2,
  ENOEXEC: 8,
  EAGAIN: 11,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENOSYS: 38,
  EOPNOTSUPP: 95,
};

/** Patches in the list that name a module. */
function concernedBy(state: State, module: string): readonly Patch[] {
  const names = (p: Patch): boolean => objectsInForce(p).some((o) => o.literal !== true && o.name === module);
  return state.patches.filter((p) => p.presence !== 'unlisted' && names(p));
}

/** Whether a patch is put into a coming module: up to 5.0 a registered one may be disabled. */
function isApplied(patch: Patch, state: State, facts: Facts): boolean {
  return patch.enabled || isInTransition(patch, state) || !facts.capabilities.has('registration');
}

function applyingLines(patches: readonly Patch[], module: string, state: State): readonly LogLine[] {
  return patches.flatMap((p) => {
    const clause = !isInTransition(p, state) ? (p.enabled ? 'MOD-1' : 'MOD-2') : 'MOD-6';
    return lines(clause, `livepatch: applying patch '${literally(p.description.name)}' to loading module '${module}'`);
  });
}

function isInTransition(patch: Patch, state: State): boolean {
  return state.transition?.patch === patch.description.name;
}

function revertingLines(patches: readonly Patch[], module: string, clause: ClauseId): readonly LogLine[] {
  return lines(
    clause,
    ...patches.map((p) => `livepatch: reverting patch '${literally(p.description.name)}' on unloading module '${module}'`),
  );
}

/** A patch is put into a coming module: in a transition of the patch post_patch waits for its end. */
function comingCallbacks(state: State, patch: Patch, module: string): State {
  const { description } = patch;
  const objects = objectsOf(description).filter((o) => o.literal !== true && o.name === module);
  const prepared = called(state, description, objects, 'pre_patch', 'CBK-4', 'coming');
  if (isInTransition(patch, state)) return prepared;
  return called(prepared, description, objects, 'post_patch', 'CBK-4', 'coming');
}

function goingCallbacks(state: State, patches: readonly Patch[], module: string, as: ModuleState, clause: ClauseId): State {
  return patches.reduce((before, p) => calledOnGoing(before, p.description, module, as, clause), state);
}

/** The callbacks of patches that let go of a module which goes. */
export function calledOnUnload(state: State, module: string, facts: Facts): State {
  const concerned = concernedBy(state, module).filter((p) => isApplied(p, state, facts));
  return goingCallbacks(state, concerned, module, 'going', 'CBK-4');
}

/** The state after a module has gone: its probes with it, and the relocations into it where they are cleared. */
export function withoutTarget(state: State, module: string, facts: Facts): State {
  return {
    ...state,
    modules: state.modules.filter((m) => m.name !== module),
    probes: state.probes.filter((p) => p.function.object !== module),
    unloadedSince: [...new Set([...state.unloadedSince, ...state.relocated.filter((key) => key.endsWith(` ${module}`))])],
    relocated: facts.capabilities.has('relocations-cleared')
      ? state.relocated.filter((key) => !key.endsWith(` ${module}`))
      : state.relocated,
  };
}

// ---- unload ----------------------------------------------------------------------------------------------------

/** What the log says when a module goes that patches name: only those that were applied are reverted. */
export function goingLines(state: State, module: string, facts: Facts): { log: readonly LogLine[]; unlogged: readonly LogLine[] } {
  const concerned = concernedBy(state, module);
  const applied = concerned.filter((p) => isApplied(p, state, facts));
  return {
    log: revertingLines(applied, module, 'MOD-4'),
    unlogged: revertingLines(
      concerned.filter((p) => !applied.includes(p)),
      module,
      'MOD-4',
    ),
  };
}
