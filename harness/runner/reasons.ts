// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import { type LogRecord, must } from '../guest/guest.js';
import { loggedReasons, reasonOf, retryDue } from '../model/observations/reasons.js';
import { SituationError } from '../model/reference.js';
import { holders } from '../model/tasks.js';
import { Patience } from './patience.js';
import type { SessionRecord } from './session-record.js';

/** Milliseconds: the kernel tries every second. */
const patience = 12_000;
/** Milliseconds without a look at the log, after which nobody can say that it is the kernel that is late. */
const blind = 3_000;
/** How often each task has to be named. */
const attempts = 2;

const controls = ['/sys/kernel/debug/dynamic_debug/control', '/proc/dynamic_debug/control'];

/** Listens to what the kernel says of tasks that it does not switch, for several of its attempts. */
export async function reasons(record: SessionRecord): Promise<void> {
  const what = 'why tasks are not switched, in the kernel log';
  record.doing = what;
  await switchMessages(record, '+p');
  const from = await record.guest.logEnd();
  const time = await Patience.start(patience, record.hostWait);
  let longest = 0;
  for (;;) {
    const begun = Date.now();
    const { records } = await record.guest.log(from);
    longest = Math.max(longest, Date.now() - begun);
    const lines = records.map((r) => r.text);
    if (!isEnough(record, lines) && !(await time.isOver())) {
      await sleep(100);
      continue;
    }
    await switchMessages(record, '-p');
    const said = loggedReasons(lines);
    const held = record.model.states.flatMap(holders).map((h) => h.task.tid);
    const gaps = gapsOf(records, said.find((s) => held.includes(s.tid))?.tid);
    if (longest > blind && gaps.some((gap) => gap > retryDue.latest)) {
      throw new SituationError(`the guest is too slow to judge how often the kernel tries: no answer for ${longest} ms`);
    }
    const seen = [...new Set(said.map(({ tid, text }) => `${tid} ${text}`))].join(', ');
    record.observe(what, seen || 'nothing', undefined, { kind: 'reasons', lines, gaps });
    return;
  }
}

/** Milliseconds of the guest's clock between two lines that name this task. */
function gapsOf(records: readonly LogRecord[], tid: number | undefined): readonly number[] {
  const times = records.filter((r) => loggedReasons([r.text]).some((s) => s.tid === tid)).map((r) => Number(r.microseconds) / 1000);
  return times.slice(1).map((time, i) => time - (times[i] ?? time));
}

/** Whether every task that holds the transition has been named often enough, and of those that run one as running. */
function isEnough({ model }: SessionRecord, lines: readonly string[]): boolean {
  const said = loggedReasons(lines);
  const [state] = model.states;
  if (!state) return true;
  const held = holders(state);
  const runs = held.filter((h) => h.why === 'running');
  const caught = runs.some((h) => said.some((s) => s.tid === h.task.tid && s.text === reasonOf(h, model.facts)));
  const preempted = held.filter((h) => h.task.activity === 'preempted');
  if (!preempted.every((h) => said.some((s) => s.tid === h.task.tid && s.text === reasonOf(h, model.facts)))) return false;
  const often = held.every((h) => said.filter((s) => s.tid === h.task.tid).length >= attempts);
  return often && (runs.length === 0 || caught);
}

async function switchMessages({ guest }: SessionRecord, how: '+p' | '-p'): Promise<void> {
  for (const control of controls) {
    const outcome = await guest.write(control, `func klp_try_switch_task ${how}`);
    if (outcome.name === 'ENOENT') continue;
    must(outcome, control);
    return;
  }
  throw new SituationError(`there is no ${controls.join(' or ')}: the kernel lacks CONFIG_DYNAMIC_DEBUG`);
}
