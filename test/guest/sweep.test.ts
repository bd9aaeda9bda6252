// SPDX-License-Identifier: MIT
import { spawn } from 'node:child_process';
import { deepStrictEqual } from 'node:assert/strict';
import { readdir, readFile, readlink } from 'node:fs/promises';
import fc from 'fast-check';
import t from 'tap';
import { must } from '../../harness/guest/guest.js';
import type { Task, Thread } from '../../harness/guest/guest.js';
import { buildAgent } from '../../images/agent.js';
import { LocalGuest } from './local-agent.js';

const guest = await LocalGuest.start();
t.teardown(() => guest.end());

const sweep = async (of: LocalGuest = guest): Promise<readonly Thread[]> => must(await of.sweep(), 'sweep');
const openFiles = async (of: LocalGuest): Promise<number> => (await readdir(`/proc/${of.agentPid}/fd`)).length;

/** Resident memory, KiB. */
async function memory(of: LocalGuest): Promise<number> {
  const [, pages = '0'] = (await readFile(`/proc/${of.agentPid}/statm`, 'utf8')).split(' ');
  return Number(pages) * 4;
}

/** An agent that may have so few files open that most threads' have to be opened for each reading. */
async function poorAgent(): Promise<LocalGuest> {
  const agent = await buildAgent('x86_64');
  return LocalGuest.of(spawn('/bin/sh', ['-c', 'ulimit -Hn 30; ulimit -n 30; exec "$0"', agent], { stdio: 'pipe' }));
}

async function end(of: LocalGuest, task: Task): Promise<void> {
  must(await of.kill(task.pid, 'SIGKILL'), 'kill');
  must(await of.wait(task, 20_000), 'wait');
}

for (const [what, start] of [
  ['', () => LocalGuest.start()],
  [' with hardly any files to keep open', poorAgent],
] as const) {
  await t.test(`threads that come and go between sweeps are exact${what}`, async (t) => {
    const own = await start();
    t.teardown(() => own.end());
    const steps = fc.array(fc.oneof(fc.record({ start: fc.nat(6) }), fc.record({ end: fc.nat() })), { minLength: 5, maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(steps, async (steps) => {
        const tasks = new Map<Task, number>();
        for (const [i, step] of steps.entries()) {
          const task = 'end' in step ? [...tasks.keys()][step.end % Math.max(tasks.size, 1)] : undefined;
          if ('start' in step) {
            const spec = { kind: 'sleep', name: `step ${i} (x) y`, threads: step.start } as const;
            tasks.set(must(await own.spawn(spec), 'spawn'), i);
          } else if (task) {
            await end(own, task);
            tasks.delete(task);
          }
          const threads = (await sweep(own)).filter(({ comm }) => comm.startsWith('step '));
          const there = await Promise.all(
            [...tasks].map(async ([{ pid }, i]) => (await readdir(`/proc/${pid}/task`)).map((tid) => `${pid} ${tid} step ${i} (x) y`)),
          );
          deepStrictEqual(threads.map(({ pid, tid, comm }) => `${pid} ${tid} ${comm}`).sort(), there.flat().sort());
        }
        for (const task of tasks.keys()) await end(own, task);
      }),
      { numRuns: 15 },
    );
  });
}

await t.test('a thousand sweeps take no more memory and files than a few', async (t) => {
  const churn = async () => end(guest, must(await guest.spawn({ kind: 'sleep', threads: 20 }), 'spawn'));
  const some = must(await guest.spawn({ kind: 'forks' }), 'spawn');
  for (let i = 0; i < 50; i++) await sweep();
  const before = { memory: await memory(guest), files: await openFiles(guest), threads: (await sweep()).length };
  for (let i = 0; i < 1000; i++) {
    if (i % 20 === 0) await churn();
    must(await guest.sweep({ fresh: i % 2 === 0 }), 'sweep');
  }
  await end(guest, some);
  const threads = (await sweep()).length;
  const more = Math.max(0, threads - before.threads);
  const [files, kib] = [await openFiles(guest), await memory(guest)];
  t.comment(`files ${before.files} → ${files}, threads ${before.threads} → ${threads}, memory ${before.memory} → ${kib} KiB`);
  t.ok(files <= before.files + 2 * more, 'two files a thread');
  t.ok(kib <= before.memory + 512, 'half a megabyte is no growth of a thousand sweeps');
});

await t.test('files that are kept open are not handed to tasks', async (t) => {
  const ofProc = async (pid: number): Promise<string[]> => {
    const open = await readdir(`/proc/${pid}/fd`);
    const paths = await Promise.all(open.map((fd) => readlink(`/proc/${pid}/fd/${fd}`)));
    return paths.filter((path) => path.startsWith('/proc'));
  };
  await sweep();
  t.ok((await ofProc(guest.agentPid)).length > 10);
  const task = must(await guest.spawn({ kind: 'sleep' }), 'spawn');
  t.strictSame(await ofProc(task.pid), []);
  const recording = await guest.startTimeline({ files: ['/proc/version'] });
  t.strictSame(await ofProc(recording.pid), ['/proc/version'], 'nor to a sampler, which has its own');
  await recording.stop();
  await end(guest, task);
});

await t.test('a comm that changes is seen; so are stack and wchan when asked for', async (t) => {
  // sh becomes sleep: the same thread, another name.
  const child = spawn('/bin/sh', ['-c', 'read line; exec sleep 1000'], { stdio: ['pipe', 'ignore', 'ignore'] });
  t.teardown(() => child.kill());
  const find = async () => must(await guest.sweep({ stack: true, wchan: true }), 'sweep').find(({ pid }) => pid === child.pid);
  while ((await find())?.comm !== 'sh');
  child.stdin.end('go\n');
  while ((await find())?.comm !== 'sleep');
  const seen = await find();
  t.match(seen, { state: /[RSD]/, kernel: false, stack: { text: String }, wchan: { errno: 0, text: /^\w+$/ } });
  t.ok(seen?.stack && (seen.stack.errno === 0 || seen.stack.errno === 13 || seen.stack.errno === 1), 'only root may');
  t.ok(seen?.stack && seen.wchan && seen.span.end <= seen.stack.span.begin && seen.stack.span.end <= seen.wchan.span.end);
  const [plain] = await sweep();
  t.match(plain, { stack: undefined, wchan: undefined });
});
