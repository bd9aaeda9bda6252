// SPDX-License-Identifier: MIT
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chmod, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { host, tryHost } from '../../harness/host.js';
import { runInRoot } from '../../kernels/in-root.js';
import { hostSuite } from '../../kernels/mirrors.js';
import { baseSuite, cachedSuiteToolchain, suiteToolchain } from '../../kernels/private-root.js';
import { runMake } from '../../kernels/toolchain.js';

// Another release than the host's, whichever that is.
const suite = (await hostSuite()) === 'bullseye' ? 'bookworm' : 'bullseye';
const toolchain = await suiteToolchain(suite, 'x86_64', () => undefined);
const { root = '' } = toolchain;
const folder = await mkdtemp(join(tmpdir(), 'klp-root-'));
t.teardown(() => rm(folder, { recursive: true, force: true }));
const user = join(import.meta.dirname, 'private-root-user.js');
const mounts = await readFile('/proc/self/mountinfo', 'utf8');

/** Processes whose command line has this word. */
async function running(word: string): Promise<number> {
  const lines = await Promise.all(
    (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return lines.filter((line) => line.includes(word)).length;
}

async function until(condition: () => Promise<boolean>): Promise<boolean> {
  for (let i = 0; i < 300; i++) {
    if (await condition()) return true;
    await sleep(100);
  }
  return false;
}

void t.test('a release without its pocket', (t) => {
  t.strictSame(['trixie', 'trixie-backports', 'bookworm-security'].map(baseSuite), ['trixie', 'trixie', 'bookworm']);
  t.end();
});

void t.test('the toolchain of another release', async (t) => {
  t.match(toolchain.version, /^gcc \(Debian \d/);
  t.match(toolchain.packages?.find((one) => one.name === 'make'), { arch: 'amd64', sha256: /^[0-9a-f]{64}$/ });
  for (const name of ['binutils', 'libc6', 'gcc']) t.ok(toolchain.packages?.some((one) => one.name === name), name);
  t.strictSame(await cachedSuiteToolchain(suite, 'x86_64'), toolchain, 'and again from the cache');
  t.equal((await suiteToolchain(await hostSuite(), 'x86_64', () => undefined)).root, undefined, "the host's own has no root");
});

void t.test('make runs in it', async (t) => {
  const rules = ['all:', '\tgcc --version > compiler', '\tcp /etc/debian_version release', '\ttouch /usr/lib/klp-was-here'];
  await writeFile(join(folder, 'Makefile'), `${rules.join('\n')}\n`);
  const result = await runMake(toolchain, ['-C', folder], [folder], { timeout: 60_000 });
  t.equal(result.exitCode, 0, result.all);
  t.equal((await readFile(join(folder, 'compiler'), 'utf8')).split('\n')[0], toolchain.version);
  t.not(await readFile(join(folder, 'release'), 'utf8'), await readFile('/etc/debian_version', 'utf8'));
  await t.rejects(access(join(root, 'usr/lib/klp-was-here')), 'the root is left as it was');
  await t.rejects(access('/usr/lib/klp-was-here'));
  t.equal((await runMake(toolchain, ['-C', folder, 'nothing'], [folder])).exitCode, 2, "make's own status");
});

void t.test('a root that is none, a folder that is not there', async (t) => {
  const wrong = { name: 'InfrastructureError', message: /^the private root \S+ cannot be entered$/ };
  await t.rejects(runInRoot(join(folder, 'none'), 'true', [], []), wrong);
  await t.rejects(runInRoot(root, 'true', [], [join(folder, 'none')]), wrong);
});

void t.test('what runs in it ends with its time, its signal, and with klp', async (t) => {
  const script = 'sleep 86397 & sleep 86397; true';
  const gone = (): Promise<boolean> => until(async () => (await running('86397')) === 0);
  await t.rejects(runInRoot(root, 'sh', ['-c', script], [], { timeout: 1000 }), { message: 'sh was ended by SIGKILL' });
  t.ok(await gone(), 'time');
  const abort = new AbortController();
  const aborted = runInRoot(root, 'sh', ['-c', script], [], { signal: abort.signal });
  t.ok(await until(async () => (await running('86397')) > 2));
  abort.abort(new Error('enough'));
  await t.rejects(aborted, { message: 'enough' });
  t.ok(await gone(), 'signal');
  const klp = spawn(process.execPath, [user, root, folder, script], { stdio: 'ignore' });
  t.ok(await until(async () => (await running('86397')) > 3));
  klp.kill('SIGKILL');
  await once(klp, 'exit');
  t.ok(await gone(), 'klp killed');
});

void t.test('as another user', { skip: process.getuid?.() === 0 ? false : 'takes root to become one' }, async (t) => {
  // A root made by that user: it belongs to them, and lies where they see it.
  const shared = await mkdtemp('/tmp/klp-shared-');
  t.teardown(() => rm(shared, { recursive: true, force: true }));
  await host('cp', ['-a', '--reflink=auto', dirname(root), join(shared, 'cache')], { timeout: 300_000 });
  const work = join(shared, 'work');
  await host('mkdir', [work]);
  await chmod(shared, 0o755);
  await host('chown', ['-R', '--no-dereference', '65534:65534', join(shared, 'cache'), work], { timeout: 300_000 });
  const words = [process.execPath, user, join(shared, 'cache/root'), work, 'gcc --version | head -n 1; id -u; touch made'];
  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', '--'];
  const options = { timeout: 60_000 };
  const there = await tryHost('setpriv', [...nobody, ...words], options);
  t.equal(there.stdout, `${toolchain.version}\n0\n`, there.all);
  t.equal(await host('stat', ['-c', '%u', join(work, 'made')]), '65534\n', 'what it writes is theirs');

  // In a user namespace without a user there can be no further one.
  const barred = await tryHost('setpriv', [...nobody, 'unshare', '--user', ...words], options);
  const [message, hint] = barred.stdout.split('\n');
  t.match(message, /^the toolchain of another Debian release runs in a private root, and this user may make none$/);
  t.match(hint, /^run klp as root, or allow user namespaces/);
});

void t.test('no mount is left', async (t) => {
  t.equal(await readFile('/proc/self/mountinfo', 'utf8'), mounts);
});
