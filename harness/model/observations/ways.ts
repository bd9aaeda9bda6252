// SPDX-License-Identifier: MIT
import type { Task } from '../tasks.js';
import { type Prediction, type Rule, prediction } from './types.js';

/*
 * How tasks are switched: the kernel looks at the stack of one that sleeps (klp_try_switch_task()), and one that leaves the
 * kernel, or idles, switches itself (klp_update_patch_state(), kernel/livepatch/transition.c); from 6.3 on also one that
 * reaches certain places of the scheduler (__klp_sched_try_switch()).
 */

/** `itself`: on its way to user space, or in the idle loop. `scheduler`: as it gave up its CPU. Else somebody looked at it. */
export type Way = 'stack check' | 'itself' | 'scheduler';

export interface SeenWay {
  readonly tid: number;
  readonly way: Way;
}

/** The ways of tasks that have been switched: who sleeps can't have done it; of those that compute one at least has. */
export const waysRule: Rule<'ways'> = (state, { ways }) => {
  const seenOf = state.tasks.flatMap((task) => ways.filter((w) => w.tid === task.tid).map(({ way }) => ({ task, way })));
  const computing = seenOf.filter(({ task }) => task.activity === 'user space');
  const switched = computing.filter(({ way }) => way === 'itself').map(({ task }) => task.tid);
  const others = computing.map(({ task }) => task.tid);
  return [
    ...seenOf.map(({ task, way }) => ofTask(task, way)),
    ...(computing.length === 0
      ? []
      : [prediction('TRN-11', 'computing tasks that switched on their way to user space', switched.join(', ') || 'none', `one of ${others.join(', ')} at least`, switched.length > 0)]),
  ];
};

function ofTask({ tid, activity }: Task, way: Way): Prediction {
  const computes = activity === 'user space';
  const may: readonly Way[] = computes ? ['itself', 'stack check'] : ['stack check'];
  return prediction(computes ? 'TRN-11' : 'TRN-1', `way in which thread ${tid} was switched`, way, may.join(' or '), may.includes(way));
}
