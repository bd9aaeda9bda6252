// SPDX-License-Identifier: MIT
import t from 'tap';
import { InfrastructureError } from '../../harness/errors.js';
import type { Guest } from '../../harness/guest/guest.js';
import { livepatch } from '../../harness/model/description.js';
import { type ShadowCall, shadowCallText } from '../../harness/model/shadow.js';
import { SessionRecord } from '../../harness/runner/session-record.js';
import { parseShadowReport, performShadowCall, requireShadow, shadowRequest, shadowVariables } from '../../harness/runner/shadow.js';
import { NotingModel } from './noting-model.js';

const patch = livepatch('klp_x', {}, { shadow: true });

void t.test('each call reaches the module in its words, and a person in others', async (t) => {
  const made: ShadowCall[] = [];
  const shadow = shadowVariables((_patch, call) => {
    made.push(call);
    return Promise.resolve();
  });
  const key = { object: 1, id: 7, more: true };
  await shadow.get(patch, key);
  await shadow.alloc(patch, key);
  await shadow.alloc(patch, key, 42);
  await shadow.getOrAlloc(patch, key, 'fails');
  await shadow.free(patch, key);
  await shadow.free(patch, key, { destructor: false });
  await shadow.freeAll(patch, 9);
  await shadow.getOrAllocAtOnce(patch, key, 8);
  t.strictSame(made.map(shadowRequest), [
    'get 1 7 -',
    'alloc 1 7 none',
    'alloc 1 7 42',
    'get_or_alloc 1 7 fails',
    'free 1 7 destructor',
    'free 1 7 none',
    'free_all 0 9 destructor',
    'race 1 7 8',
  ]);
  t.strictSame(made.map((call) => shadowCallText('klp_x', call)), [
    'klp_shadow_get(object 1, id 7) by klp_x',
    'klp_shadow_alloc(object 1, id 7, no constructor) by klp_x',
    'klp_shadow_alloc(object 1, id 7, a constructor that stores 42) by klp_x',
    'klp_shadow_get_or_alloc(object 1, id 7, a constructor that fails) by klp_x',
    'klp_shadow_free(object 1, id 7, a destructor) by klp_x',
    'klp_shadow_free(object 1, id 7, no destructor) by klp_x',
    'klp_shadow_free_all(id 9, a destructor) by klp_x',
    'klp_shadow_get_or_alloc(object 1, id 7) by 8 tasks of klp_x at once',
  ]);
  t.strictSame(made[0], { call: 'get', object: 1, id: 7 }, 'nothing else of the key');

  await t.rejects(shadow.get(patch, { object: -1, id: 7 }), /are numbers of 32 bits/);
  await t.rejects(shadow.alloc(patch, { object: 1, id: 2 ** 32 }), /are numbers of 32 bits/);
  await t.rejects(shadow.getOrAlloc(patch, key, 0.5), /are numbers of 32 bits/);
  await t.rejects(shadow.freeAll(patch, NaN), /are numbers of 32 bits/);
  for (const tasks of [1, 17, 2.5]) await t.rejects(shadow.getOrAllocAtOnce(patch, key, tasks), /cannot call at once: 2 to 16 can/);
  t.equal(made.length, 8, 'and none of these was made');
});

void t.test('what a module says of a call', (t) => {
  t.strictSame(parseShadowReport(''), { report: { returned: [], ran: [] } });
  t.strictSame(parseShadowReport('returned NULL\n'), { report: { returned: ['NULL'], ran: [] } });
  t.strictSame(parseShadowReport('ran destructor 2=1\nran destructor 1=0\n'), { report: { returned: [], ran: ['destructor 1=0', 'destructor 2=1'] } });
  t.strictSame(parseShadowReport('begun 2\nran constructor 1=2\nreturned 2\nreturned 2\n'), {
    report: { returned: ['2', '2'], ran: ['constructor 1=2'] },
    begun: 2,
  });
  t.throws(() => parseShadowReport('returned 42\nreturn'), InfrastructureError);
  t.end();
});

void t.test('a patch without the file', (t) => {
  t.doesNotThrow(() => requireShadow(patch));
  t.throws(() => requireShadow(livepatch('klp_y', {})), /klp_y is not described with shadow/);
  t.end();
});

/** A guest that has one file: what is written there, and then read. */
function sessionOn(says: string): { readonly record: SessionRecord; readonly model: NotingModel; readonly written: string[]; readonly events: string[] } {
  const written: string[] = [];
  const events: string[] = [];
  const outcome = (value: unknown): Promise<unknown> => Promise.resolve({ ok: true, errno: 0, name: 'OK', value, span: { begin: 1n, end: 2n } });
  const guest = {
    logEnd: () => Promise.resolve(0n),
    log: () => Promise.resolve({ next: 0n, records: [] }),
    tree: () => outcome([]),
    write: (path: string, text: string) => {
      if (path === '/proc/klp_x/shadow') written.push(text);
      return outcome(text.length);
    },
    readText: () => outcome(says),
  };
  const model = new NotingModel();
  return { record: new SessionRecord(guest as unknown as Guest, model, 1, (type) => events.push(type), () => Promise.resolve(0)), model, written, events };
}

void t.test('a call is an operation, and what came of it an observation', async (t) => {
  const call = { call: 'alloc', object: 1, id: 7, construct: 42 } as const;
  const { record, model, written, events } = sessionOn('ran constructor 1=42\nreturned 42\n');
  await performShadowCall(record, patch, call);
  t.strictSame(written, ['alloc 1 7 42']);
  t.strictSame(model.operations, [{ op: { kind: 'shadow', patch: 'klp_x', call }, errno: 'OK' }]);
  const report = { returned: ['42'], ran: ['constructor 1=42'] };
  t.strictSame(model.observations, [{ kind: 'shadow-call', patch: 'klp_x', call, report }]);
  t.strictSame(events, ['operation', 'observation']);
});

void t.test('calls at once prove that they were', async (t) => {
  const call = { call: 'race', object: 1, id: 7, tasks: 2 } as const;
  const together = sessionOn('begun 2\nran constructor 1=2\nreturned 2\nreturned 2\n');
  await performShadowCall(together.record, patch, call);
  t.strictSame(together.events, ['operation', 'witness', 'observation']);
  const alone = sessionOn('begun 1\nran constructor 1=1\nreturned 1\nreturned 1\n');
  await t.rejects(performShadowCall(alone.record, patch, call), /no second task had begun to call when the constructor ended/);
  const there = sessionOn('returned 1\nreturned 1\n');
  await performShadowCall(there.record, patch, call);
  t.strictSame(there.events, ['operation', 'observation'], 'where no constructor runs there is nothing to prove');
});
