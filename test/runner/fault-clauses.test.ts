// SPDX-License-Identifier: MIT
import t from 'tap';
import { type Capability } from '../../harness/model/capabilities.js';
import type { Verdict } from '../../harness/model/verdict.js';
import { judgeTrial } from '../../harness/runner/fault-clauses.js';
import type { TrialSeen } from '../../harness/runner/fault-look.js';
import { faultTrials } from '../../harness/runner/fault-trials.js';

const later: ReadonlySet<Capability> = new Set<Capability>(['livepatch']);
const none: TrialSeen = { behaviour: 'works', log: [], remains: [], references: [], symbols: [], resolved: 0 };

function verdicts(id: string, seen: Partial<TrialSeen>, agrees = true): readonly (readonly [string, Verdict, string])[] {
  const trial = faultTrials.find((one) => one.id === id);
  if (!trial) throw new RangeError(id);
  const judged = judgeTrial(trial, { generation: '7.3', capabilities: later, allowed: 'something', seen: { ...none, ...seen }, agrees, profile: 'mainline' });
  return judged.map(({ clause, verdict, documents }) => [clause, verdict, documents.stance]);
}

const held = (holds: Readonly<Record<string, 'right' | 'nothing'>>): TrialSeen['references'] =>
  Object.entries(holds).map(([name, h]) => ({ name, holds: h, text: name }));

void t.test('what the documents demand and mainline does not check deviates; what both do passes; anything else fails', (t) => {
  t.strictSame(verdicts('EF-05', { behaviour: 'works' }), [['ELF-2', 'deviates', 'forbid']]);
  t.strictSame(verdicts('EF-08', { behaviour: 'refused' }), [['ELF-3', 'pass', 'allow']], 'refused, as the documents have it');
  t.strictSame(verdicts('EF-28', { behaviour: 'refused' }), [['ELF-13', 'deviates', 'forbid']], "the document's own example");
  t.strictSame(verdicts('EF-18', { behaviour: 'refused' }), [['ELF-8', 'pass', 'allow']]);
  t.strictSame(verdicts('EF-18', { behaviour: 'works' }, false), [['ELF-8', 'fail', 'forbid']]);
  t.strictSame(verdicts('EF-50', { behaviour: 'works' }), [['ELF-14', 'pass', 'silent']], 'undocumented');
  t.strictSame(verdicts('EF-50', { behaviour: 'crashes' }, false), [['ELF-14', 'fail', 'silent']]);
  t.end();
});

void t.test('what the loader binds, and the symbols in kallsyms', (t) => {
  const early = held({ 'code-vmlinux': 'right', 'data-vmlinux': 'right', 'code-module': 'nothing' });
  const symbols = ['a = 1', 'b = 2', 'c = 3'];
  t.strictSame(verdicts('sound', { loading: early, symbols, resolved: 3 }), [
    ['ELF-1', 'deviates', 'forbid'],
    ['ELF-10', 'deviates', 'forbid'],
  ]);
  const [late] = verdicts('sound', { loading: held({ 'code-vmlinux': 'nothing', 'code-module': 'nothing' }), symbols, resolved: 3 });
  t.strictSame(late, ['ELF-1', 'fail', 'forbid'], 'no kernel since 5.8 leaves them all');
  const [all, some] = verdicts('sound', { loading: held({ 'code-vmlinux': 'right', 'code-module': 'right' }), symbols, resolved: 2 });
  t.equal(all?.[1], 'fail', "the module's cannot be bound yet");
  t.equal(some?.[1], 'fail', 'one symbol was not resolved');
  t.strictSame(verdicts('EF-01', { behaviour: 'refused', loading: early }), [['ELF-18', 'pass', 'silent']]);
  t.strictSame(verdicts('EF-01', { behaviour: 'refused' }), [['ELF-18', 'fail', 'silent']], 'init did not run');
  t.end();
});
