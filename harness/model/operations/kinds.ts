// SPDX-License-Identifier: MIT
import type { State } from '../state.js';
import { leavesOnSignal, switched, userTask } from '../tasks.js';
import { type OperationOf, type Outcome, staged } from './types.js';

/** A task ends, and nobody waits for it: it stays as a zombie, without a stack. */
export function die(state: State, { tid }: OperationOf<'die'>): readonly Outcome[] {
  return [staged(`task ${tid} is a zombie`, { ...state, tasks: [...state.tasks, userTask(tid, 'zombie')] })];
}

/** A task forks without end; each child ends at once, and is waited for. */
export function forkStorm(state: State, { tid }: OperationOf<'fork-storm'>): readonly Outcome[] {
  return [staged(`task ${tid} forks without end`, { ...state, tasks: [...state.tasks, userTask(tid, 'forking')] })];
}

/**
 * A thread executes a program. All others of its process are killed first, and one that a signal cannot take out of the kernel
 * holds up the exec (de_thread(), fs/exec.c). The thread keeps its patch_state, takes the process's id, and has left the kernel,
 * which switches it, when the program runs.
 */
export function exec(state: State, { tid, pid, ends }: OperationOf<'exec'>): readonly Outcome[] {
  const killed = state.tasks.filter((task) => ends.includes(task.tid));
  if (!killed.every(leavesOnSignal)) return [];
  const tasks = state.tasks.filter((task) => !killed.includes(task));
  return [staged(`thread ${tid} executes a program, as thread ${pid}`, switched({ ...state, tasks }, pid))];
}

/**
 * A CPU is taken offline, or brought back. The work that switches tasks holds off both (get_online_cpus() in
 * klp_try_complete_transition, kernel/livepatch/transition.c).
 */
export function switchCpu(state: State, { cpu, online }: OperationOf<'switch-cpu'>): readonly Outcome[] {
  const others = state.offline.filter((c) => c !== cpu);
  return [staged(`CPU ${cpu} is ${online ? 'online' : 'offline'}`, { ...state, offline: online ? others : [...others, cpu] })];
}
