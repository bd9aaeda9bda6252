// SPDX-License-Identifier: MIT
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { TrialStep } from '../../harness/report/trial-schema.js';
import { TrialEnded, TrialRecord } from '../../harness/runner/trial-record.js';
import { unlessKernelBreaks } from '../../harness/runner/trial-wait.js';
import type { Console } from '../../harness/vm/console.js';

const fine = { value: 7, outcome: 'OK', ok: true, lines: [] };

void t.test('the worst that was found is the verdict; a reason stands once', (t) => {
  const record = new TrialRecord(() => undefined);
  t.match(record.findings(), { verdict: 'clean', reasons: [] });
  record.find('unclean', 'b');
  record.find('held', 'a');
  record.find('unclean', 'b');
  t.match(record.findings(), { verdict: 'unclean', reasons: ['b', 'a'] });
  t.throws(() => record.end('crashed', 'c'));
  t.match(record.findings(), { verdict: 'crashed', reasons: ['b', 'a', 'c'] });
  t.end();
});

void t.test('steps are told as they end', async (t) => {
  const told: TrialStep[] = [];
  const record = new TrialRecord((step) => told.push(step));
  t.equal(await record.step('one', () => Promise.resolve(fine)), 7);
  record.note('two', 'seen', false, ['why']);
  t.match(told, [{ what: 'one', outcome: 'OK', ok: true }, { what: 'two', outcome: 'seen', ok: false, lines: ['why'] }]);
  t.same(record.findings().steps, told);
});

/** A console that complains when it is told to. */
function quiet(): Pick<Console, 'emitter'> & { readonly emitter: EventEmitter } {
  return { emitter: new EventEmitter() } as never;
}

void t.test('a kernel that broke is not waited for', async (t) => {
  const console = quiet();
  const told: TrialStep[] = [];
  const record = new TrialRecord((step) => told.push(step));
  let end: () => void = () => undefined;
  const hangs = new Promise<void>((resolve) => (end = resolve));
  const stuck = record.step('exercise', async () => {
    await hangs;
    return fine;
  });
  const waiting = unlessKernelBreaks(console, 1, stuck.then(() => undefined), () => record.close('the kernel broke meanwhile'));
  console.emitter.emit('complaint', 'warning');
  await sleep(50);
  t.same(told, [], 'a warning alone ends nothing');
  console.emitter.emit('complaint', 'oops');
  await waiting;
  t.match(told, [{ what: 'exercise', outcome: 'the kernel broke meanwhile', ok: false }]);
  end();
  await stuck.then(
    () => t.fail('a step that comes too late has no value'),
    (error: unknown) => t.ok(error instanceof TrialEnded),
  );
  await record.step('another', () => Promise.resolve(fine)).then(
    () => t.fail('nothing begins any more'),
    (error: unknown) => t.ok(error instanceof TrialEnded),
  );
  t.equal(told.length, 1);
  t.equal(console.emitter.listenerCount('complaint'), 0);
});

void t.test('work that ends, or fails, in a kernel that did not break', async (t) => {
  const console = quiet();
  await unlessKernelBreaks(console, 1, Promise.resolve(), () => t.fail('it did not'));
  const reason = new Error('why');
  await t.rejects(unlessKernelBreaks(console, 1, Promise.reject(reason), () => t.fail('it did not')), reason);
  t.equal(console.emitter.listenerCount('complaint'), 0);
});
