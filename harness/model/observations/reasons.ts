// SPDX-License-Identifier: MIT
import type { ClauseId } from '../catalogue/types.js';
import type { Facts } from '../state.js';
import { type Holder, holders, stragglers } from '../tasks.js';
import { type Prediction, type Rule, prediction } from './types.js';

/* What klp_try_switch_task() says of a task that it does not switch, with dynamic debug on (kernel/livepatch/transition.c). */

/** One line of it. */
export interface LoggedReason {
  readonly tid: number;
  /** The function that says so, and what: without the task. */
  readonly text: string;
}

/**
 * Milliseconds of the guest's clock between two of the kernel's attempts: about a second (round_jiffies_relative(HZ) in
 * klp_try_complete_transition()). The bounds are wide: a busy guest is late.
 */
export const retryDue = { earliest: 500, latest: 6_000 } as const;

/** Lines that give a reason; others are left out. */
export function loggedReasons(lines: readonly string[]): readonly LoggedReason[] {
  return lines.flatMap((line) => {
    const match = /^livepatch: (klp_\w+): .*:(\d+) (is running|is sleeping on function .*|has an unreliable stack)\s*$/.exec(line);
    return match ? [{ tid: Number(match[2]), text: `${match[1]}: ${match[3]}` }] : [];
  });
}

/** The kernel's words for why it does not switch a task. */
export function reasonOf({ why, frame }: Holder, facts: Facts): string {
  if (why === 'running') return running;
  return why === 'unreliable' ? `${checking(facts)}: has an unreliable stack` : asleep(frame.function.name, facts);
}

const running = 'klp_try_switch_task: is running';
const distinct = (texts: readonly string[]): string => [...new Set(texts)].join(', ') || 'not said';

const asleep = (name: string, facts: Facts): string => `${checking(facts)}: is sleeping on function ${name}`;

/** Up to 5.15 all but the check for running tasks is said by another function. */
function checking({ capabilities }: Facts): string {
  return capabilities.has('reasons-in-one-function') ? 'klp_try_switch_task' : 'klp_check_stack';
}

/**
 * Each task that holds the transition is named, with its reason and no other, and nobody else is; but for idle tasks
 * (pid 0), which may be running at every attempt. A running task may be off its CPU, for it gives it up to the kernel's worker
 * that makes the attempt: then its stack is looked at. Not all of several are off theirs every time. One that is preempted
 * may for once be on its CPU.
 */
export const reasonsRule: Rule<'reasons'> = (state, { lines, gaps }, facts) => {
  const said = loggedReasons(lines);
  const held = holders(state);
  const known = [0, ...held.map((h) => h.task.tid), ...stragglers(state).map((task) => task.tid)];
  const others = said.filter((s) => !known.includes(s.tid));
  const strange = [...new Set(others.map((s) => `${s.tid} ${s.text}`))].join(', ');
  const runners = held.filter((h) => h.why === 'running').map((h) => h.task.tid);
  const caught = said.filter((s) => runners.includes(s.tid)).map((s) => s.text);
  const text = `${running}, of one of ${runners.join(', ')} at some attempt`;
  return [
    ...(runners.length === 0 ? [] : [prediction('CHK-6', 'running tasks, in the kernel log', distinct(caught), text, caught.includes(running))]),
    ...held.map((holder) => ofHolder(holder, said, facts)),
    prediction('CHK-7', 'tasks that hold nothing, in the kernel log', strange || 'none', 'none', others.length === 0),
    ...(held.length === 0 ? [] : [retried(gaps)]),
  ];
};

function retried(gaps: readonly number[]): Prediction {
  const { earliest, latest } = retryDue;
  const seen = gaps.length === 0 ? 'there is no second one' : gaps.map((gap) => `${(gap / 1000).toFixed(1)} s`).join(', ');
  const holds = gaps.length > 0 && gaps.every((gap) => gap >= earliest && gap <= latest);
  return prediction('TRN-7', 'time between two attempts', seen, `${earliest / 1000} to ${latest / 1000} s`, holds);
}

const clauseOf: Readonly<Record<Holder['why'], ClauseId>> = { frame: 'CHK-7', running: 'CHK-6', unreliable: 'CHK-5' };

function ofHolder(holder: Holder, said: readonly LoggedReason[], facts: Facts): Prediction {
  const { tid } = holder.task;
  const seen = said.filter((s) => s.tid === tid).map((s) => s.text);
  const reason = reasonOf(holder, facts);
  const may = [reason, ...otherReasons(holder, facts)];
  const holds = seen.length > 0 && seen.every((text) => may.includes(text)) && (holder.task.activity !== 'preempted' || seen.includes(reason));
  return prediction(clauseOf[holder.why], `why thread ${tid} is not switched`, distinct(seen), may.join(' or '), holds);
}

/** What the kernel may say of a task at some attempt, beside the reason. */
function otherReasons(holder: Holder, facts: Facts): readonly string[] {
  if (holder.why === 'running') return [`${checking(facts)}: has an unreliable stack`, asleep(holder.frame.function.name, facts)];
  return holder.task.activity === 'preempted' ? [running] : [];
}
