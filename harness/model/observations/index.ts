// SPDX-License-Identifier: MIT
import { reachablePairs } from '../passes.js';
import type { Facts, State } from '../state.js';
import { switched } from '../tasks.js';
import { callRule, referencesRule, resolvedSymbolsRule, taintRule, transitionEndRule, unregisterWaitsRule } from './behaviour.js';
import { callbacksRule } from './callbacks.js';
import { reasonsRule } from './reasons.js';
import { passesRule } from './passes.js';
import { shadowCallRule } from './shadow.js';
import { leftAloneRule } from './signals.js';
import { birthRule, idleTasksRule, interruptRule, stateFilesRule, warningsRule } from './kinds.js';
import { leftSysfsRule, patchesRule, sysfsRule } from './sysfs.js';
import { threadsRule } from './threads.js';
import { timelineRule } from './timeline.js';
import { waysRule } from './ways.js';
import { ftraceRule, probeHitRule, tracedRule } from './tracing.js';
import type { Observation, Prediction } from './types.js';

export type { Observation, Prediction, SeenEntry, SeenThread } from './types.js';

/** What the rules expect of an observation, if the kernel is in `state`. */
export function predict(state: State, seen: Observation, facts: Facts): readonly Prediction[] {
  switch (seen.kind) {
    case 'threads':
      return threadsRule(state, seen, facts);
    case 'birth':
      return birthRule(state, seen, facts);
    case 'interrupt':
      return interruptRule(state, seen, facts);
    case 'idle-tasks':
      return idleTasksRule(state, seen, facts);
    case 'ways':
      return waysRule(state, seen, facts);
    case 'state-files':
      return stateFilesRule(state, seen, facts);
    case 'warnings':
      return warningsRule(state, seen, facts);
    case 'sysfs':
      return sysfsRule(state, seen, facts);
    case 'call':
      return callRule(state, seen, facts);
    case 'passes':
      return passesRule(state, seen, facts);
    case 'timeline':
      return timelineRule(state, seen, facts);
    case 'references':
      return referencesRule(state, seen, facts);
    case 'transition-end':
      return transitionEndRule(state, seen, facts);
    case 'reasons':
      return reasonsRule(state, seen, facts);
    case 'left-sysfs':
      return leftSysfsRule(state, seen, facts);
    case 'resolved-symbols':
      return resolvedSymbolsRule(state, seen, facts);
    case 'ftrace':
      return ftraceRule(state, seen, facts);
    case 'probe-hit':
      return probeHitRule(state, seen, facts);
    case 'traced':
      return tracedRule(state, seen, facts);
    case 'taint':
      return taintRule(state, seen, facts);
    case 'patches':
      return patchesRule(state, seen, facts);
    case 'callbacks':
      return callbacksRule(state, seen, facts);
    case 'shadow-call':
      return shadowCallRule(state, seen, facts);
    case 'left-alone':
      return leftAloneRule(state, seen, facts);
    case 'unregister-waits':
      return unregisterWaitsRule(state, seen, facts);
  }
}

/** What the model learns beyond which state it is in: callbacks and passes have been looked at; threads seen at the target do not go back (TRN-1). */
export function learn(state: State, seen: Observation): State {
  if (seen.kind === 'callbacks') return { ...state, callbacks: [] };
  if (seen.kind === 'passes' && state.passing) {
    const { functions } = state.passing;
    return { ...state, passing: { functions, pairs: reachablePairs(state, functions) } };
  }
  if (seen.kind !== 'threads' || state.transition?.phase !== 'running') return state;
  const { target } = state.transition;
  return switched(state, ...seen.threads.filter((t) => t.patchState === target).map((t) => t.tid));
}
