// SPDX-License-Identifier: MIT
import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { packagePath } from '../../harness/package-root.js';

const run = promisify(execFile);

void t.test('the npm tarball works in an empty folder', { timeout: 300_000 }, async (t) => {
  const folder = t.testdir({});
  const { stdout: packed } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
    cwd: packagePath(),
    maxBuffer: 16 << 20,
  });
  const [tarball] = JSON.parse(packed) as { filename: string; files: { path: string }[] }[];
  if (!tarball) return void t.fail('npm packed nothing');
  const paths = new Set(tarball.files.map((f) => f.path));
  for (const path of [
    'LICENSE',
    'README.md',
    'dist/harness/index.d.ts',
    'docs/schema/results-1.json',
    'docs/schema/events-1.json',
    'harness/modules/c/target.c',
    'images/agent/agent.c',
    'images/init/init.sh',
    'kernels/config/livepatch.config',
  ]) {
    t.ok(paths.has(path), path);
  }
  t.notOk([...paths].some((p) => p.startsWith('dist/test/') || p.endsWith('.ko')), 'neither tests nor binaries');

  await run('tar', ['-xzf', join(folder, tarball.filename), '-C', folder]);
  mkdirSync(join(folder, 'empty'));
  // The dependencies as they are here, instead of a second download.
  symlinkSync(packagePath('node_modules'), join(folder, 'package/node_modules'));
  const klp = (...args: string[]): Promise<{ stdout: string }> =>
    run(process.execPath, [join(folder, 'package/dist/harness/cli/main.js'), ...args], { cwd: join(folder, 'empty') });
  const script = "import { lint, rules } from 'klp-conformance/elf'; console.log(lint(new Uint8Array()).findings[0].code, rules.length > 50)";
  const imported = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: join(folder, 'package') });
  t.equal(imported.stdout, 'KLP001 true\n', 'the library has its own entry');
  const schema = "import results from 'klp-conformance/schema/results-1.json' with { type: 'json' }; console.log(results.$id)";
  t.match(await run(process.execPath, ['--input-type=module', '-e', schema], { cwd: join(folder, 'package') }), { stdout: 'urn:klp-conformance:results-1\n' });
  t.match(await klp('--version'), { stdout: /^\d+\.\d+\.\d+\n$/ });
  t.match(await klp('run', '--list'), { stdout: /patch-vmlinux-function/ });
  t.match(await klp('doctor', '--arch', 'x86_64'), { stdout: /^x86_64 +(tcg|kvm): /m });
});
