// SPDX-License-Identifier: MIT
import { type FunctionName, functionKey, replacementOf } from '../description.js';
import { type Facts, type State, original, stackOf } from '../state.js';
import { reachableBodies } from '../tasks.js';
import { wasRefused } from './behaviour.js';
import { type Rule, equal } from './types.js';

/**
 * A function's users in enabled_functions: one operation for all patches of it, and one for each of the others. While ftrace is
 * switched off no site is enabled.
 */
export const ftraceRule: Rule<'ftrace'> = (state, { function: f, users, flags }, facts) => {
  const patched = stackOf(state, f).length > 0;
  const others = otherUsers(state, f, facts);
  const expected = state.ftraceOn ? (patched ? 1 : 0) + others : 0;
  const what = `ftrace users of ${functionKey(f)}`;
  const clause = !state.ftraceOn ? 'FTR-5' : others > 0 ? 'FTR-6' : patched ? 'ENA-11' : wasRefused(state, f) ? 'ENA-10' : 'DIS-5';
  const predictions = [equal(clause, what, users, expected)];
  if (!patched || !state.ftraceOn) return predictions;
  predictions.push(equal('ENA-11', `${what}: IP-modify flag`, flags.includes('I') ? 'set' : 'unset', 'set'));
  if (others === 0) {
    const saves = facts.capabilities.has('ftrace-saves-registers') ? 'set' : 'unset';
    predictions.push(equal('ENA-11', `${what}: saved-registers flag`, flags.includes('R') ? 'set' : 'unset', saves));
  }
  return predictions;
};

function otherUsers(state: State, f: FunctionName, { capabilities }: Facts): number {
  const same = (g: FunctionName): boolean => functionKey(g) === functionKey(f);
  const traced = state.tracing !== null && same(state.tracing.function) ? 1 : 0;
  const through = capabilities.has('kprobes-on-ftrace');
  const probes = state.probes.filter((p) => through && p.alive && p.place !== 'inside' && same(p.function)).length;
  return traced + probes;
}

/**
 * Whether a probe runs in a call: one on the way in does unless ftrace refused it; one inside the original does when that is
 * reached.
 */
export const probeHitRule: Rule<'probe-hit'> = (state, { function: f, hit }, facts) => {
  const probe = state.probes.find((p) => functionKey(p.function) === functionKey(f));
  const patched = stackOf(state, f).length > 0;
  const clause = probe?.place === 'inside' ? 'FTR-4' : probe?.place === 'return' ? 'FTR-2' : 'FTR-3';
  const viaFtrace = facts.capabilities.has('kprobes-on-ftrace') && probe?.place !== 'inside';
  const reached = reachableBodies(state, f).includes(original);
  const runs = probe !== undefined && probe.alive && (probe.place === 'inside' ? reached : !viaFtrace || state.ftraceOn);
  return [equal(clause, `${probe?.place ?? 'no'} probe of ${functionKey(f)}${patched ? ', patched' : ''}`, hit ? 'runs' : 'does not run', runs ? 'runs' : 'does not run')];
};

/**
 * Whether a tracer records a call: set to the function, whether that is patched or not, or to a replacement that the call reaches.
 */
export const tracedRule: Rule<'traced'> = (state, { function: f, seen }, facts) => {
  const { tracing } = state;
  // Up to 5.10 the graph tracer takes the address of the replacement for that of the function, and leaves it out.
  const lost = tracing?.tracer === 'function_graph' && stackOf(state, f).length > 0 && !facts.capabilities.has('graph-operations');
  const own = tracing !== null && functionKey(tracing.function) === functionKey(f);
  const records = state.ftraceOn && (own ? !lost : isReached(state, f));
  const what = `${tracing?.tracer ?? 'no'} tracer on ${functionKey(tracing?.function ?? f)}`;
  return [equal('FTR-6', what, seen ? 'records' : 'does not record', records ? 'records' : 'does not record')];
};

/** Whether the tracer is set to the replacement that every call of the function reaches. */
function isReached(state: State, f: FunctionName): boolean {
  const [body, other] = reachableBodies(state, f);
  const patch = state.patches.find((p) => p.description.name === body)?.description;
  if (!state.tracing || !patch || other !== undefined) return false;
  return functionKey(state.tracing.function) === functionKey(replacementOf(patch, f));
}
