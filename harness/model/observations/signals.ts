// SPDX-License-Identifier: MIT
import type { ClauseId } from '../catalogue/types.js';
import { holders } from '../tasks.js';
import { type Prediction, type Rule, equal, prediction } from './types.js';

/**
 * Milliseconds of the guest's clock between the begin of a transition and the signal that the kernel sends by itself: 15
 * tries that are about a second apart, the first after 0.75 to 1.75 s (round_jiffies_relative() in
 * kernel/livepatch/transition.c). The bounds are wide: a busy guest is late.
 */
export const signalDue = { earliest: 12_000, latest: 45_000 } as const;

/** Whether a sleeper that holds a transition and is left alone is taken out of the function by the kernel itself. */
export const leftAloneRule: Rule<'left-alone'> = (state, { tid, moved, after, pending, log }, { capabilities }) => {
  const what = `thread ${tid}, left alone`;
  const held = holders(state).some((h) => h.task.tid === tid);
  const seen = moved ? 'taken out of the function' : 'stays';
  const said = log.some((text) => text.includes('livepatch: signaling remaining tasks'));
  const none = (clause: ClauseId): Prediction => equal(clause, `signals pending for thread ${tid}`, pending, 'none');
  if (!capabilities.has('fake-signals')) {
    return [
      none('TRN-15'),
      prediction('TRN-15', what, seen, 'stays: nobody signals it', !moved && held),
      equal('TRN-15', 'kernel log', said ? 'signaling remaining tasks' : 'nothing of signals', 'nothing of signals'),
    ];
  }
  const { earliest, latest } = signalDue;
  const due = after !== undefined && after >= earliest && after <= latest;
  return [
    prediction('SIG-2', what, seen, 'taken out of the function by a signal, or woken', moved && !held),
    prediction(
      'SIG-1',
      'signal after the begin of the transition',
      after === undefined ? 'none' : `after ${(after / 1000).toFixed(1)} s`,
      `after ${earliest / 1000} to ${latest / 1000} s`,
      due,
    ),
    none('SIG-2'),
  ];
};
