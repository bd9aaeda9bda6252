// SPDX-License-Identifier: MIT
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { cacheRoot } from '../../harness/cache.js';
import { calls, must } from '../../harness/guest/guest.js';
import { livepatch, target } from '../../harness/model/description.js';
import { buildModules, moduleKey } from '../../harness/modules/build.js';
import { Bench, type BenchOptions } from '../../harness/runner/bench.js';
import { kernelFacts, staticFacts } from '../../harness/runner/probe.js';
import { stockKernel } from '../e2e/kernel.js';
import { patience } from '../vm/stock.js';

t.setTimeout(patience * 3);

const kernel = await stockKernel();
const said: string[] = [];
const options: BenchOptions = {
  kernel,
  accel: 'tcg',
  progress: (line) => void said.push(line),
  signal: new AbortController().signal,
  bootDeadline: patience,
};

// A cache of our own that shares everything with the usual one but the saved states.
const shared = cacheRoot();
const own = await mkdtemp(join(tmpdir(), 'klp-test-cache-'));
for (const kind of ['agent', 'apt', 'images', 'kallsyms', 'kernels', 'locks', 'modules', 'packages', 'pvh']) {
  mkdirSync(join(shared, kind), { recursive: true });
  symlinkSync(join(shared, kind), join(own, kind));
}
process.env.KLP_CACHE = own;
t.teardown(() => rm(own, { recursive: true, force: true }));

/** The folders of the states that are kept. */
function kept(): string[] {
  const folder = join(own, 'states');
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
}

/** Starts a bench, asks its guest something, and ends it. @returns whether it came from the cache */
async function restoredBench(more: Partial<BenchOptions> = {}): Promise<boolean> {
  said.length = 0;
  await using bench = await Bench.start({ ...options, ...more });
  must(await bench.guest.readText('/proc/version'), '/proc/version');
  return bench.restored;
}

await t.test('a guest is booted once; what is kept of it is used when it is exactly that, and otherwise not', async (t) => {
  t.notOk(await restoredBench({ fresh: true }));
  t.strictSame(kept(), [], 'a fresh boot leaves the cache alone');
  t.notOk(await restoredBench());
  const [folder = ''] = kept();
  t.ok(await restoredBench(), 'the next one is restored');
  t.strictSame(kept(), [folder]);

  const states = join(folder, 'states.qcow2');
  const record = join(folder, 'state.json');
  const good = readFileSync(states);
  const changed = Buffer.from(good);
  changed[good.length >> 1] = (good[good.length >> 1] ?? 0) ^ 1;
  writeFileSync(states, changed);
  t.notOk(await restoredBench(), 'one bit changed: booted');
  t.match(said.join('\n'), /the saved state of \S+ is of no use: saved guest state .* is damaged/);
  t.ok(await restoredBench(), 'and what was kept then is good');

  writeFileSync(record, '{"sha256": ');
  t.notOk(await restoredBench(), 'a record cut short: booted');

  // A whole state, but of another boot: a copy put under the wrong name, say.
  const { sha256, bootId } = JSON.parse(readFileSync(record, 'utf8')) as { sha256: string; bootId: string };
  writeFileSync(record, JSON.stringify({ sha256, bootId: '00000000-0000-0000-0000-000000000000' }));
  t.notOk(await restoredBench(), 'another boot: booted');
  t.match(said.join('\n'), new RegExp(`it holds boot ${bootId}, not 0{8}`));

  // Another QEMU build: the same program, but no longer the same file.
  const bin = t.testdir({});
  const { PATH: path = '' } = process.env;
  writeFileSync(join(bin, 'qemu-system-x86_64'), '#!/bin/sh\nexec /usr/bin/qemu-system-x86_64 "$@"\n', { mode: 0o755 });
  process.env.PATH = `${bin}:${path}`;
  try {
    t.notOk(await restoredBench(), 'another QEMU: booted');
  } finally {
    process.env.PATH = path;
  }
  t.equal(kept().length, 2, 'and kept beside the first');
  t.ok(await restoredBench());
});

const mounts = process.getuid?.() === 0 ? {} : { skip: 'only root can mount a small file system' };

await t.test('a full disk costs the saved state, and not the run', mounts, async (t) => {
  for (const folder of kept()) await rm(folder, { recursive: true });
  const small = join(own, 'tmp');
  mkdirSync(small, { recursive: true });
  t.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', small]).status, 0);
  try {
    t.notOk(await restoredBench(), 'booted, and usable');
    t.match(said.join('\n'), /the state of \S+ can't be kept, so that the next run boots again: no space left in /);
    t.strictSame(kept(), []);
    t.strictSame(readdirSync(small), [], 'nothing half done is left');
  } finally {
    spawnSync('umount', [small]);
  }
  // QEMU's own file: without it no scenario could be isolated from the one before.
  const { TMPDIR: before } = process.env;
  const tiny = t.testdir({});
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', tiny]);
  process.env.TMPDIR = tiny;
  try {
    await t.rejects(Bench.start(options), {
      name: 'MachineError',
      kind: 'infrastructure',
      message: /^savevm pristine: /,
      hint: new RegExp(`^states are saved in ${tiny}, which has [0-7] MiB left; TMPDIR chooses another place`),
    });
    t.strictSame(readdirSync(tiny), []);
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
    spawnSync('umount', [tiny]);
  }
});

await t.test('nothing that one scenario does reaches the next', async (t) => {
  await using bench = await Bench.start(options);
  const { guest } = bench;
  const facts = await kernelFacts(kernel, await staticFacts(kernel), bench);
  const lib = target('klp_target');
  const patch = livepatch('klp_left', { klp_target: ['klp_target_alpha'] });
  const built = await buildModules({ kernel, ...facts }, [lib, patch], () => undefined, options.signal);
  const files = [lib, patch].map((m) => {
    const module = built.get(moduleKey(m));
    if (!module || 'error' in module) throw new Error(`module ${m.name} was not built`);
    return { name: `${m.name}.ko`, file: module.file };
  });

  for (const round of [1, 2]) {
    await bench.reset();
    t.equal(must(await guest.readText('/proc/sys/kernel/tainted'), 'tainted').trim(), '0', `round ${round}: not tainted`);
    t.match(await guest.tree('/sys/kernel/livepatch'), { value: [{ name: '' }] }, 'no patch');
    t.strictSame(new Set(must(await guest.sweep(), 'sweep').map((thread) => thread.patchState)), new Set([-1]), 'no transition');
    t.match(await guest.tree('/tmp'), { value: [{ name: '' }] }, '/tmp is empty');
    t.match(await guest.run('date +%Y'), { code: 0, stdout: /^(?!2001)/ }, 'sshd answers, and it is not 2001');

    await guest.push('/tmp/m', files);
    for (const { name } of files.slice(0, 1)) must(await guest.insmod(`/tmp/m/${name}`), name);
    must(await guest.spawn({ kind: 'op', call: calls.io('/proc/klp_target/alpha', { write: 'uninterruptible 0 user', read: 80 }) }), 'spawn');
    must(await guest.insmod('/tmp/m/klp_left.ko'), 'klp_left');
    const transition = await guest.readText('/sys/kernel/livepatch/klp_left/transition');
    t.equal(must(transition, 'transition').trim(), '1', 'a transition that a sleeper holds');
    t.not(must(await guest.readText('/proc/sys/kernel/tainted'), 'tainted').trim(), '0');
    await guest.run('date -s 2001-01-01; dd if=/dev/zero of=/tmp/full bs=1M; kill -9 $(cat /run/dropbear.pid); kill -9 $PPID').catch(() => undefined);
    guest.closeSsh();
    t.match(await guest.write('/tmp/one-more', 'x'.repeat(8192), 4), { name: 'ENOSPC' }, '/tmp is full');
  }
});

await t.test('a restored guest has the present time, and random numbers that no other has', async (t) => {
  await using bench = await Bench.start(options);
  const drawn: string[] = [];
  for (let i = 0; i < 3; i++) {
    const before = Date.now() / 1000 - 2;
    await bench.reset();
    const { guest } = bench;
    drawn.push(must(await guest.readText('/proc/sys/kernel/random/uuid'), 'uuid'));
    // When this kernel was booted, in whole seconds since 1970, and how long ago that was.
    const booted = Number(/^btime (\d+)$/m.exec(must(await guest.readText('/proc/stat'), '/proc/stat'))?.[1]);
    const up = Number(must(await guest.readText('/proc/uptime'), '/proc/uptime').split(' ')[0]);
    t.ok(before <= booted + up && booted + up <= Date.now() / 1000 + 2, `${booted + up}`);
  }
  t.equal(new Set(drawn).size, drawn.length, 'without new entropy a restore would repeat them');
});

await t.test('50 restores: neither memory nor descriptors nor files grow', async (t) => {
  await using bench = await Bench.start(options);
  const { pid } = bench.machine;
  const measure = (): { readonly fds: number; readonly own: number; readonly kib: number; readonly files: number } => ({
    fds: readdirSync(`/proc/${pid}/fd`).length,
    own: readdirSync('/proc/self/fd').length,
    kib: Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]),
    files: readdirSync(tmpdir()).filter((name) => name.startsWith('klp-')).length,
  });
  const use = async (): Promise<void> => {
    await bench.reset();
    must(await bench.guest.sweep(), 'sweep');
    await bench.guest.run('true');
  };
  for (let i = 0; i < 10; i++) await use();
  const before = measure();
  for (let i = 0; i < 50; i++) await use();
  const after = measure();
  t.comment(`QEMU: ${before.kib} KiB before, ${after.kib} KiB after`);
  t.ok(after.kib < before.kib * 1.15, 'QEMU is not larger by more than its caches');
  t.ok(after.fds <= before.fds + 2, `QEMU had ${before.fds} descriptors and has ${after.fds}`);
  t.ok(after.own <= before.own + 2, `we had ${before.own} descriptors and have ${after.own}`);
  t.equal(after.files, before.files);
});
