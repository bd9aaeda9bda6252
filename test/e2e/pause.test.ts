// SPDX-License-Identifier: MIT
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import t from 'tap';
import { packagePath } from '../../harness/package-root.js';
import { klp } from '../cli/klp.js';
import { stockKernel, stockName } from './kernel.js';

const own = packagePath('test/e2e/fixtures/own.ts');
const faults = packagePath('test/e2e/fixtures/faults.ts');
const minutes = 60_000;
const kernel = await stockKernel();

/** What a pause said, by the word each line begins with. */
type Said = Readonly<Partial<Record<string, string>>>;

/** Runs klp without a terminal and calls `at` for each pause, in its order, with the means to end it. */
async function pausing(
  cwd: string,
  args: readonly string[],
  at: (said: Said, signal: (name: NodeJS.Signals) => void) => Promise<void>,
): Promise<{ status: number | null; stderr: string; pauses: number }> {
  let pauses = 0;
  const visits: Promise<void>[] = [];
  const ended = await klp(['run', '--kernel', stockName, '--pause-on-failure', '--gdb', '--jobs', '1', ...args], {
    cwd,
    timeout: 14 * minutes,
    onStart: (child) => {
      let text = '';
      child.stderr?.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        const parts = text.split(/^paused after /m).slice(1).filter((part) => /^ {2}go on /m.test(part));
        for (const part of parts.slice(pauses)) {
          pauses += 1;
          const lines = part.split('\n').flatMap((line) => /^ {2}(\w+(?: on)?) +(.*)$/.exec(line)?.slice(1, 3).join('\0') ?? []);
          const said = Object.fromEntries(lines.toReversed().map((line) => line.split('\0') as [string, string]));
          visits.push(at({ ...said, paused: part.split('\n')[0] ?? '' }, (name) => void child.kill(name)));
        }
      });
    },
  });
  await Promise.all(visits);
  return { status: ended.status, stderr: ended.stderr, pauses };
}

/** Why the guest stands still, asked over the remote protocol of gdb; then lets it go. */
async function askStub(socket: string): Promise<string> {
  const stub = createConnection(socket);
  await once(stub, 'connect');
  stub.write('$?#3f');
  let text = '';
  while (!/\$[^#]*#../.test(text)) text += String((await once(stub, 'data'))[0]);
  stub.write('+$D#44');
  await once(stub, 'data');
  stub.destroy();
  return text;
}

function socketOf(said: Said): string {
  return /target remote ([^']+)'/.exec(said.gdb ?? '')?.[1] ?? 'no socket';
}

void t.test('a guest that lives: shell, console and debugger, until the word to go on', { timeout: 15 * minutes }, async (t) => {
  const cwd = t.testdir({});
  const seen: Said[] = [];
  const run = await pausing(cwd, [own, '--grep', 'own-(silent|warns)', '--pause-timeout', '600'], async (said, signal) => {
    seen.push(said);
    if (seen.length > 1) {
      signal('SIGTERM');
      return;
    }
    const shell = async (command: string): Promise<string> =>
      (await promisify(execFile)('sh', ['-c', `exec ${said.ssh ?? ''} "$0"`, command], { timeout: 5 * minutes })).stdout;
    t.equal((await shell('uname -r')).trim(), kernel.release, 'the line for ssh, as it stands there');

    await shell('echo "<1>said while it is paused" > /dev/kmsg');
    const file = join(cwd, said.console?.split(' ').at(-1) ?? '');
    for (let i = 0; i < 600 && !readFileSync(file, 'utf8').includes('said while it is paused'); i++) await sleep(100);
    t.match(readFileSync(file, 'utf8'), /\] said while it is paused\n/, 'the console, still growing');

    const socket = socketOf(said);
    t.match(await askStub(socket), /\$[ST]0[25]/, 'stopped by the debugger');
    t.equal((await shell('echo goes on')).trim(), 'goes on');
    t.equal(statSync(dirname(socket)).mode & 0o777, 0o700);
    const known = /UserKnownHostsFile=(\S+)/.exec(said.ssh ?? '')?.[1] ?? '';
    t.equal(statSync(known).mode & 0o777, 0o600);
    t.match(readFileSync(`/proc/${/\d+/.exec(said.qemu ?? '')?.[0] ?? ''}/cmdline`, 'utf8'), /^\S*qemu-system-x86_64\0/);
    signal('SIGINT');
  });
  t.equal(run.pauses, 2, run.stderr);
  t.equal(run.status, 1, 'neither signal ended the run');
  t.match(seen[0]?.paused, /^own-silent on /);
  t.match(seen[1]?.paused, /^own-warns on /);
  t.not(seen[0]?.qemu, seen[1]?.qemu, 'nobody gets a guest that somebody was in');
  t.notOk(existsSync(dirname(socketOf(seen[0] ?? {}))), 'the folder of the run is gone');
});

void t.test('a guest that ended is held for the debugger; one without QEMU is gone', { timeout: 15 * minutes }, async (t) => {
  const answers: string[] = [];
  const seen: Said[] = [];
  const args = [faults, '--grep', 'fault-[ag]-', '--retries', '0', '--pause-timeout', '5'];
  const run = await pausing(t.testdir({}), args, async (said) => {
    seen.push(said);
    if (said.gdb !== undefined) answers.push(await askStub(socketOf(said)));
  });
  t.equal(run.status, 3, 'each pause ended by itself');
  t.equal(run.pauses, 2, run.stderr);
  t.match(seen[0], { paused: /^fault-a-panic on /, guest: /^has ended; QEMU holds it/ });
  t.equal(seen[0]?.ssh, undefined);
  t.match(answers, [/\$[ST]05/]);
  t.match(seen[1], { paused: /^fault-g-qemu on /, guest: /^gone: QEMU ended by SIGKILL/ });
  t.equal(seen[1]?.gdb, undefined);
});
