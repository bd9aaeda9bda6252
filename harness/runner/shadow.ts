// SPDX-License-Identifier: MIT
import { InfrastructureError } from '../errors.js';
import { must } from '../guest/guest.js';
import type { LivepatchDescription } from '../model/description.js';
import { SituationError } from '../model/reference.js';
import { type ShadowCall, type ShadowReport, shadowCallText } from '../model/shadow.js';
import type { ShadowVariables } from './scenario.js';
import type { SessionRecord } from './session-record.js';

/** Most tasks that can call at once (harness/modules/c/shadow.h). */
const mostTasks = 16;

/**
 * The shadow variable API as scenarios call it.
 * @param perform makes one call, and looks at what came of it
 */
export function shadowVariables(perform: (patch: LivepatchDescription, call: ShadowCall) => Promise<void>): ShadowVariables {
  const made = (call: 'alloc' | 'get_or_alloc'): ShadowVariables['alloc'] => async (patch, key, construct) => {
    if (construct !== undefined && construct !== 'fails') requireNumber(construct);
    await perform(patch, { call, ...keyOf(key), ...(construct === undefined ? {} : { construct }) });
  };
  return {
    get: async (patch, key) => perform(patch, { call: 'get', ...keyOf(key) }),
    alloc: made('alloc'),
    getOrAlloc: made('get_or_alloc'),
    free: async (patch, key, { destructor = true } = {}) => perform(patch, { call: 'free', ...keyOf(key), destructor }),
    freeAll: async (patch, id, { destructor = true } = {}) => {
      requireNumber(id);
      await perform(patch, { call: 'free_all', id, destructor });
    },
    getOrAllocAtOnce: async (patch, key, tasks) => {
      if (!Number.isInteger(tasks) || tasks < 2 || tasks > mostTasks) {
        throw new SituationError(`${tasks} tasks cannot call at once: 2 to ${mostTasks} can`);
      }
      await perform(patch, { call: 'race', ...keyOf(key), tasks });
    },
  };
}

function keyOf({ object, id }: { readonly object: number; readonly id: number }): { readonly object: number; readonly id: number } {
  return { object: requireNumber(object), id: requireNumber(id) };
}

function requireNumber(value: number): number {
  if (Number.isInteger(value) && value >= 0 && value < 2 ** 32) return value;
  throw new SituationError(`objects, ids and data of shadow variables are numbers of 32 bits, not ${value}`);
}

/** @throws SituationError for a module that has no file to call the API with */
export function requireShadow(patch: LivepatchDescription): void {
  if (!patch.shadow) throw new SituationError(`${patch.name} is not described with shadow: it does not call for shadow variables`);
}

/** One call on the kernel. */
export async function performShadowCall(record: SessionRecord, patch: LivepatchDescription, call: ShadowCall): Promise<void> {
  requireShadow(patch);
  const file = `/proc/${patch.name}/shadow`;
  await record.require(file, `${patch.name} is not loaded`);
  const what = shadowCallText(patch.name, call);
  await record.operate({ kind: 'shadow', patch: patch.name, call }, what, () => record.guest.write(file, shadowRequest(call)));
  const outcome = await record.guest.readText(file);
  const text = must(outcome, file);
  const { report, begun } = parseShadowReport(text);
  if (begun !== undefined) {
    if (begun < 2) throw new SituationError(`${what}: no second task had begun to call when the constructor ended; that takes two CPUs`);
    record.witness(`${begun} tasks had begun to call when the constructor ended`, text.trim().split('\n'), outcome.span);
  }
  const seen = [...report.returned.map((value) => `returned ${value}`), ...report.ran].join(', ') || 'nothing';
  record.observe(what, seen, outcome.span, { kind: 'shadow-call', patch: patch.name, call, report });
}

/** A call in the words of harness/modules/c/shadow.h. */
export function shadowRequest(call: ShadowCall): string {
  switch (call.call) {
    case 'get':
      return `get ${call.object} ${call.id} -`;
    case 'alloc':
    case 'get_or_alloc':
      return `${call.call} ${call.object} ${call.id} ${call.construct ?? 'none'}`;
    case 'free':
      return `free ${call.object} ${call.id} ${call.destructor ? 'destructor' : 'none'}`;
    case 'free_all':
      return `free_all 0 ${call.id} ${call.destructor ? 'destructor' : 'none'}`;
    case 'race':
      return `race ${call.object} ${call.id} ${call.tasks}`;
  }
}

/**
 * What the module's file says of the last call.
 * @returns `begun`: how many tasks had begun to call when the constructor of a race ended
 * @throws InfrastructureError for lines of another kind
 */
export function parseShadowReport(text: string): { readonly report: ShadowReport; readonly begun?: number } {
  const returned: string[] = [];
  const ran: string[] = [];
  let begun: number | undefined;
  for (const line of text.split('\n').filter((l) => l !== '')) {
    const [, kind, rest = ''] = /^(returned|ran|begun) (.+)$/.exec(line) ?? [];
    if (kind === 'returned') returned.push(rest);
    else if (kind === 'ran') ran.push(rest);
    else if (kind === 'begun') begun = Number(rest);
    else throw new InfrastructureError(`a module says of a shadow variable what is not understood: ${line}`);
  }
  return { report: { returned, ran: ran.sort() }, ...(begun === undefined ? {} : { begun }) };
}
