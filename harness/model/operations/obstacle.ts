// SPDX-License-Identifier: MIT
import type { ClauseId } from '../catalogue/types.js';
import { type Entry, type PatchedObject, functionKey } from '../description.js';
import { type Facts, type State, stackOf, symbolKind } from '../state.js';
import { type LogLine, lines, literally } from './types.js';

/** What keeps ftrace from redirecting a function, of the first function that it refuses. */
export interface Obstacle {
  readonly object: PatchedObject;
  readonly name: string;
  readonly why: 'untraced' | 'data' | 'switched off' | 'return probe' | 'entry probe';
}

/** Whether ftrace would refuse one of these functions (klp_patch_func): only the first patch of a function asks it. */
export function ftraceObstacle(entries: readonly Entry[], state: State, facts: Facts): Obstacle | undefined {
  for (const { object, function: f } of entries) {
    if (!f || stackOf(state, f).length > 0) continue;
    const kind = symbolKind(f);
    if (kind !== 'function') return { object, name: f.name, why: kind };
    if (!state.ftraceOn && facts.capabilities.has('permanent-ftrace')) return { object, name: f.name, why: 'switched off' };
    const probe = state.probes.find((p) => p.alive && functionKey(p.function) === functionKey(f) && excludesPatch(p, facts));
    if (probe) return { object, name: f.name, why: probe.place === 'return' ? 'return probe' : 'entry probe' };
  }
  return undefined;
}

/**
 * Whether a probe and a patch cannot have one function together: both would set the instruction pointer from ftrace's
 * handler (FTRACE_OPS_FL_IPMODIFY). Since 5.4 only those with a post_handler do, which no kretprobe has.
 */
export function excludesPatch(
  { place, postHandler }: { readonly place: string; readonly postHandler: boolean },
  { capabilities }: Facts,
): boolean {
  if (place === 'inside' || !capabilities.has('kprobes-on-ftrace')) return false;
  return !capabilities.has('kprobes-share-ftrace') || (place === 'entry' && postHandler);
}

/** The line that names the function that ftrace refuses. */
export function obstacleLines(name: string, why: Obstacle['why'], { capabilities }: Facts): readonly LogLine[] {
  const f = literally(name);
  const byKind: Readonly<Record<Obstacle['why'], readonly [ClauseId, string]>> = {
    untraced: ['FTR-1', noSite(f, capabilities.has('ftrace-finds-sites'))],
    data: ['REG-16', noSite(f, capabilities.has('ftrace-finds-sites'))],
    'switched off': ['FTR-5', `failed to register ftrace handler for function '${f}' \\(-16\\)`],
    'return probe': ['FTR-2', `failed to register ftrace handler for function '${f}' \\(-16\\)`],
    'entry probe': ['FTR-3', `failed to register ftrace handler for function '${f}' \\(-16\\)`],
  };
  const [clause, text] = byKind[why];
  return lines(clause, `livepatch: ${text}`);
}

function noSite(f: string, finds: boolean): string {
  return finds ? `failed to find location for function '${f}'` : `failed to set ftrace filter for function '${f}' \\(-22\\)`;
}
