// SPDX-License-Identifier: MIT
import { spawn } from 'node:child_process';
import t from 'tap';
import type { Qmp } from '../../harness/vm/qmp.js';
import { atOnce, parseRegisters, readRegisters, watchCpus } from '../../harness/vm/registers.js';

const x86 = (pc: string, flags: string): string => `CPU#0
RAX=0000000000000000 RBX=ff1afbee1fcf31c0 RCX=0000000000000000 RDX=0000000000000000
RIP=${pc} RFL=${flags} [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0
ES =0000 0000000000000000 ffffffff 00c00000

CPU#1
RAX=0000000000000000 RBX=0000000000000001 RCX=0000000000000000 RDX=0000000000000000
RIP=ffffffff9f4592eb RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1
`;
const arm = `CPU#0
 PC=ffffffc078970014 X00=0000000000000000 X01=0000000000000000
X30=ffffffc078970014  SP=ffffffc08214bb10
PSTATE=600003c5 -ZC- EL1h  SVCR=00000000 --     BTYPE=0     FPU disabled
CPU#1
 PC=ffffffc0804eefcc X00=0000000000000000 X01=ffffff800ff37fa0
PSTATE=60000005 -ZC- EL1h  SVCR=00000000 --     BTYPE=0     FPU disabled
`;

void t.test('program counter and interrupts, by architecture', (t) => {
  t.strictSame(parseRegisters(x86('ffffffffc02f200d', '00000046')).cpus, [
    { cpu: 0, pc: 'ffffffffc02f200d', masked: true },
    { cpu: 1, pc: 'ffffffff9f4592eb', masked: false },
  ]);
  t.strictSame(parseRegisters(arm).cpus, [
    { cpu: 0, pc: 'ffffffc078970014', masked: true },
    { cpu: 1, pc: 'ffffffc0804eefcc', masked: false },
  ]);
  t.strictSame(parseRegisters('something else').cpus, []);
  t.equal(atOnce(parseRegisters(arm))[0], 'CPU 0: at ffffffc078970014, interrupts off');
  t.end();
});

/** QEMU that answers with these, one `info registers` after the other, and writes down what it was asked. */
function fakeQmp(running: boolean, dumps: readonly (string | Error)[], threads: readonly number[] = []): { qmp: Qmp; asked: string[] } {
  const asked: string[] = [];
  const left = [...dumps];
  const qmp = {
    execute: (command: string) => {
      asked.push(command);
      const cpus = threads.map((tid, i) => ({ 'cpu-index': i, 'thread-id': tid }));
      return Promise.resolve(command === 'query-status' ? { running } : command === 'query-cpus-fast' ? cpus : {});
    },
    human: (line: string) => {
      asked.push(line);
      const next = left.shift() ?? new Error('gone');
      return typeof next === 'string' ? Promise.resolve(next) : Promise.reject(next);
    },
  };
  return { qmp: qmp as unknown as Qmp, asked };
}

void t.test('a guest that runs stands still meanwhile, and runs again whatever happens', async (t) => {
  const good = fakeQmp(true, [arm]);
  t.equal((await readRegisters(good.qmp))?.cpus.length, 2);
  t.strictSame(good.asked, ['query-status', 'stop', 'info registers -a', 'cont']);
  const bad = fakeQmp(true, []);
  t.equal(await readRegisters(bad.qmp), undefined);
  t.equal(bad.asked.at(-1), 'cont');
});

void t.test('one that a debugger holds is left alone', async (t) => {
  const { qmp, asked } = fakeQmp(false, [arm]);
  await readRegisters(qmp);
  t.strictSame(asked, ['query-status', 'info registers -a']);
});

void t.test('two looks; a CPU that uses no time is not stuck, whatever its flags', async (t) => {
  const { qmp } = fakeQmp(true, [x86('ffffffffc02f200d', '00000046'), x86('ffffffffc02f2010', '00000046')]);
  const report = await watchCpus(qmp, process.pid);
  t.equal(report?.lines[0], 'CPU 0: at ffffffffc02f200d, 0.5 s later at ffffffffc02f2010, interrupts off, idle');
  t.equal(report?.lines[1], 'CPU 1: at ffffffff9f4592eb, 0.5 s later at ffffffff9f4592eb, idle');
  t.equal(report?.stuck, undefined);
  t.equal(await watchCpus(fakeQmp(true, []).qmp, process.pid), undefined, 'QEMU is gone');
});

void t.test('interrupts off, and a thread that spins or waits for its turn to: stuck; one that sleeps is not', async (t) => {
  const masked = [arm, arm];
  for (const [program, args, stuck] of [
    ['sh', ['-c', 'while :; do :; done'], 'CPU 0 spins with interrupts off at ffffffc078970014'],
    ['sleep', ['600'], undefined],
  ] as const) {
    // A process of one thread stands for QEMU and its first CPU.
    const child = spawn(program, args, { stdio: 'ignore' });
    t.teardown(() => child.kill('SIGKILL'));
    const pid = child.pid ?? 0;
    t.equal((await watchCpus(fakeQmp(true, masked, [pid]).qmp, pid))?.stuck, stuck, program);
  }
});
