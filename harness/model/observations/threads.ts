// SPDX-License-Identifier: MIT
import type { ClauseId } from '../catalogue/types.js';
import { entriesOf, functionKey } from '../description.js';
import { type Facts, type PatchState, type State, type Transition, entryFor, isLoaded, original, patchInTransition } from '../state.js';
import { type Frame, type Holder, type Task, doing, holders, kernelThreadsHold, leavesOnSignal, stragglers, unseen } from '../tasks.js';
import { type Prediction, type Rule, type SeenThread, prediction } from './types.js';

// ---- patch_state -----------------------------------------------------------------------------------------------

function summarise(threads: readonly SeenThread[]): string {
  const groups = new Map<number, SeenThread[]>();
  for (const t of threads) {
    if (t.patchState === null) continue;
    groups.set(t.patchState, [...(groups.get(t.patchState) ?? []), t]);
  }
  const names = (list: readonly SeenThread[]): string =>
    list.length > 4 ? '' : ` (${list.map((t) => `${t.comm}:${t.tid}`).join(' ')})`;
  return [...groups.entries()]
    .sort(([a], [b]) => a - b)
    .map(([state, list]) => `${list.length} × ${state}${names(list)}`)
    .join(', ');
}

function offenders(threads: readonly SeenThread[], allowed: (t: SeenThread) => readonly number[]): readonly SeenThread[] {
  return threads.filter((t) => t.patchState !== null && !allowed(t).includes(t.patchState));
}

function threadsPrediction(
  clause: ClauseId,
  what: string,
  threads: readonly SeenThread[],
  allowedText: string,
  allowed: (t: SeenThread) => readonly number[],
): Prediction {
  const wrong = offenders(threads, allowed);
  const seen = wrong.length === 0 ? summarise(threads) : `${summarise(threads)}; wrong: ${summarise(wrong)}`;
  return prediction(clause, what, seen, allowedText, wrong.length === 0);
}

/** patch_state of every thread, by what the transition under way says of it. */
export const threadsRule: Rule<'threads'> = (state, { threads, settled }, facts) => {
  const what = `patch_state of ${threads.length} threads`;
  const { transition } = state;
  if (!transition) return atRest(state, what, threads);
  const { target } = transition;
  if (transition.phase === 'finishing') {
    return [threadsPrediction('TRN-1', what, threads, `${target}, then -1: the transition is being completed`, () => [target, -1])];
  }
  return inTransition(state, transition, threads, settled, facts);
};

function atRest(state: State, what: string, threads: readonly SeenThread[]): readonly Prediction[] {
  const text = '-1 everywhere: nothing is in transition';
  const immediate = state.patches.some((p) => p.description.immediate === true);
  const storm = state.tasks.some((task) => task.activity === 'forking');
  const clauses: readonly ClauseId[] = ['TRN-2', ...(immediate ? ['IMM-1'] : []), ...(storm ? ['TRN-16'] : [])];
  return clauses.map((clause) => threadsPrediction(clause, what, threads, text, () => [-1]));
}

function inTransition(
  state: State,
  transition: Transition,
  threads: readonly SeenThread[],
  settled: boolean,
  facts: Facts,
): readonly Prediction[] {
  const what = `patch_state of ${threads.length} threads`;
  const { target } = transition;
  if (transition.forced) return [threadsPrediction('FRC-1', what, threads, `${target}: every thread was switched by force`, () => [target])];
  const initial = 1 - target;
  const held = holders(state);
  const heldTids = held.map((h) => h.task.tid);
  const chance = stragglers(state).map((t) => t.tid);
  // Without reliable stacks no kernel thread switches: they all wait.
  const kernelWaits = target === 1 && kernelThreadsHold(facts);
  const missed = unseen(state);
  const missedTids = missed.map((h) => h.task.tid);
  const free = threads.filter((t) => !heldTids.includes(t.tid) && !missedTids.includes(t.tid) && !(kernelWaits && t.kernel));
  const predictions = [
    threadsPrediction(
      'TRN-1',
      what,
      free,
      `each thread goes from ${initial} to ${target} once${settled ? `; all but ${heldTids.join(', ') || 'none'} have` : ''}`,
      (t) => {
        const hasSwitched = transition.arrived.includes(t.tid) || (settled && !chance.includes(t.tid));
        return hasSwitched ? [target] : [initial, target];
      },
    ),
  ];
  if (kernelWaits) {
    const text = `${initial}: no kernel thread can be switched without reliable stacks`;
    const kernelThreads = threads.filter((t) => t.kernel);
    predictions.push(threadsPrediction('REG-5', 'patch_state of kernel threads', kernelThreads, text, () => [initial]));
  }
  for (const holder of held) {
    const { task } = holder;
    const text = `${initial}: thread ${task.tid} ${reasonText(holder)}`;
    for (const clause of holdingClauses(state, holder, target)) predictions.push(ofOne(clause, task, threads, text, initial));
    if (task.signalled) predictions.push(ofOne('TRN-10', task, threads, `${initial}: no signal moves thread ${task.tid}`, initial));
  }
  if (settled) {
    for (const { task, frame } of missed) {
      const text = `${target}: the kretprobe hides ${placeOf(frame)} from the stack check of thread ${task.tid}`;
      const demanded = ofOne('CHK-4', task, threads, '', initial);
      const documented = { allowed: `${initial}: thread ${task.tid} sleeps below ${placeOf(frame)}`, holds: demanded.holds };
      predictions.push({ ...ofOne('CHK-4', task, threads, text, target), documented });
    }
  }
  for (const task of state.tasks.filter((t) => !heldTids.includes(t.tid))) {
    if (task.signalled && leavesOnSignal(task) && transition.arrived.includes(task.tid)) {
      predictions.push(ofOne('TRN-10', task, threads, `${target}: thread ${task.tid} has left the kernel for a signal`, target));
    }
    if (task.activity === 'user space' && settled) {
      predictions.push(ofOne('TRN-11', task, threads, `${target}: thread ${task.tid} computes in user space and is interrupted`, target));
    }
  }
  for (const { tid, activity } of settled ? state.tasks : []) {
    if (activity === 'zombie') {
      predictions.push(ofOne('TRN-14', { tid }, threads, `${target}: zombie ${tid} has no stack that could hold it`, target));
    }
    if (activity === 'forking') {
      const certain = free.filter((t) => !chance.includes(t.tid));
      predictions.push(threadsPrediction('TRN-16', what, certain, `${target}, though tasks are born and end`, () => [target]));
    }
  }
  if (settled && held.length > 0 && !kernelWaits) {
    const undecided = [...chance, ...missedTids];
    const waiting = threads.filter((t) => t.patchState === initial && !undecided.includes(t.tid)).map((t) => t.tid);
    const exactly = waiting.length === heldTids.length && waiting.every((tid) => heldTids.includes(tid));
    predictions.push(prediction('TRN-5', `who reads ${initial}`, waiting.join(', ') || 'nobody', `exactly ${heldTids.join(', ')}`, exactly));
  }
  return predictions;
}

const placeOf = ({ body, function: f }: Frame): string => `${body} of ${functionKey(f)}`;

function reasonText(holder: Holder): string {
  if (holder.why === 'unreliable') return 'has a stack that is not reliable';
  return `${doing(holder.task.activity)} in ${placeOf(holder.frame)}`;
}

/** The clauses that have a task hold the transition. */
function holdingClauses(state: State, holder: Holder, target: PatchState): readonly ClauseId[] {
  const { task, why, frame } = holder;
  const { depth, trampoline } = task.below;
  if (why === 'unreliable') return frame && trampoline !== 'none' ? ['CHK-5', 'CHK-4'] : ['CHK-5'];
  const patch = patchInTransition(state);
  const objects = new Set((patch ? entriesOf(patch.description) : []).map((e) => e.object.name).filter((name) => isLoaded(state, name)));
  return [
    holdingClause(state, frame, target),
    ...(why === 'frame' && (depth > 0 || trampoline !== 'none' || task.below.exception) ? ['CHK-4'] : []),
    ...(why === 'running' ? ['CHK-6'] : []),
    ...(objects.size > 1 ? ['CHK-8'] : []),
  ];
}

/** The clause that has a frame hold its task. */
function holdingClause(state: State, frame: Frame, target: PatchState): ClauseId {
  const patch = patchInTransition(state);
  if (patch && !entryFor(patch.description, frame.function)) return 'REP-3';
  if (target === 0) return 'CHK-3';
  return frame.body === original ? 'CHK-1' : 'CHK-2';
}

/** What one thread reads; it has to be there. */
function ofOne(clause: ClauseId, { tid }: Pick<Task, 'tid'>, threads: readonly SeenThread[], text: string, patchState: number): Prediction {
  const own = threads.filter((t) => t.tid === tid);
  const judged = threadsPrediction(clause, `patch_state of thread ${tid}`, own, text, () => [patchState]);
  return own.length === 1 ? judged : { ...judged, seen: 'the thread is gone', holds: false };
}
