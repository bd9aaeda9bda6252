// SPDX-License-Identifier: MIT
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { Machine } from '../../harness/vm/machine.js';
import { patience, stockImage } from './stock.js';

t.setTimeout(patience * 2);

const { options } = await stockImage();

/** A TMPDIR of our own, to see that nothing is left in it. */
function temporary(t: { testdir: () => string; teardown: (f: () => void) => void }): string {
  const before = process.env.TMPDIR;
  const folder = t.testdir();
  process.env.TMPDIR = folder;
  t.teardown(() => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  });
  return folder;
}

/** Whether a process is there and no zombie. */
async function lives(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return status !== '' && !/\) [ZX] /.test(status);
}

/** Waits for what must come, with a limit only so that a failure ends. */
async function until(condition: () => Promise<boolean> | boolean): Promise<boolean> {
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline) {
    if (await condition()) return true;
    await sleep(50);
  }
  return false;
}

void t.test('what is started is QEMU itself, and after stop nothing of it is left', async (t) => {
  const folder = temporary(t);
  const pids: number[] = [];
  {
    await using machine = await Machine.start(options);
    const { pid } = machine;
    pids.push(pid);
    const name = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    t.match(name, /^\S*qemu-system-x86_64\0/, 'setpriv has become QEMU');
    t.same(await readdir(folder), [], 'not even while it runs');
  }
  t.notOk(existsSync(`/proc/${pids.join()}`));
  t.same(await readdir(folder), []);
});

void t.test('aborting while it boots kills QEMU; start fails with the reason', async (t) => {
  const folder = temporary(t);
  const abort = new AbortController();
  const reason = new Error('interrupted');
  let seen = 0;
  const starting = Machine.start({
    ...options,
    signal: abort.signal,
    onConsole: (console) =>
      console.emitter.on('line', () => {
        if (seen++ === 3) abort.abort(reason);
      }),
  });
  await t.rejects(starting, reason);
  t.same(await readdir(folder), []);
  const children = await readFile(`/proc/self/task/${process.pid}/children`, 'utf8');
  t.notMatch(children, /\d/, 'no child is left');
  await t.rejects(Machine.start({ ...options, signal: abort.signal }), reason);
});

void t.test('when the harness is killed outright, its QEMU goes too and nothing stays on disk', async (t) => {
  const folder = temporary(t);
  const holder = spawn(process.execPath, [join(import.meta.dirname, 'holder.js'), JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [chunk] = (await once(holder.stdout, 'data')) as [Buffer];
  const pid = Number(chunk.toString());
  t.ok(await lives(pid));
  holder.kill('SIGKILL');
  t.ok(await until(async () => !(await lives(pid))), 'QEMU is gone');
  t.same(await readdir(folder), []);
});

void t.test('without QEMU the package is named', async (t) => {
  const path = process.env.PATH;
  process.env.PATH = t.testdir();
  t.teardown(() => (process.env.PATH = path));
  await t.rejects(Machine.start(options), {
    name: 'InfrastructureError',
    message: 'qemu-system-x86_64 is not installed',
    hint: 'apt-get install qemu-system-x86',
  });
});
