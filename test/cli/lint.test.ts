// SPDX-License-Identifier: MIT
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { readObject, withSymbols, writeObject } from '../../harness/elf/index.js';
import { soundModule } from '../elf/build.js';
import { klp } from './klp.js';

const broken = writeObject(withSymbols(readObject(soundModule()), new Map([[2, { name: '.klp.sym.vmlinux.hidden' }]])));
const text = 'error KLP042: .klp.sym.vmlinux.hidden: not .klp.sym.<object>.<symbol>,<sympos>';

void t.test('sound and broken, plain and packed, files and folders', async (t) => {
  const cwd = t.testdir({ sound: {}, mixed: { below: {} } });
  writeFileSync(join(cwd, 'sound/lp.ko'), soundModule());
  writeFileSync(join(cwd, 'sound/lp.ko.gz'), gzipSync(soundModule()));
  writeFileSync(join(cwd, 'mixed/a.ko'), broken);
  writeFileSync(join(cwd, 'mixed/below/b.ko'), broken);
  writeFileSync(join(cwd, 'mixed/below/c.ko.gz'), gzipSync(broken));
  writeFileSync(join(cwd, 'mixed/d.ko'), broken);
  execFileSync('xz', ['mixed/below/b.ko'], { cwd });
  execFileSync('zstd', ['-q', '--rm', 'mixed/d.ko'], { cwd });
  t.match(await klp(['lint', 'sound'], { cwd }), { status: 0, stdout: '2 modules: 0 errors, 0 warnings\n', stderr: '' });
  const { status, stdout } = await klp(['lint', 'mixed', 'sound/lp.ko'], { cwd });
  t.equal(status, 1);
  for (const file of ['mixed/a.ko', 'mixed/below/b.ko.xz', 'mixed/below/c.ko.gz', 'mixed/d.ko.zst']) t.ok(stdout.includes(`${file}: ${text}`), file);
  t.match(stdout, /5 modules: 4 errors, 0 warnings\n$/);
  const json = await klp(['lint', 'mixed/a.ko', '--format', 'json'], { cwd });
  t.match(JSON.parse(json.stdout), { v: 1, files: [{ file: 'mixed/a.ko', findings: [{ code: 'KLP042', severity: 'error' }] }] });
  const sarif = await klp(['lint', 'mixed/a.ko', '--format', 'sarif'], { cwd });
  t.match(JSON.parse(sarif.stdout), { version: '2.1.0', runs: [{ results: [{ ruleId: 'KLP042', level: 'error' }] }] });
});

void t.test('what is no module', async (t) => {
  const cwd = t.testdir({ 'notes.txt': '', empty: {}, 'cut.ko': '\x7fELF', 'bad.ko.xz': 'no xz' });
  t.match(await klp(['lint'], { cwd }), { status: 2, stderr: /which modules\?/ });
  t.match(await klp(['lint', 'gone.ko'], { cwd }), { status: 2, stderr: /gone\.ko/ });
  t.match(await klp(['lint', 'notes.txt'], { cwd }), { status: 2, stderr: /notes\.txt is no module/ });
  t.match(await klp(['lint', 'empty'], { cwd }), { status: 2, stderr: /there is no module in empty/ });
  t.match(await klp(['lint', 'cut.ko', '--kernel', 'no-such'], { cwd }), { status: 2, stderr: /unknown kernel "no-such"/ });
  t.match(await klp(['lint', 'cut.ko'], { cwd }), { status: 1, stdout: /error KLP001: e_ident at offset 0x0/ });
  t.match(await klp(['lint', 'bad.ko.xz'], { cwd }), { status: 3, stderr: /bad\.ko\.xz cannot be unpacked/ });
});
