// SPDX-License-Identifier: MIT
import { functionKey } from '../description.js';
import type { State } from '../state.js';
import { bodiesWith, possibleStates } from '../tasks.js';
import { type Prediction, type Rule, prediction } from './types.js';

/*
 * Tasks of other kinds: children that are born in a transition, interrupted and idle ones.
 */

/** patch_state and pending flag of a task (TIF_PATCH_PENDING). */
export interface SeenState {
  readonly patchState: number;
  readonly pending: boolean;
}

const text = ({ patchState, pending }: SeenState): string => `${patchState}${pending ? ', pending' : ''}`;

/** What a child is born with: its parent's state, and the flag that goes with it. */
export const birthRule: Rule<'birth'> = (state, { tid, parent, child }) => {
  const what = `state of the child of thread ${tid}, and of its parent`;
  const seen = `${text(child)}; ${text(parent)}`;
  const allowed = possibleStates(state, tid).map((patchState) => ({ patchState, pending: isPending(state, patchState) }));
  const holds = text(parent) === text(child) && allowed.some((one) => text(one) === text(parent));
  return [prediction('TRN-8', what, seen, `both ${allowed.map(text).join(', or both ')}`, holds)];
};

/** The flag is set as long as a task has to switch. */
function isPending({ transition }: State, patchState: number): boolean {
  return transition?.phase === 'running' && patchState === 1 - transition.target;
}

/** What a handler calls while it interrupts a task: by the state of that task. */
export const interruptRule: Rule<'interrupt'> = (state, { over, patchState, function: f, body }) => {
  const states = possibleStates(state, over);
  const bodies = bodiesWith(state, f, patchState);
  return [
    prediction('TRN-9', `patch_state of thread ${over}, interrupted`, String(patchState), states.join(' or '), states.includes(patchState)),
    prediction('TRN-9', `call of ${functionKey(f)} in an interrupt over thread ${over}`, body, bodies.join(' or '), bodies.includes(body)),
  ];
};

/** patch_state of the idle tasks of CPUs. Once they have been waited for, all have switched. */
export const idleTasksRule: Rule<'idle-tasks'> = (state, { cpus, settled }) => {
  const { transition } = state;
  const target = transition?.phase === 'running' && settled ? [transition.target] : undefined;
  const allowed: readonly number[] = target ?? possibleStates(state);
  return cpus.map(({ cpu, patchState }) =>
    prediction('TRN-12', `patch_state of the idle task of CPU ${cpu}`, String(patchState), allowed.join(' or '), allowed.includes(patchState)),
  );
};

/** The files that show patch_state: for each process, and for each of its threads. */
export const stateFilesRule: Rule<'state-files'> = (_state, { files }) =>
  files.map(({ path, mode }) => prediction('TRN-3', `mode of ${path}`, mode === null ? 'no such file' : octal(mode), octal(0o400), mode === 0o400));

function octal(mode: number): string {
  return `0${mode.toString(8)}`;
}

/**
 * Up to 5.0 a child's flag was copied before its state: who switches in between leaves it stale, and the end of the transition
 * warns of it (dup_task_struct() and klp_copy_process(), 4.14). A splat that a scenario with a fork storm has to bear.
 */
export const warningUnderForks = /klp_complete_transition/;

/** Warnings of the kernel while tasks were born and ended. */
export const warningsRule: Rule<'warnings'> = (_state, { warnings }, { capabilities }) => {
  const mayRace = capabilities.has('registration');
  const wrong = warnings.filter((w) => !mayRace || !w.includes('klp_complete_transition'));
  const allowed = mayRace ? 'none but of klp_complete_transition()' : 'none';
  return [prediction('TRN-16', 'warnings of the kernel under a fork storm', warnings.join(' ⏎ ') || 'none', allowed, wrong.length === 0)];
};

/**
 * What must not hold a transition that nothing else holds: zombies, offline CPUs, tasks that are born and end.
 * @param ended whether the transition has ended
 */
export function bystanders({ tasks, offline }: State, what: string, ended: boolean): readonly Prediction[] {
  const beside = (clause: string, whom: string): Prediction =>
    prediction(clause, `${what}, beside ${whom}`, ended ? 'ended' : 'not ended', 'ended', ended);
  return [
    ...tasks.filter((t) => t.activity === 'zombie').map((t) => beside('TRN-14', `the zombie ${t.tid}`)),
    ...tasks.filter((t) => t.activity === 'forking').map(() => beside('TRN-16', 'a fork storm')),
    ...offline.map((cpu) => beside('TRN-13', `CPU ${cpu}, which is offline`)),
  ];
}
