// SPDX-License-Identifier: MIT
import t from 'tap';
import type { ConsoleReport } from '../../harness/vm/console.js';
import { whatBecame, type MachineExit } from '../../harness/vm/failure.js';
import type { ReportKind } from '../../harness/vm/splats.js';

const report = (kind: ReportKind): ConsoleReport => ({ kind, title: `a ${kind}`, at: 0, lines: [] });
const exit = (reason: MachineExit['reason']): MachineExit => ({ reason, code: 0, signal: null, stderr: '' });

const cases: readonly (readonly [string, readonly ReportKind[], MachineExit | 'held' | undefined, string, string])[] = [
  ['the worst names it', ['oops', 'panic', 'oops'], exit('panic'), 'panic', 'the guest is gone: a panic'],
  ['a panic that is still being told', ['panic'], undefined, 'panic', 'the guest is gone: a panic'],
  ['a stall is a hang', ['rcu stall', 'warning'], undefined, 'hang', 'a rcu stall'],
  ['the first of equals', ['hung task', 'oops'], undefined, 'oops', 'a oops'],
  ['a warning kills nobody', ['warning'], undefined, 'connection lost', 'the guest no longer answers, and its console does not say why'],
  ['QEMU failed', [], exit('failed'), 'infrastructure', 'the guest is gone: QEMU ended with status 0 (failed)'],
  ['held, and the console said nothing', [], 'held', 'connection lost', 'the guest has ended, and its console does not say why'],
  ['a reset without a word', ['warning'], exit('reset'), 'connection lost', 'the guest is gone: QEMU ended with status 0 (reset)'],
];

void t.test('what became of a guest', (t) => {
  for (const [name, kinds, how, kind, message] of cases) t.same(whatBecame(kinds.map(report), how), { kind, message }, name);
  t.end();
});
