// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import { type Task, calls, must } from '../guest/guest.js';
import { schedulerState } from '../guest/tasks.js';
import type { LivepatchDescription } from '../model/description.js';
import type { ApiCall, WhichPatch } from '../model/operations/index.js';
import { SituationError } from '../model/reference.js';
import type { DrivenApi, Unregistering } from './scenario.js';
import type { Ending, SessionRecord } from './session-record.js';

/** Milliseconds of work, multiplied by the machine's slowdown. */
const patience = 10_000;

/**
 * Readings in a row that must show the task asleep in klp_unregister_patch(), 20 ms apart: it sleeps there for a moment,
 * too, when somebody else has klp_mutex.
 */
const steady = 10;

/** The livepatch API, called by driven modules through /proc/<patch>/api. */
export function drivenApi(record: SessionRecord): DrivenApi {
  const call = (name: ApiCall) => async (patch: LivepatchDescription, which: WhichPatch = 'first') => {
    const file = await apiFile(record, patch);
    await record.operate({ kind: 'api', call: name, patch: patch.name, which }, apiText(name, patch, which), () =>
      record.guest.write(file, `${name} ${which}`),
    );
  };
  const reference = (kind: 'hold' | 'let-go') => async (patch: LivepatchDescription) => {
    const file = await apiFile(record, patch);
    const what = kind === 'hold' ? `hold the kobject of ${patch.name}` : `let go of the kobject of ${patch.name}`;
    await record.operate({ kind, patch: patch.name }, what, () => record.guest.write(file, kind));
  };
  return {
    register: call('register'),
    enable: call('enable'),
    disable: call('disable'),
    unregister: call('unregister'),
    beginUnregister: (patch) => beginUnregister(record, patch),
    hold: reference('hold'),
    letGo: reference('let-go'),
  };
}

async function apiFile(record: SessionRecord, patch: LivepatchDescription): Promise<string> {
  if (!patch.driven) throw new SituationError(`${patch.name} is not described as driven: it offers no calls`);
  const file = `/proc/${patch.name}/api`;
  await record.require(file, `${patch.name} is not loaded`);
  return file;
}

function apiText(name: ApiCall, patch: LivepatchDescription, which: WhichPatch): string {
  const argument = { null: 'NULL', first: patch.name, second: `${patch.name}, its second patch` }[which];
  return `klp_${name}_patch(${argument})`;
}

/** klp_unregister_patch() in a task of its own: it waits for whoever holds the patch's kobject. */
async function beginUnregister(record: SessionRecord, patch: LivepatchDescription): Promise<Unregistering> {
  const { guest } = record;
  const text = apiText('unregister', patch, 'first');
  record.doing = `begin ${text}`;
  const file = await apiFile(record, patch);
  const call = calls.write(file, 'unregister first');
  const task = must(await guest.spawn({ kind: 'op', name: 'klp-unregister', call }), record.doing);

  // Who has ended can be waited for once.
  let ending: Ending | undefined;
  const wait = async (milliseconds: number): Promise<Ending> => {
    if (!ending) {
      const waited = await guest.wait(task, milliseconds);
      const end = must(waited, `waiting for thread ${task.pid}`);
      if (end.state === 'running') return { name: 'does not return', span: waited.span };
      ending = end.outcome ?? { name: `${end.state} with ${end.status}`, span: waited.span };
    }
    return ending;
  };

  return {
    tid: task.pid,
    waits: () => unregisterWaits(record, patch, task, async () => (await wait(0)) === ending),
    end: () =>
      record.operate({ kind: 'api', call: 'unregister', patch: patch.name, which: 'first' }, `${text} in thread ${task.pid}`, () =>
        wait(patience * record.slowdown),
      ),
  };
}

/** Looks until the call has ended, or sleeps for good. */
async function unregisterWaits(
  record: SessionRecord,
  patch: LivepatchDescription,
  { pid: tid }: Task,
  hasEnded: () => Promise<boolean>,
): Promise<void> {
  const { guest } = record;
  const what = `klp_unregister_patch(${patch.name}) in thread ${tid}`;
  record.doing = `watching ${what}`;
  const deadline = Date.now() + patience * record.slowdown;
  for (let asleep = 0; ; ) {
    if (await hasEnded()) {
      record.observe(what, 'has returned', undefined, { kind: 'unregister-waits', patch: patch.name, waits: false });
      return;
    }
    const state = await schedulerState(guest, tid);
    const [stack] = await guest.stacks([tid]);
    const frames = stack?.ok === true ? stack.value.trim() : '';
    asleep = state === 'D' && /\bklp_unregister_patch\+/.test(frames) ? asleep + 1 : 0;
    if (stack && asleep === steady) {
      record.witness(`thread ${tid} sleeps in klp_unregister_patch()`, frames.split('\n'), stack.span);
      record.observe(what, 'waits', stack.span, { kind: 'unregister-waits', patch: patch.name, waits: true });
      return;
    }
    if (Date.now() > deadline) {
      throw new SituationError(`${what} neither returns nor waits: state ${state}, stack: ${frames || 'none'}`);
    }
    await sleep(20);
  }
}
