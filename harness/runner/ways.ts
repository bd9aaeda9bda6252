// SPDX-License-Identifier: MIT
import { type Guest, must } from '../guest/guest.js';
import { availableTracers, clearTrace, filterFunctions, readTrace, setTracer } from '../guest/tracefs.js';
import type { SeenWay, Way } from '../model/observations/ways.js';
import { SituationError } from '../model/reference.js';
import type { Ways } from './scenario.js';
import type { SessionRecord } from './session-record.js';

const ofItself = 'klp_update_patch_state';
const byScheduler = '__klp_sched_try_switch';

/** Has the function tracer note which tasks switch themselves. */
export async function recordWays(record: SessionRecord): Promise<Ways> {
  const { guest, model } = record;
  const what = 'ways in which tasks are switched';
  record.doing = what;
  if (!(await availableTracers(guest)).includes('function')) throw new SituationError(`${what}: the kernel has no function tracer`);
  await clearTrace(guest);
  const names = model.facts.capabilities.has('switch-at-schedule') ? [ofItself, byScheduler] : [ofItself];
  await follow(guest, names, what);
  return {
    look: async (...tasks) => {
      record.doing = what;
      const outcome = await readTrace(guest);
      const ways = waysOf(
        must(outcome, what),
        tasks.map((t) => t.tid),
      );
      const seen = ways.map(({ tid, way }) => `${tid} ${way}`).join(', ');
      record.observe(what, seen, outcome.span, { kind: 'ways', ways });
      await clearTrace(guest);
    },
    release: async () => {
      must(await setTracer(guest, 'nop'), 'no tracer');
      must(await filterFunctions(guest), "the tracers' filter");
    },
  };
}

async function follow(guest: Guest, names: readonly string[], what: string): Promise<void> {
  const filtered = await filterFunctions(guest, ...names);
  if (!filtered.ok) throw new SituationError(`${what}: ftrace does not know ${names.join(' or ')}: ${filtered.name}`);
  must(await setTracer(guest, 'function'), 'the function tracer');
}

/** The ways of some threads, as a function trace shows them: `comm-tid [cpu] flags time: function <-caller`. */
export function waysOf(trace: string, tids: readonly number[]): readonly SeenWay[] {
  const calls = [...trace.matchAll(/^.*-(\d+) +\[\d+\] .*: (\w+) <-/gm)].map(([, tid, name]) => ({ tid: Number(tid), name }));
  return tids.map((tid) => {
    const names = calls.filter((c) => c.tid === tid).map((c) => c.name);
    const way: Way = names.includes(ofItself) ? 'itself' : names.includes(byScheduler) ? 'scheduler' : 'stack check';
    return { tid, way };
  });
}
