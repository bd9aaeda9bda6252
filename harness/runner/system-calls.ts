// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import { type Span, type Task, must } from '../guest/guest.js';
import { type FunctionName, functionKey } from '../model/description.js';
import { SituationError } from '../model/reference.js';
import { type Body, original } from '../model/state.js';
import { isHeld } from '../model/tasks.js';
import { isGetpid, markOf, markedCaller } from '../modules/source.js';
import type { FunctionCalls } from './function-calls.js';
import type { SystemCalls } from './scenario.js';
import type { SessionRecord } from './session-record.js';
import { endTask } from './task-end.js';

/** Milliseconds of work, multiplied by the machine's slowdown. */
const patience = 20_000;
/** There are more than CPUs, so that some are always off theirs in the middle of something. */
export const callerCount = 4;
/** Calls of each that a look waits for. */
export const enoughCalls = 1000;

/**
 * Starts tasks that call getpid(2) without end.
 * @throws SituationError for any other function
 */
export async function systemCalls(record: SessionRecord, functions: FunctionCalls, f: FunctionName): Promise<SystemCalls> {
  requireGetpid(f);
  const { guest } = record;
  record.doing = 'start tasks that call getpid() without end';
  const tasks: Task[] = [];
  for (let i = 0; i < callerCount; i++) {
    const spawned = await guest.spawn({ kind: 'getpid', name: markedCaller, file: fileOf(i) });
    const task = must(spawned, record.doing);
    await record.operate({ kind: 'spin', tid: task.pid }, `start a task that calls ${f.name}`, () => Promise.resolve(spawned));
    tasks.push(task);
  }
  return {
    tids: tasks.map(({ pid }) => pid),
    look: async () => {
      for (const [i, { pid }] of tasks.entries()) await look(record, functions, f, pid, fileOf(i));
    },
    release: async () => {
      for (const task of tasks) await endTask(record, task);
    },
  };
}

/** @throws SituationError for a function that no call of getpid(2) reaches */
export function requireGetpid(f: FunctionName): void {
  if (!isGetpid(f)) throw new SituationError(`no system call that could be made reaches ${functionKey(f)}: only that of getpid() can`);
}

function fileOf(i: number): string {
  return `/tmp/klp-getpid-${i}`;
}

/** Waits for calls of one task, and has the model judge each body that they have reached since the look began. */
async function look(record: SessionRecord, functions: FunctionCalls, f: FunctionName, tid: number, file: string): Promise<void> {
  const what = `calls of ${functionKey(f)} by thread ${tid}`;
  record.doing = `waiting for ${what}`;
  const deadline = Date.now() + patience * record.slowdown;
  const before = await counted(record, file);
  let first = before;
  for (;;) {
    const now = await counted(record, file);
    // A call that had returned when the look began may be counted later, whatever has switched the task in between.
    if (first.total === before.total) first = now;
    const more = [...now.counts].map(([value, count]) => [value, count - (first.counts.get(value) ?? 0n)] as const).filter(([, count]) => count > 0n);
    const total = more.reduce((sum, [, count]) => sum + count, 0n);
    if (total >= BigInt(enoughCalls)) {
      const { states, facts } = record.model;
      const held = states.every((s) => isHeld(s, facts)) ? states[0]?.transition?.patch : undefined;
      const bodies = more.map(([value, count]) => ({ body: bodyOf(functions, value, tid), count }));
      const span = { begin: first.span.begin, end: now.span.end };
      const proof = bodies.map(({ body, count }) => `${count} reached ${body}`);
      record.witness(`${what}${held === undefined ? '' : ` while ${held} is held in transition`}`, proof, span);
      for (const { body } of bodies) record.observe(what, body, span, { kind: 'call', function: f, caller: tid, body });
      return;
    }
    if (Date.now() > deadline) throw new SituationError(`${total} ${what}, not ${enoughCalls}`);
    await sleep(20);
  }
}

/** What a call that has returned this number has reached. */
function bodyOf(functions: FunctionCalls, value: bigint, tid: number): Body {
  if (value === BigInt(tid)) return original;
  return functions.patches.find((name) => BigInt(markOf(name)) === value) ?? `unknown: ${value}`;
}

/** How often the calls of a task have returned what (images/agent/getpid.c). */
async function counted({ guest }: SessionRecord, file: string): Promise<{ counts: ReadonlyMap<bigint, bigint>; total: bigint; span: Span }> {
  const outcome = await guest.read(file);
  const data = must(outcome, file);
  const counts = new Map<bigint, bigint>();
  for (let at = 0; at + 16 <= data.length; at += 16) {
    const count = data.readBigUInt64LE(at + 8);
    if (count > 0n) counts.set(data.readBigUInt64LE(at), count);
  }
  return { counts, total: [...counts.values()].reduce((sum, count) => sum + count, 0n), span: outcome.span };
}
