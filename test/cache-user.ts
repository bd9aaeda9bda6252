// SPDX-License-Identifier: MIT
// Started by cache.test.ts, several at once: wants one key of the cache. `hang` never gets done with making it.
import { appendFile, mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cached, withLock } from '../harness/cache.js';

const [mode = '', folder = ''] = process.argv.slice(2);
const say = (text: string): void => void process.stdout.write(`${text}\n`);

if (mode === 'lock') {
  await withLock('some lock', async () => {
    // Fails when anyone else is inside.
    await mkdir(join(folder, 'inside'));
    await sleep(50);
    await rmdir(join(folder, 'inside'));
  });
  say('done');
} else {
  const target = await cached('things', 'key', async (directory) => {
    await appendFile(join(folder, 'makers'), `${process.pid}\n`);
    await writeFile(join(directory, 'first'), 'half');
    say('making');
    await sleep(mode === 'hang' ? 3_600_000 : 300);
    await writeFile(join(directory, 'second'), 'whole');
  });
  say(`${await readFile(join(target, 'first'), 'utf8')} ${await readFile(join(target, 'second'), 'utf8')}`);
}
