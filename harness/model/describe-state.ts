// SPDX-License-Identifier: MIT
import { functionKey } from './description.js';
import { describeShadow } from './shadow.js';
import type { State } from './state.js';
import { holders } from './tasks.js';

/** Text of a state, for violation reports. */
export function describeState(state: State): string {
  const patches = state.patches.map((p) => {
    const presence = p.presence === 'listed' ? '' : `, ${p.presence}`;
    return `${p.description.name} ${p.enabled ? 'enabled' : 'disabled'}${presence}`;
  });
  const t = state.transition;
  const held = holders(state).map((h) => `${h.task.tid} ${h.why === 'unreliable' ? 'unreliable' : `in ${functionKey(h.frame.function)}`}`);
  const transition = t
    ? `${t.patch} in transition to ${t.target} (${t.phase}${held.length > 0 ? `, held by ${held.join(', ')}` : ''})`
    : 'at rest';
  const probes = state.probes.map((p) => `${p.place} of ${functionKey(p.function)}${p.alive ? '' : ' (dead)'}`);
  return [
    `modules: ${state.modules.map((m) => m.name).join(' ') || 'none'}`,
    `patches: ${patches.join('; ') || 'none'}`,
    transition,
    ...(probes.length > 0 ? [`probes: ${probes.join(', ')}`] : []),
    ...(state.shadow.variables.length > 0 ? [describeShadow(state.shadow)] : []),
    ...(state.ftraceOn ? [] : ['ftrace is switched off']),
  ].join(' | ');
}
