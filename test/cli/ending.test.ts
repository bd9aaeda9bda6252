// SPDX-License-Identifier: MIT
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { packagePath } from '../../harness/package-root.js';

const ending = pathToFileURL(packagePath('dist/harness/cli/ending.js')).href;

/**
 * Runs lines of a module that may call `endWith`.
 * @param unread milliseconds until somebody reads what it writes
 */
async function ends(lines: string, unread = 0): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const source = `import { endWith } from ${JSON.stringify(ending)};\n${lines}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'pipe'] });
  const status = new Promise<number | null>((resolve) => child.on('close', resolve));
  const stderr = text(child.stderr);
  await sleep(unread);
  const stdout = await text(child.stdout);
  return { status: await status, stdout, stderr: await stderr };
}

void t.test('what was left open is named, and keeps nobody', async (t) => {
  const leak = "import { createServer } from 'node:net';\nimport { spawn } from 'node:child_process';\n";
  const server = await ends(`${leak}createServer().listen(0, '127.0.0.1');\nendWith(130, 50);`);
  t.match(server, { status: 130, stderr: /^klp: done, but kept from ending .*: TCPServerWrap\n$/ });
  const child = await ends(`${leak}spawn('setpriv', ['--pdeathsig', 'KILL', 'sleep', '600'], { stdio: 'ignore' });\nendWith(1, 50);`);
  t.match(child, { status: 1, stderr: /: ProcessWrap\n$/ });
  const timer = await ends('setInterval(() => undefined, 10);\nendWith(0, 50);');
  t.match(timer, { status: 0, stderr: /: Timeout\n$/ });
});

void t.test('where nothing was, the process ends with its status and without a word', async (t) => {
  t.strictSame(await ends('endWith(3, 2 ** 31 - 1);'), { status: 3, stdout: '', stderr: '' });
});

void t.test('a slow reader loses nothing', async (t) => {
  const long = 'x'.repeat(4 << 20);
  const write = `process.stdout.write('x'.repeat(${long.length}));\n`;
  const slow = await ends(`${write}endWith(1, 50);`, 1000);
  t.equal(slow.stdout.length, long.length);
  t.match(slow, { status: 1, stderr: '' });
  const leaking = await ends(`setInterval(() => undefined, 10);\n${write}endWith(1, 50);`, 1000);
  t.equal(leaking.stdout.length, long.length, 'what is open besides does not cut it short');
  t.match(leaking, { status: 1, stderr: /kept from ending/ });
});
