// SPDX-License-Identifier: MIT
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Qmp } from './qmp.js';

/** One CPU as `info registers` shows it. */
export interface CpuRegisters {
  readonly cpu: number;
  /** Program counter: hex digits, or undefined where the dump's form is not known. */
  readonly pc: string | undefined;
  /** Whether it takes no interrupts. */
  readonly masked: boolean;
}

/** All CPUs of a guest at one time. */
export interface RegisterDump {
  readonly cpus: readonly CpuRegisters[];
  /** QEMU's own lines. */
  readonly lines: readonly string[];
}

/** What a guest's CPUs were seen to do. */
export interface CpuReport {
  /** One line `CPU <n>: …` for each, then QEMU's whole dump. */
  readonly lines: readonly string[];
  /** What stands in the way of an answer: `CPU 0 spins with interrupts off at ffff…`. */
  readonly stuck: string | undefined;
}

/** Milliseconds for each of QEMU's answers: it is asked when things are bad, and must not add to it. */
const patience = 3000;

/** Milliseconds between two looks at a guest that does not answer. */
const apart = 500;

/** The least share of the time between two looks that a CPU which spins runs, or waits for its turn on a busy host. */
const busyShare = 0.5;

/**
 * Reads `info registers -a`: `CPU#<n>`, then lines of `NAME=hex`. x86-64 has `RIP=` and `RFL=` (IF is bit 9), arm64 `PC=`
 * and `PSTATE=` (I is bit 7): target/i386/cpu-dump.c and target/arm/cpu.c of QEMU.
 */
export function parseRegisters(text: string): RegisterDump {
  const lines = text.split('\n').map((line) => line.trimEnd());
  const cpus = text.split(/^CPU#(?=\d)/m).slice(1).map((part) => {
    const flags = /\bRFL=([0-9a-f]+)/.exec(part)?.[1];
    const pstate = /\bPSTATE=([0-9a-f]+)/.exec(part)?.[1];
    return {
      cpu: Number.parseInt(part, 10),
      pc: /\b(?:RIP|PC)=([0-9a-f]+)/.exec(part)?.[1],
      masked:
        flags !== undefined ? (Number.parseInt(flags, 16) & 0x200) === 0 : (Number.parseInt(pstate ?? '0', 16) & 0x80) !== 0,
    };
  });
  return { cpus, lines: lines.filter((line) => line !== '') };
}

/**
 * The registers as they are now. The guest stands still for the moment: without, QEMU's emulation would show a program
 * counter from the last time it looked up, and a guest that panicked could end meanwhile.
 *
 * @returns undefined when QEMU does not answer in time or is gone
 */
export async function readRegisters(qmp: Qmp): Promise<RegisterDump | undefined> {
  let stopped = false;
  try {
    // One that a debugger holds stays held.
    const status = (await qmp.execute('query-status', {}, patience)) as { running?: boolean };
    if (status.running === true) {
      stopped = true;
      await qmp.execute('stop', {}, patience);
    }
    return parseRegisters(await qmp.human('info registers -a', patience));
  } catch {
    return undefined;
  } finally {
    if (stopped) await qmp.execute('cont', {}, patience).catch(() => undefined);
  }
}

/** The registers of a guest that has just said why it ends. */
export function atOnce(dump: RegisterDump): readonly string[] {
  return [...dump.cpus.map((c) => `CPU ${c.cpu}: at ${c.pc ?? 'unknown'}${interrupts(c.masked)}`), ...dump.lines];
}

/**
 * Looks twice at the CPUs of a guest that does not answer, so that a person sees whether they move.
 *
 * @param pid QEMU's
 * @returns undefined when QEMU does not answer in time or is gone
 */
export async function watchCpus(qmp: Qmp, pid: number): Promise<CpuReport | undefined> {
  const threads = await cpuThreads(qmp);
  const first = await readRegisters(qmp);
  if (!first) return undefined;
  // Between the looks only: during them the guest stands still.
  const begin = performance.now();
  const before = await Promise.all(threads.map((tid) => cpuTime(pid, tid)));
  await sleep(apart);
  const after = await Promise.all(threads.map((tid) => cpuTime(pid, tid)));
  const elapsed = performance.now() - begin;
  const second = await readRegisters(qmp);

  const stuck: string[] = [];
  const summaries = first.cpus.map((one) => {
    const two = second?.cpus.find((c) => c.cpu === one.cpu);
    const share = ((after[one.cpu] ?? 0) - (before[one.cpu] ?? 0)) / elapsed;
    const deaf = one.masked && two?.masked === true;
    // A CPU that sleeps with interrupts masked, as arm64's idle loop does, uses no time.
    if (deaf && share >= busyShare) stuck.push(`CPU ${one.cpu} spins with interrupts off at ${two.pc ?? 'unknown'}`);
    const later = two ? `, ${(apart / 1000).toFixed(1)} s later at ${two.pc ?? 'unknown'}` : '';
    const how = `${interrupts(deaf)}, ${share >= busyShare ? 'busy' : 'idle'}`;
    return `CPU ${one.cpu}: at ${one.pc ?? 'unknown'}${later}${how}`;
  });
  return { lines: [...summaries, ...first.lines], stuck: stuck.length > 0 ? stuck.join(', ') : undefined };
}

function interrupts(masked: boolean): string {
  return masked ? ', interrupts off' : '';
}

/** Host threads of the CPUs, in their order; none where QEMU does not say. */
async function cpuThreads(qmp: Qmp): Promise<readonly number[]> {
  const cpus = await qmp.execute('query-cpus-fast', {}, patience).catch(() => []);
  if (!Array.isArray(cpus)) return [];
  const known = cpus as readonly { 'cpu-index': number; 'thread-id': number }[];
  return known.toSorted((a, b) => a['cpu-index'] - b['cpu-index']).map((c) => c['thread-id']);
}

/** Milliseconds that a thread has run or waited for a CPU of the host; 0 when it is gone. */
async function cpuTime(pid: number, tid: number): Promise<number> {
  // Nanoseconds on a CPU and in its queue, and how often (Documentation/scheduler/sched-stats.rst).
  const text = await readFile(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').catch(() => '');
  const [ran = 0, waited = 0] = text.split(' ').map(Number);
  return (ran + waited) / 1e6;
}
