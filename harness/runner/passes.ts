// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import { type Span, type Task, calls, must } from '../guest/guest.js';
import { type FunctionName, functionKey, targetKeyOf, vmlinux } from '../model/description.js';
import type { SeenPasses } from '../model/observations/passes.js';
import type { PassFunctions } from '../model/passes.js';
import { SituationError } from '../model/reference.js';
import { original } from '../model/state.js';
import { isHeld } from '../model/tasks.js';
import { type FunctionCalls, isExported } from './function-calls.js';
import type { PassLook, Passers } from './scenario.js';
import type { SessionRecord } from './session-record.js';
import { awaitEnd } from './task-end.js';

/** Milliseconds of work, multiplied by the machine's slowdown. */
const patience = 20_000;

/** Of those that do nothing else; there are more of them than CPUs, so that some are always in the middle of a pass. */
export const passerCount = 4;

/** Passes that a look waits for. */
export const enoughPasses = 10_000;

/** Starts tasks that make passes. */
export async function startPasses(record: SessionRecord, functions: FunctionCalls, pair: PassFunctions): Promise<Passers> {
  const { guest } = record;
  const [outer, inner] = pair;
  const what = `passes through ${functionKey(outer)} and ${functionKey(inner)}`;
  const directory = `/proc/${outer.object}`;
  record.doing = `begin ${what}`;
  must(await guest.write(`${directory}/pass`, secondOf(outer, inner)), `${directory}/pass`);
  const tasks: Task[] = [];
  await record.operate({ kind: 'passes', functions: pair }, `begin ${what}`, async () => {
    for (let i = 0; i < passerCount; i++) {
      const call = calls.read(`${directory}/pass`, mostPasses);
      tasks.push(must(await guest.spawn({ kind: 'op', name: 'klp-passer', call }), what));
    }
    return { name: 'OK', span: (await guest.readText('/proc/uptime')).span };
  });
  return {
    tids: tasks.map((task) => task.pid),
    look: (options) => look(record, functions, pair, options),
    release: async () => {
      await record.operate({ kind: 'passes', functions: null }, `end ${what}`, async () => {
        for (const { pid } of tasks) must(await guest.kill(pid, 'SIGKILL'), `end thread ${pid}`);
        for (const task of tasks) await awaitEnd(record, task, 'killed');
        return guest.write(`${directory}/pass`, 'nothing');
      });
    },
  };
}

/** One task reads no more bytes than a frame of the agent's may have: it makes more passes than any scenario lasts. */
const mostPasses = 8_000_000;

/**
 * What the target module is told of the second function.
 * @throws SituationError for functions that no pass can call
 */
export function secondOf(outer: FunctionName, inner: FunctionName): string {
  if (targetKeyOf(outer) !== 'alpha') throw new SituationError(`no pass begins in ${functionKey(outer)}: only in alpha of a target module`);
  if (inner.object === vmlinux && inner.name === 'cmdline_proc_show') return 'file /proc/cmdline';
  const key = targetKeyOf(inner) ?? '';
  if (inner.object === outer.object && key === 'beta') return 'function beta';
  if (inner.object !== vmlinux && inner.object !== outer.object && isExported(inner)) return `symbol ${inner.name}`;
  throw new SituationError(`alpha of ${outer.object} cannot call ${functionKey(inner)} in a pass`);
}

/** Characters that the module keeps of what was said: PASS_SAID without the NUL (harness/modules/c/passes.h). */
const mostSaid = 55;

/** What the module has counted since it was last asked. */
interface Counted {
  readonly passes: readonly SeenPasses[];
  /** Passes in whose middle the task was off its CPU. */
  readonly leftCpu: number;
  readonly span: Span;
}

/** Waits for passes, of each of `callers` as well, and has the model judge all since the last look. */
async function look(
  record: SessionRecord,
  functions: FunctionCalls,
  pair: PassFunctions,
  { atLeast = enoughPasses, callers = [], mixed = false }: PassLook = {},
): Promise<void> {
  const [outer] = pair;
  const what = `passes through ${pair.map(functionKey).join(' and ')}`;
  const { model, slowdown } = record;
  const { states } = model;
  const held = states.every((s) => isHeld(s, model.facts)) ? states[0]?.transition : undefined;
  for (const { tid } of callers) await ask(record, outer, tid);

  record.doing = `waiting for ${atLeast} ${what}`;
  const deadline = Date.now() + patience * slowdown;
  // What came before this look is judged as well, but is none of those that are waited for.
  let seen = await counted(record, functions, pair);
  let total = 0;
  while (total < atLeast) {
    if (Date.now() > deadline) throw new SituationError(`${total} ${what}, not ${atLeast}`);
    await sleep(50);
    const more = await counted(record, functions, pair);
    total += more.passes.reduce((sum, { count }) => sum + count, 0);
    seen = added(seen, more);
  }
  const unfinished = seen.passes.find((p) => p.pair.some((body) => body === ''));
  if (unfinished) throw new SituationError(`${what}: the second function was not reached; does the replacement use the target's gate?`);
  if (seen.leftCpu === 0) throw new SituationError(`${what}: no task left its CPU in the middle of one`);
  const said = seen.passes.map((p) => `${p.count} × ${p.pair.join(' + ')}${p.caller === null ? '' : ` by thread ${p.caller}`}`);
  requireMixed(mixed, seen.passes, what);
  const proof = [...said, `${total} of these since the look began`, `${seen.leftCpu} times the task was off its CPU in the middle`];
  record.witness(`${what}${held ? ` while ${held.patch} is held in transition` : ''}`, proof, seen.span);
  record.observe(what, said.join(', '), seen.span, { kind: 'passes', functions: pair, passes: seen.passes });
  if (held) await stillHeld(record, held.patch);
}

/**
 * That a control has shown what it is there for: of two patches, each with a body of its own, one old and one new.
 * @throws SituationError when no pass reached the original of one function and a replacement of the other
 */
export function requireMixed(mixed: boolean, passes: readonly SeenPasses[], what: string): void {
  if (mixed && passes.every(({ pair: [outer, inner] }) => (outer === original) === (inner === original))) {
    throw new SituationError(`${what}: none is mixed, so this control shows nothing`);
  }
}

/** Shows that a transition is still held, as it has been all the time then; or has the model judge that it is not. */
async function stillHeld(record: SessionRecord, patch: string): Promise<void> {
  const file = `/sys/kernel/livepatch/${patch}/transition`;
  const value = await record.guest.readText(file);
  const text = value.ok ? value.value.trim() : value.name;
  if (text === '1') {
    record.witness(`${patch} was in transition until all passes had been counted`, [`${file}: 1`], value.span);
    return;
  }
  record.observe(`end of ${file}`, `reads ${text}`, value.span, { kind: 'transition-end', patch, ended: true, log: await record.kernelLog() });
}

/** A parked task makes a thousand passes from where it is. */
async function ask({ guest }: SessionRecord, outer: FunctionName, tid: number): Promise<void> {
  const what = `passes by thread ${tid}`;
  const [outcome] = must(await guest.batch([calls.io(`/proc/${outer.object}/ask`, { write: `${tid} ${outer.object}_passes`, read: 80 })]), what);
  const said = outcome.ok ? outcome.value.data.toString().trim() : outcome.name;
  if (said !== 'passed') throw new SituationError(`${what}: ${said}`);
}

async function counted({ guest }: SessionRecord, functions: FunctionCalls, [outer, inner]: PassFunctions): Promise<Counted> {
  const file = `/proc/${outer.object}/passes`;
  const outcome = await guest.readText(file);
  const [head = '', ...rows] = must(outcome, file).trimEnd().split('\n');
  const [leftCpu = 0, lost = 0] = head.split('\t').map(Number);
  if (lost > 0) throw new SituationError(`${file} has no room for ${lost} passes`);
  const passes = rows.map((row): SeenPasses => {
    const [caller = '', count = '', first = '', second = ''] = row.split('\t');
    const pair = [bodyOf(functions, outer, first), bodyOf(functions, inner, second)] as const;
    return { caller: caller === '0' ? null : Number(caller), count: Number(count), pair };
  });
  return { passes, leftCpu, span: outcome.span };
}

function bodyOf(functions: FunctionCalls, f: FunctionName, said: string): string {
  return said === '' ? '' : functions.bodyOf(f, said, mostSaid);
}

function added(a: Counted, b: Counted): Counted {
  const key = (p: SeenPasses): string => `${p.caller} ${p.pair.join(' ')}`;
  const sums = new Map<string, SeenPasses>();
  for (const p of [...a.passes, ...b.passes]) sums.set(key(p), { ...p, count: p.count + (sums.get(key(p))?.count ?? 0) });
  return { passes: [...sums.values()], leftCpu: a.leftCpu + b.leftCpu, span: { begin: a.span.begin, end: b.span.end } };
}
