// SPDX-License-Identifier: MIT
import { passedOn } from '../passes.js';
import type { Facts, State } from '../state.js';
import { api } from './api.js';
import { writeEnabled } from './enabled.js';
import { writeForce } from './force.js';
import { die, exec, forkStorm, switchCpu } from './kinds.js';
import { load } from './load.js';
import { passes } from './passes.js';
import { shadow } from './shadow.js';
import { hold, park, release, signal, spin } from './tasks.js';
import { probe, switchFtrace, trace, unprobe, untrace } from './tracing.js';
import type { Operation, Outcome } from './types.js';
import { unload } from './unload.js';

export { apiCalls } from './types.js';
export type { ProbePlace, Tracer } from '../state.js';
export type { ApiCall, Errno, LogLine, Operation, Outcome, WhichPatch } from './types.js';

/**
 * The ways an operation may end from one state.
 * @returns outcomes; mainline code of the facts' generation does one of them. None when the model does not say: the
 *   operation is not possible there, or what follows would be undefined.
 */
export function step(state: State, op: Operation, facts: Facts): readonly Outcome[] {
  return outcomes(state, op, facts).map((o) => ({ ...o, next: passedOn(state, o.next) }));
}

function outcomes(state: State, op: Operation, facts: Facts): readonly Outcome[] {
  // klp_complete_transition() runs under klp_mutex: an operation that takes it comes before or after, never between.
  if (state.transition?.phase === 'finishing' && takesMutex(op)) return [];
  switch (op.kind) {
    case 'load':
      return load(state, op, facts);
    case 'unload':
      return unload(state, op, facts);
    case 'write-enabled':
      return writeEnabled(state, op, facts);
    case 'write-force':
      return writeForce(state, op, facts);
    case 'api':
      return api(state, op, facts);
    case 'hold':
    case 'let-go':
      return hold(state, op);
    case 'probe':
      return probe(state, op, facts);
    case 'unprobe':
      return unprobe(state, op);
    case 'switch-ftrace':
      return switchFtrace(state, op, facts);
    case 'trace':
      return trace(state, op);
    case 'untrace':
      return untrace(state);
    case 'shadow':
      return shadow(state, op, facts);
    case 'park':
      return park(state, op, facts);
    case 'passes':
      return passes(state, op);
    case 'spin':
      return spin(state, op);
    case 'die':
      return die(state, op);
    case 'fork-storm':
      return forkStorm(state, op);
    case 'exec':
      return exec(state, op);
    case 'switch-cpu':
      return switchCpu(state, op);
    case 'signal':
      return signal(state, op);
    case 'release':
      return release(state, op);
  }
}

function takesMutex(op: Operation): boolean {
  return ['load', 'write-enabled', 'write-force', 'api'].includes(op.kind);
}
