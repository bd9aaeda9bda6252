// SPDX-License-Identifier: MIT
import t from 'tap';
import { broken, callsOfStaleCode, emulatorFault, judge, nextAttempt } from '../../harness/runner/attempt.js';
import { Activity } from '../../harness/runner/activity.js';
import type { ConsoleReport } from '../../harness/vm/console.js';

/** What a console says of a breakpoint that is no longer there. */
const stale: ConsoleReport = {
  kind: 'oops',
  title: 'Oops: int3: 0000 [#1] SMP NOPTI',
  at: 0,
  lines: ['Oops: int3: 0000 [#1] SMP NOPTI', 'RIP: 0010:__schedule+0xa4/0x1080'].map((text, seq) => ({ seq, text, at: 0 })),
};

void t.test('a breakpoint that is no longer there is the fault of threads that race', (t) => {
  t.match(emulatorFault({ accel: 'tcg', threads: 'multi' }, [stale]), { verdict: 'error', raced: true, failure: { kind: 'infrastructure' } });
  t.equal(emulatorFault({ accel: 'tcg', threads: 'single' }, [stale]), undefined, 'one thread has nobody to race with');
  t.equal(emulatorFault({ accel: 'kvm', threads: 'multi' }, [stale]), undefined, 'nothing is emulated');
  t.equal(emulatorFault({ accel: 'tcg', threads: 'multi' }, []), undefined);
  t.end();
});

void t.test('calls that reach the body before may be threads that race, nothing else is', (t) => {
  const onlyCallsFailed = { onlyCallsFailed: true };
  t.ok(callsOfStaleCode({ accel: 'tcg', threads: 'multi' }, onlyCallsFailed));
  t.notOk(callsOfStaleCode({ accel: 'tcg', threads: 'single' }, onlyCallsFailed), 'what fails in one thread too is the kernel');
  t.notOk(callsOfStaleCode({ accel: 'kvm', threads: 'multi' }, onlyCallsFailed));
  t.notOk(callsOfStaleCode({ accel: 'tcg', threads: 'multi' }, { onlyCallsFailed: false }));
  t.end();
});

void t.test('a reason says once what many tasks did', (t) => {
  const call = { clause: 'ENA-12', what: 'call of vmlinux:f', seen: 'original', mainline: { allowed: 'klp_first', does: false }, documents: { stance: 'forbid' }, verdict: 'fail' } as const;
  const other = { ...call, mainline: { allowed: 'klp_second', does: false } };
  const { verdict, reason } = judge({ judgements: [call, call, other, call], activity: new Activity(), unexpectedHold: [] }, ['ENA-12'], [], '');
  t.equal(verdict, 'fail');
  t.equal(reason, 'ENA-12: call of vmlinux:f: original; allowed: klp_first | ENA-12: call of vmlinux:f: original; allowed: klp_second');
  t.end();
});

void t.test('what is tried again, and how', (t) => {
  const infrastructure = broken({ kind: 'infrastructure', message: 'QEMU is gone' });
  const raced = { ...infrastructure, raced: true } as const;
  t.equal(nextAttempt(infrastructure, 1, 1), 'same');
  t.equal(nextAttempt(raced, 1, 1), 'in one thread');
  t.equal(nextAttempt(raced, 2, 1), 'none', 'no more often than was asked for');
  t.equal(nextAttempt(raced, 1, 0), 'none');
  for (const kind of ['assertion', 'panic', 'oops', 'hang', 'silence', 'connection lost', 'boot failed'] as const) {
    t.equal(nextAttempt(broken({ kind, message: 'found' }), 1, 9), 'none', `${kind} is a finding`);
  }
  const calls = { ...broken({ kind: 'assertion', message: 'a call reached the original' }), verdict: 'fail', raced: true } as const;
  t.equal(nextAttempt(calls, 1, 1), 'in one thread');
  t.equal(nextAttempt(calls, 1, 0), 'none', 'the fail stands');
  t.equal(nextAttempt({}, 1, 9), 'none', 'nothing failed');
  t.end();
});
