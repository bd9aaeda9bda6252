// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import { type Outcome, calls, must } from '../guest/guest.js';
import { type FunctionName, type TargetDescription, functionKey } from '../model/description.js';
import { SituationError } from '../model/reference.js';
import { type FunctionCalls, exportedNames, isExported } from './function-calls.js';
import { Patience } from './patience.js';
import type { SessionRecord } from './session-record.js';

/** Milliseconds of the guest's clock in which idle tasks switch: a kernel that does not wake them has to find one at work. */
const idlePatience = 40_000;

/** Why a target module could not interrupt what it was to. */
const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'the target module is not loaded',
  ESRCH: 'it is there no longer',
  ETIME: 'its CPU was never interrupted while it ran',
  ENXIO: 'there is no other CPU to interrupt it from',
};

/** Has the CPU of a thread interrupted while that runs; the handler calls a function, and which body it reaches is judged. */
export async function interrupt(record: SessionRecord, functions: FunctionCalls, tid: number, f: FunctionName): Promise<void> {
  const what = `call of ${functionKey(f)} in an interrupt over thread ${tid}`;
  record.doing = what;
  if (!isExported(f)) throw new SituationError(`${what}: only ${exportedNames} of a target module are exported`);
  const { patchState, said, span } = await ask(record, f.object, `${tid} ${f.name}`, what);
  const body = functions.bodyOf(f, said);
  record.witness(`an interrupt goes off over thread ${tid}`, [`the task that the handler interrupts is ${tid}, with patch_state ${patchState}`], span);
  record.observe(what, `${body}, over a thread with patch_state ${patchState}`, span, { kind: 'interrupt', over: tid, patchState, function: f, body });
}

/** Looks at the idle task of every CPU that is online, until each has switched that the model says does. */
export async function idleTasks(record: SessionRecord, { name }: TargetDescription): Promise<void> {
  const what = 'patch_state of idle tasks';
  record.doing = what;
  const { guest, model } = record;
  const online = cpuList(must(await guest.readText('/sys/devices/system/cpu/online'), 'CPUs that are online'));
  const targets = model.states.map((s) => (s.transition?.phase === 'running' ? s.transition.target : undefined));
  const time = await Patience.start(idlePatience, record.hostWait);
  for (;;) {
    const cpus: { readonly cpu: number; readonly patchState: number }[] = [];
    let span;
    for (const cpu of online) {
      const seen = await ask(record, name, `idle ${cpu}`, `${what} of CPU ${cpu}`);
      cpus.push({ cpu, patchState: seen.patchState });
      span = { begin: (span ?? seen.span).begin, end: seen.span.end };
    }
    const waiting = cpus.some(({ patchState }) => targets.some((target) => target !== undefined && patchState === 1 - target));
    if (waiting && !(await time.isOver())) {
      await sleep(100);
      continue;
    }
    const seen = cpus.map(({ cpu, patchState }) => `CPU ${cpu}: ${patchState}`).join(', ');
    record.observe(what, seen, span, { kind: 'idle-tasks', cpus, settled: true });
    return;
  }
}

/** CPU numbers of a list such as `0-1,3`. */
export function cpuList(text: string): readonly number[] {
  return text
    .trim()
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [from = NaN, to = from] = part.split('-').map(Number);
      return Array.from({ length: to - from + 1 }, (_none, i) => from + i);
    });
}

async function ask(
  { guest }: SessionRecord,
  target: string,
  words: string,
  what: string,
): Promise<{ readonly patchState: number; readonly said: string; readonly span: Outcome<unknown>['span'] }> {
  const [outcome] = must(await guest.batch([calls.io(`/proc/${target}/interrupt`, { write: words, read: 80 })]), what);
  if (!outcome.ok) throw new SituationError(`${what}: ${outcome.name}: ${reasons[outcome.name] ?? 'unexpected'}`);
  const [, state = '', said = ''] = /^(-?\d+)(?: (.*))?$/.exec(outcome.value.data.toString().trimEnd()) ?? [];
  if (state === '') throw new SituationError(`${what}: the target module says "${outcome.value.data.toString()}"`);
  return { patchState: Number(state), said, span: outcome.span };
}
