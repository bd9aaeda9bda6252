// SPDX-License-Identifier: MIT
// Started by apt.test.ts with a small file system as its cache: fills it, and prints what it was told.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached } from '../../harness/cache.js';
import { KlpError } from '../../harness/errors.js';
import { fetchPackages } from '../../kernels/packages.js';

const [what = '', suite = '', name = ''] = process.argv.slice(2);
const attempt =
  what === 'download'
    ? fetchPackages({ suite, arch: 'amd64', names: [name], progress: () => undefined })
    : cached('things', 'key', (work) => writeFile(join(work, 'large'), Buffer.alloc(256 << 20)));
const error: unknown = await attempt.then(() => undefined, (e: unknown) => e);
if (!(error instanceof KlpError)) throw error;
process.stdout.write(`${error.message}\n${error.hint ?? ''}\n`);
