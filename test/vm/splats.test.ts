// SPDX-License-Identifier: MIT
import t from 'tap';
import { isStaleBreakpoint, startsReport } from '../../harness/vm/splats.js';

/** As a 7.3 kernel said it under emulation, while it patched a static branch in __schedule(). */
const seen = [
  '[   46.879137] Oops: int3: 0000 [#1] SMP NOPTI',
  '[   46.888132] CPU: 0 UID: 0 PID: 36 Comm: pr/ttyS0 Tainted: G           OE K     7.3.4+deb13-amd64 #1 PREEMPT(lazy)',
  '[   46.896617] RIP: 0010:__schedule+0xa4/0x1080',
  '[   46.897098] Code: 65 83 3d 66 cd d8 01 01 0f 85 4d 0a 00 00 0f 84 6c 0a 00 00 0f 1f 44 00 00 e9 <b9> 04 00 00 fa 0f 1f 44 00 00',
];

void t.test("a breakpoint in the kernel's own code that nobody knows of", (t) => {
  t.equal(startsReport('Oops: int3: 0000 [#1] SMP NOPTI'), 'oops');
  t.equal(isStaleBreakpoint(seen), true);
  const again = seen.map((line) => line.replace('e9 <b9>', 'cc <b9>'));
  t.equal(isStaleBreakpoint(again), true, 'the branch is being patched once more');
  t.end();
});

/** As it may come where ftrace has put a call back, in a module. */
const inModule = [
  '[   51.203117] int3: 0000 [#1] PREEMPT SMP NOPTI',
  '[   51.203117] CPU: 1 PID: 133 Comm: klp-passer Tainted: G           OE K   6.1.0-56-amd64 #1  Debian 6.1.182-1',
  '[   51.203117] RIP: 0010:klp_target_beta+0x1/0x20 [klp_target]',
  '[   51.203117] Code: c3 cc cc cc cc 66 0f 1f 84 00 00 00 00 00 e8 <fb> ab fb ff 90 e8 f5 f8 ff ff 48 c7 c0',
];

void t.test("a breakpoint in a module's function, in whose place ftrace's call or nop is again", (t) => {
  t.equal(isStaleBreakpoint(inModule), true);
  const without = (text: string): string[] => inModule.map((line) => line.replace('e8 <fb> ab fb ff', text));
  t.equal(isStaleBreakpoint(without('0f <1f> 44 00 00')), true, 'the nop');
  t.equal(isStaleBreakpoint(without('cc <fb> ab fb ff')), false, 'it is there');
  t.equal(isStaleBreakpoint(without('0f <1f> 80 00 00')), false, "a nop that is not ftrace's");
  t.equal(isStaleBreakpoint(without('90 <90> 90 90 90')), false, 'another instruction');
  const at = (place: string): string[] => inModule.map((line) => line.replace('+0x1/', place));
  t.equal(isStaleBreakpoint(at('+0x5/')), true, 'behind endbr64');
  t.equal(isStaleBreakpoint(at('+0x2/')), false, 'not where ftrace patches');
  t.equal(isStaleBreakpoint(at('+0x11/')), false, 'not where ftrace patches');
  t.equal(isStaleBreakpoint(inModule.map((line) => line.replace('[#1]', '[#2]'))), false, 'what follows upon another oops');
  t.equal(isStaleBreakpoint(inModule.slice(0, 3)), false, 'its code is not shown');
  t.end();
});

/** As 6.1 said it, while ftrace patched a function of a module that two tasks call all the time. */
const loop = [
  '[   36.740461] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [klp-passer:128]',
  '[   36.744089] RIP: 0010:klp_target_beta+0x0/0x20 [klp_target]',
  '[   36.744089] Code: c3 cc cc cc cc 66 0f 1f 84 00 00 00 00 00 <e8> fb ab fb ff 90 e8 f5 f8 ff ff 48 c7 c0',
];

void t.test('a breakpoint that a CPU meets again and again, though it has been taken away', (t) => {
  t.equal(isStaleBreakpoint(loop), true);
  t.equal(isStaleBreakpoint(loop.map((line) => line.replace('<e8>', '<cc>'))), false, 'it is there');
  const unread = loop.map((line) => line.replace(/Code: .*/, 'Code: Unable to access opcode bytes at 0xffffffffc025eff6.'));
  t.equal(isStaleBreakpoint(unread), true, 'nothing is before it, so that nothing of it is printed');
  t.equal(isStaleBreakpoint(loop.map((line) => line.replace('+0x0/0x20', '+0x5/0x20'))), false, 'not where ftrace patches');
  t.equal(isStaleBreakpoint(loop.map((line) => line.replace('soft lockup', 'workqueue lockup'))), false, 'no CPU is stuck');
  t.end();
});

void t.test('any other oops is the kernel\'s', (t) => {
  const elsewhere = seen.map((line) => line.replace('__schedule+0xa4/0x1080', 'klp_target_alpha+0x5/0x20 [klp_target]'));
  t.equal(isStaleBreakpoint(elsewhere), false, 'in a module, of an instruction that ftrace does not know');
  t.equal(isStaleBreakpoint(seen.map((line) => line.replace('int3', 'invalid opcode'))), false, 'no breakpoint');
  t.equal(isStaleBreakpoint(seen.map((line) => line.replace('[#1]', '[#2]'))), false, 'what follows upon another oops');
  t.equal(isStaleBreakpoint(seen.slice(0, 2)), false, 'nothing says where');
  t.equal(isStaleBreakpoint([]), false);
  t.end();
});
