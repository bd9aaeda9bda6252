// SPDX-License-Identifier: MIT
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { klp } from './klp.js';

/** What a vendor's tree might say of itself. */
const hostile = '\x1b]0;owned\x07\u009b31m\u202e ::error::x';

/** A kernel brought along whose build directory holds hostile texts; no such image boots. */
async function tree(t: Test, release: string, compiler: string): Promise<string[]> {
  const folder = t.testdir({
    'Makefile': '',
    'Module.symvers': '',
    '.config': `CONFIG_X86_64=y\nCONFIG_CC_VERSION_TEXT=${JSON.stringify(compiler)}\n`,
    'include': { generated: { 'utsrelease.h': '#define UTS_RELEASE "6.1.0"\n' } },
  });
  const image = Buffer.alloc(0x1000);
  image.write('HdrS', 0x202, 'latin1');
  image.writeUInt16LE(0x600, 0x20e);
  image.write(`${release} (builder@host)\0`, 0x800);
  await writeFile(join(folder, 'bzImage'), image);
  return ['--image', join(folder, 'bzImage'), '--build-dir', folder];
}

function nothingRaw(t: Test, text: string): void {
  const bad = /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.exec(text);
  t.equal(bad === null ? '' : JSON.stringify(text.slice(Math.max(0, bad.index - 60), bad.index + 20)), '', 'nothing unprintable');
  t.notMatch(text, /^\s*::/m, 'no command to a CI system');
}

void t.test('a release in an image that is no release', async (t) => {
  const { status, stdout, stderr } = await klp(['run', ...(await tree(t, hostile, 'gcc 12.2.0'))]);
  t.equal(status, 2);
  t.match(stderr, /bzImage is Linux \\x1b\]0;owned\\x07/, 'it is told');
  nothingRaw(t, stdout + stderr);
});

void t.test('notes on the way to a guest', async (t) => {
  const { status, stdout, stderr } = await klp(['shell', '--accel', 'tcg', ...(await tree(t, '6.1.0', `gcc ${hostile} 1.2.3`))]);
  t.equal(status, 3);
  t.match(stderr, /^note: .* was built with "gcc \\x1b\]0;owned/m, 'it is told');
  t.match(stderr, /cannot run a guest/);
  nothingRaw(t, stdout + stderr);
});

void t.test('an error that nobody foresaw', async (t) => {
  const path = join(t.testdir({}), 'throws.ts');
  await writeFile(path, `throw new Error(${JSON.stringify(`${hostile}\nsecond`)});\n`);
  const { stdout, stderr } = await klp(['run', path]);
  nothingRaw(t, stdout + stderr);
});
