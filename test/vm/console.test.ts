// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import { Console, type ConsoleReport } from '../../harness/vm/console.js';

function watch(text: string, options = {}): { console: Console; reports: ConsoleReport[]; guest: string[] } {
  const watched = new Console(options);
  const reports: ConsoleReport[] = [];
  const guest: string[] = [];
  watched.emitter.on('report', (report) => reports.push(report)).on('guest', (line) => guest.push(line));
  watched.feed(Buffer.from(text));
  return { console: watched, reports, guest };
}

void t.test('lines are the same however the bytes come in', (t) => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme' })), fc.array(fc.nat(400)), (lines, cuts) => {
      const bytes = Buffer.from(lines.map((line) => `${line}\r\n`).join(''));
      const whole = new Console();
      whole.feed(bytes);
      const cut = new Console();
      const places = [0, ...cuts.map((n) => n % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
      places.slice(1).forEach((end, i) => cut.feed(bytes.subarray(places[i], end)));
      assert.deepEqual(
        cut.since(0).map((line) => line.text),
        whole.since(0).map((line) => line.text),
      );
    }),
    { seed: 414 },
  );
  t.end();
});

void t.test('what a guest prints cannot steer a terminal', (t) => {
  const { console: c } = watch('\x1b[31mred\x07\tend\r\n\u202eabc\n\x9b2J\n');
  t.same(c.since(0).map((line) => line.text), ['\\x1b[31mred\\x07\tend', '\\u202eabc', '\\x9b2J']);
  t.end();
});

void t.test('the ring is bounded, marks stay right, stamps never go back', (t) => {
  const c = new Console({ capacity: 100 });
  for (let i = 0; i < 1000; i++) c.feed(Buffer.from(`line ${i}\n`));
  const mark = c.mark();
  t.equal(mark, 1000);
  c.feed(Buffer.from('after\npartial'));
  t.same(c.since(mark).map((line) => line.text), ['after']);
  t.same(c.tail(2), ['after', 'partial']);
  const kept = c.since(0);
  t.ok(kept.length >= 100 && kept.length <= 125, `kept ${kept.length}`);
  t.equal(kept.at(-1)?.seq, 1000);
  t.ok(kept.every((line, i) => i === 0 || line.at >= (kept[i - 1]?.at ?? 0)));
  c.feed(Buffer.from(`\n${'x'.repeat(10_000)}`));
  t.ok(c.tail(1)[0] !== undefined && c.since(0).every((line) => line.text.length <= 4096));
  t.end();
});

const warning = `[   12.000001] ------------[ cut here ]------------
[   12.000002] livepatch: something odd
[   12.000003] WARNING: CPU: 1 PID: 77 at kernel/livepatch/core.c:900 klp_x+0x1/0x2
[   12.000004] Call Trace:
[   12.000005]  <TASK>
[   12.000006] ---[ end trace 0000000000000000 ]---
[   12.100000] an ordinary line
`;
const armOops = `[    3.1][    T9] Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000
[    3.1][    T9] Mem abort info:
[    3.1][    T9] Internal error: Oops: 0000000096000044 [#1] SMP
[    3.1][    T9] Call trace:
[    3.1][    T9] ---[ end trace 0000000000000000 ]---
[    3.2][    T9] Kernel panic - not syncing: Oops: Fatal exception
[    3.2][    T9] ---[ end Kernel panic - not syncing: Oops: Fatal exception ]---
`;

void t.test('a warning is one report, to its end', (t) => {
  const { reports } = watch(warning);
  t.match(reports, [
    { kind: 'warning', title: 'WARNING: CPU: 1 PID: 77 at kernel/livepatch/core.c:900 klp_x+0x1/0x2' },
  ]);
  t.equal(reports[0]?.lines.length, 6);
  t.end();
});

void t.test('an Oops and the panic it ends in are two, each by name', (t) => {
  const { reports } = watch(armOops);
  t.same(
    reports.map((r) => [r.kind, r.title, r.lines.length]),
    [
      ['oops', 'Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000', 5],
      ['panic', 'Kernel panic - not syncing: Oops: Fatal exception', 2],
    ],
  );
  t.end();
});

void t.test('a report without an end is complete when the console is quiet, or settled', async (t) => {
  const quiet = watch('[ 1.0] INFO: task cat:77 blocked for more than 120 seconds.\n[ 1.0]  Tainted: G\n', { quiet: 30 });
  t.same(quiet.reports, []);
  await sleep(200);
  t.match(quiet.reports, [{ kind: 'hung task', lines: { length: 2 } }]);
  const settled = watch('[ 1.0] BUG: kernel NULL pointer dereference, address: 0\n[ 1.0] #PF: sup');
  settled.console.settle();
  t.match(settled.reports, [{ kind: 'oops', lines: { length: 2 } }]);
});

const titles: readonly (readonly [string, string | undefined])[] = [
  ['Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)', 'panic'],
  ['watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [cat:77]', 'lockup'],
  ['NMI watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [cat:77]', 'lockup'],
  ['BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 30s!', 'lockup'],
  ['rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:', 'rcu stall'],
  ['rcu: INFO: rcu_sched self-detected stall on CPU', 'rcu stall'],
  ['INFO: rcu_sched detected stalls on CPUs/tasks:', 'rcu stall'],
  ['INFO: task klp:12 blocked for more than 241 seconds.', 'hung task'],
  ['general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP', 'oops'],
  ['Internal error: Oops - BUG: 00000000f2000800 [#1] SMP', 'oops'],
  ['kernel BUG at kernel/livepatch/core.c:1!', 'oops'],
  ['BUG: sleeping function called from invalid context at mm/slab.h:1', 'warning'],
  ['livepatch: sysctl: setting key "kernel.ftrace_enabled": BUG: none', undefined],
  ['rcu: INFO is a word', undefined],
  ['livepatch: enabling patch', undefined],
];

void t.test('each kind of complaint by its first line', (t) => {
  for (const [line, kind] of titles) {
    const { console: c, reports } = watch(`[    1.000000] ${line}\n`);
    c.settle();
    t.equal(reports[0]?.kind, kind, line);
    if (kind !== undefined) t.equal(reports[0]?.title, line);
  }
  t.end();
});

void t.test("init's lines are told", (t) => {
  const { guest } = watch('[    9.437258] klp-guest: ready\r\n[    9.5] not klp-guest: ready\r\nklp-guest: failed: no proc\n');
  t.same(guest, ['ready', 'failed: no proc']);
  t.end();
});
