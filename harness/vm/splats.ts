// SPDX-License-Identifier: MIT

/** What the kernel complains of on its console, from mild to fatal. */
export type ReportKind = 'warning' | 'hung task' | 'rcu stall' | 'lockup' | 'oops' | 'panic';

const order: readonly ReportKind[] = ['warning', 'hung task', 'rcu stall', 'lockup', 'oops', 'panic'];

/** The worse, the higher. */
export function severity(kind: ReportKind): number {
  return order.indexOf(kind);
}

/**
 * How each begins, time stamp removed; the first that fits. From kernel/panic.c, kernel/hung_task.c,
 * kernel/watchdog.c, kernel/rcu/tree_stall.h (4.14: kernel/rcu/tree.c), arch/x86/{kernel/traps,mm/fault}.c,
 * arch/arm64/{kernel/traps,mm/fault}.c, lib/bug.c, mm/kasan/report.c, lib/ubsan.c, kernel/locking/lockdep.c.
 */
const beginnings: readonly (readonly [RegExp, ReportKind])[] = [
  [/^Kernel panic - not syncing/, 'panic'],
  [/^(watchdog: )?BUG: (soft lockup|workqueue lockup)/, 'lockup'],
  [/^(NMI )?watchdog: (BUG: soft lockup|Watchdog detected hard LOCKUP)/i, 'lockup'],
  [/^INFO: task .+ blocked (in I\/O wait )?for more than \d+ seconds/, 'hung task'],
  [/^(rcu: )?INFO: rcu\w* .*(detected.* stalls?|self-detected stall)/, 'rcu stall'],
  [/^(BUG: KFENCE|BUG: KCSAN|BUG: sleeping function|BUG: scheduling while atomic|BUG: using )/, 'warning'],
  [/^(BUG:|kernel BUG at |Oops:|Oops - |Internal error: |Unable to handle kernel )/, 'oops'],
  [/^(general protection fault|invalid opcode:|divide error:|stack segment:|int3:|double fault:|traps: PANIC)/, 'oops'],
  [/^(WARNING:|UBSAN:|INFO: trying to register non-static key|INFO: possible )/, 'warning'],
];

/**
 * @param message a console line without its time stamp
 * @returns what begins with it, or undefined for an ordinary line
 */
export function startsReport(message: string): ReportKind | undefined {
  return beginnings.find(([pattern]) => pattern.test(message))?.[1];
}

/**
 * Whether the emulator is to blame for a report: a CPU executed a breakpoint that is no longer there. The kernel patches its
 * code with such (arch/x86/kernel/alternative.c), and a CPU meets none of them any more once all have been synchronised;
 * emulation can: QEMU drops the translation of code before it stores a new byte there (accel/tcg/cputlb.c), and another CPU may
 * translate the old one in between. It shows in two ways:
 *
 * - An oops, when nobody knows of the breakpoint any more. In the kernel's own code memory may hold another byte by then (the one
 *   before the `<…>` of the `Code:` line), or a breakpoint again: 7.3 patches __schedule() as a transition begins and again as it
 *   ends, milliseconds later. In a module's, where a breakpoint may be the module's own, it must be ftrace's: at the begin of a
 *   function, behind its endbr64 where it has one, and memory has ftrace's call or nop there.
 * - A lockup at the first instruction of a function, in whose place memory has a call or a nop, as far as it can be read (the
 *   kernel prints none of a function at the very begin of a module): ftrace knows the place, so that its handler has the
 *   instruction tried again (ftrace_int3_handler(), arch/x86/kernel/ftrace.c), without end.
 *
 * @param lines of a report, time stamps and all
 */
export function isStaleBreakpoint(lines: readonly string[]): boolean {
  const [first = ''] = lines;
  const at = lines.find((line) => /\bRIP: /.test(line)) ?? '';
  const code = lines.find((line) => /\bCode: /.test(line)) ?? '';
  if (/\bint3: 0000 \[#1\]/.test(first)) {
    const inModule = /\bRIP: .*\[\w+\]/.test(at);
    if (!inModule) return at !== '';
    // The program counter is behind the breakpoint's one byte.
    return /\+0x[15]\/0x/.test(at) && /\b(e8 <\w\w>|0f <1f> 44 00 00\b)/.test(code);
  }
  return /\bBUG: soft lockup\b/.test(first) && /\bRIP: .*\+0x0\/0x/.test(at) && /<(e8|0f|66)>|Code: Unable to access opcode bytes/.test(code);
}
