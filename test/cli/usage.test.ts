// SPDX-License-Identifier: MIT
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { scenarios } from '../../scenarios/index.js';
import { klp } from './klp.js';

/** A wrong command line: status 2, the message on stderr, and nothing done. */
function refused(name: string, args: readonly string[], ...patterns: readonly RegExp[]): void {
  void t.test(name, async (t) => {
    const cwd = t.testdir({});
    const { status, stderr } = await klp(args, { cwd });
    t.equal(status, 2, stderr);
    for (const pattern of patterns) t.match(stderr, pattern);
    t.notMatch(stderr, /\n\s+at /, 'no stack trace');
  });
}

refused('an unknown scenario', ['run', 'patch-vmlinux-fonction'], /no scenario "patch-vmlinux-fonction"/, /did you mean patch-vmlinux-function\?/);
refused('an unknown scenario that is like none', ['run', 'xyzzy'], /--list shows them/);
refused('an unknown kernel', ['run', '--kernel', 'built-7-arm46'], /unknown kernel "built-7-arm46"/, /did you mean built-7-arm64\?/);
refused('an unknown architecture', ['run', '--arch', 'riscv'], /unknown architecture "riscv"/, /x86_64 or arm64/);
refused('a kernel of the other architecture', ['run', '--arch', 'x86_64', '--kernel', 'built-7-arm64'], /is for arm64, not x86_64/);
refused('an unknown reporter', ['run', '--reporter', 'junt'], /there is no reporter "junt"/, /list, tap, ktap, json, junit/);
refused('two reporters for standard output', ['run', '--reporter', 'list,tap'], /standard output is for one of list and tap/, /list,tap=FILE/);
refused('an unknown way to boot', ['run', '--boot', 'bzImage'], /--boot <what>.*Allowed choices are auto, image/);
refused('an unknown command', ['rum'], /unknown command 'rum'/);
refused('an unknown option', ['run', '--kernal', 'x'], /unknown option '--kernal'/);
refused('a bad regular expression', ['run', '--grep', '('], /--grep \(/);
refused('a grep that leaves nothing', ['run', '--grep', 'no such thing'], /no scenario matches/);
refused('an image without its build directory', ['run', '--image', 'bzImage'], /--image and --build-dir belong together/);
refused('an image that is not there', ['run', '--image', 'gone', '--build-dir', '.'], /gone/);
refused('a toolchain for a kernel of ours', ['run', '--toolchain', 'x-'], /--toolchain belongs to --image/);
refused('an unknown suite', ['run', '--suite', 'kselftest'], /--suite <name>.*Allowed choices are selftests/);
refused('a shard of a suite', ['run', '--suite', 'selftests', '--shard', '1/2'], /--suite selftests does not go with --shard/);
refused('a number that is none', ['run', '--retries', 'few'], /"few" is no whole number/);
refused('no guest at all', ['run', '--jobs', '0'], /"0" is no whole number from 1 on/);
refused('nothing to resume', ['run', '--resume'], /nothing to resume: there is no run in \S+\/klp-results\/latest/);
refused('two places to resume', ['run', '--resume', 'here', '--output', 'there'], /--resume with a folder and --output exclude each other/);
refused('an expectations file that is not there', ['run', '--expectations', 'nowhere.json'], /nowhere\.json/);
refused('a scenario file that is not there', ['run', 'nowhere.ts'], /there is no file nowhere\.ts/);
refused('the path of a kernel that is not cached', ['kernels', 'path', 'nothing'], /unknown kernel "nothing"/);

void t.test('--version and --list', async (t) => {
  const version = await klp(['--version']);
  t.match(version, { status: 0, stdout: /^\d+\.\d+\.\d+\n$/ });
  const list = await klp(['run', '--list']);
  t.equal(list.status, 0);
  for (const s of scenarios) t.ok(list.stdout.includes(`${s.id}\n`), s.id);
  const few = await klp(['run', '--list', '--grep', 'REG-6']);
  t.equal(few.stdout.split('\n')[0], 'kernel-without-livepatch');
});

void t.test("scenarios of a user's own", async (t) => {
  const cwd = t.testdir({
    'empty.ts': 'export const nothing = 1;\n',
    'broken.ts': 'export const = 1;\n',
  });
  const empty = await klp(['run', '--list', 'empty.ts'], { cwd });
  t.match(empty, { status: 2, stderr: /empty\.ts exports no scenario/ });
  const broken = await klp(['run', '--list', 'broken.ts'], { cwd });
  t.match(broken, { status: 2, stderr: /broken\.ts/ });
  // Not in the package's folder, so that the import is what a user would write with klp-conformance installed.
  writeFileSync(
    join(cwd, 'odd.ts'),
    `export const odd = { id: 'odd', title: 'odd', clauses: ['REG-999'], needs: [], modules: [], run: async () => {} };\n`,
  );
  const odd = await klp(['run', '--list', 'odd.ts'], { cwd });
  t.match(odd, { status: 2, stderr: /scenario odd: .*REG-999/ });
});

void t.test('doctor', async (t) => {
  const here = await klp(['doctor', '--arch', 'x86_64']);
  t.equal(here.status, 0, here.stdout + here.stderr);
  t.match(here.stdout, /x86_64 +(kvm|tcg): /);
  const bare = await klp(['doctor', '--arch', 'arm64'], { env: { PATH: '/nonexistent' } });
  t.equal(bare.status, 3);
  t.match(bare.stdout, /missing {2}qemu-system-aarch64 \(Debian package qemu-system-arm\)/);
  t.match(bare.stdout, /apt-get install .*gcc-aarch64-linux-gnu/);
  const names = await klp(['doctor', '--packages', '--arch', 'arm64'], { env: { PATH: '/nonexistent' } });
  t.match(names.stdout, /^qemu-system-arm$/m);
});
