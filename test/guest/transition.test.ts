// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { must, segments } from '../../harness/guest/guest.js';
import type { Track } from '../../harness/guest/guest.js';
import { Bench } from '../../harness/runner/bench.js';
import { findKernel } from '../../kernels/catalogue.js';
import { patience } from '../vm/stock.js';
import { watchTransition } from './transition.js';

t.setTimeout(patience * 2);

const values = ({ changes }: Track): string[] => changes.map(({ value }) => value.text || value.name);

/** Whether the values come in the order of `all`, some of which may have passed unseen. */
function inOrder(seen: readonly string[], all: readonly string[]): boolean {
  let at = 0;
  return seen.every((value) => (at = all.indexOf(value, at) + 1) > 0);
}

async function testOn(t: Test, name: string): Promise<void> {
  const kernel = await (await findKernel(name)).cached();
  if (!kernel) {
    t.pass(name, { skip: 'it is not in the cache' });
    return;
  }
  const { signal } = new AbortController();
  const bench = await Bench.start({ kernel, accel: 'tcg', progress: () => undefined, signal, bootDeadline: patience });
  t.teardown(() => bench[Symbol.asyncDispose]());
  const { guest } = bench;

  await t.test('a timeline of a transition that a sleeping task holds up', async (t) => {
    const { timeline, parked, hold, enabled, released, disabled } = await watchTransition(bench, kernel);
    const [transition, state, own] = timeline.tracks;
    if (!transition || !state || !own) throw new Error('three sources have three tracks');
    t.comment(values(transition).join(' '), '|', values(state).join(' '), '|', values(own).join(' '));
    const { readings, longestGap } = transition;
    t.comment(`${readings} readings, longest gap ${Number(longestGap) / 1e6} ms, ${timeline.sweeps.spans.length} sweeps`);
    t.match(timeline, { running: true, dropped: 0 });

    t.ok(inOrder(values(transition), ['ENOENT', '0', '1', '0', '1', '0', 'ENODEV', 'ENOENT']));
    t.ok(inOrder(values(state), ['ENOENT', '0', '1', '0', 'ENODEV', 'ENOENT']));
    t.strictSame([values(state)[0], values(state).at(-1)], ['ENOENT', 'ENOENT']);
    t.match(hold, { patch: 'klp_watched', to: 'patched', since: Number, holding: [{ tid: parked, comm: 'klp-parked', kernel: false, state: 'S' }] });
    t.equal(hold?.holding.length, 1, 'and nobody else');
    t.match(hold?.holding[0]?.at, /^klp_target_beta\+0x/);
    t.strictSame(values(own).slice(0, 2), ['-1', '0'], 'the parked task is not patched for as long as it is parked');
    t.ok(inOrder(values(own), ['-1', '0', '1', '-1', 'ENOENT', 'ESRCH']));

    // The first change to 1 is the loading's; the task holds it up until it is released.
    const held = segments(transition).find(({ value }) => value.text === '1');
    const waits = segments(own).find(({ value }) => value.text === '0');
    if (!held?.certain || !waits?.certain) throw new Error('a second is enough to see it twice');
    t.ok((held.possible.begin ?? 0n) <= enabled.end && held.certain.begin >= enabled.begin);
    t.ok((held.possible.end ?? 0n) >= released.begin && (waits.possible.end ?? 0n) >= released.begin);
    t.ok(waits.certain.begin < held.certain.end && held.certain.begin < waits.certain.end, 'both at the same time');
    const off = state.changes.find(({ value }, i) => i > 1 && value.text === '0');
    t.ok(off?.before && off.before.begin <= disabled.end && off.span.end >= disabled.begin);

    const threads = timeline.sweeps.threads;
    t.ok(threads.length > 20);
    for (const track of threads) {
      const order = ['-1', '0', '1', '-1', '1', '0', '-1', 'ESRCH'];
      if (!inOrder(values(track), order)) t.fail(`${JSON.stringify(track.source)}: ${values(track).join(' ')}`);
    }
    const swept = threads.find(({ source }) => source.kind === 'thread' && source.tid === parked);
    t.ok(swept && values(swept).includes('0') && values(swept).at(-1) === 'ESRCH');
  });

  await t.test('a thread that has the number of a gone one is not taken for it', async (t) => {
    const last = '/proc/sys/kernel/ns_last_pid';
    if (!(await guest.read(last)).ok) {
      t.pass(last, { skip: 'this kernel cannot be told the next pid' });
      return;
    }
    const first = must(await guest.spawn({ kind: 'sleep', name: 'first' }), 'spawn');
    const find = async () => must(await guest.sweep(), 'sweep').find(({ pid }) => pid === first.pid);
    t.match(await find(), { comm: 'first', errno: 0 });
    // Mostly, both have come and gone between two sweeps of this one.
    const recording = await guest.startTimeline({ sweepEveryMilliseconds: 1000 });
    await guest.kill(first.pid, 'SIGKILL');
    must(await guest.wait(first, 60_000), 'wait');
    must(await guest.write(last, String(first.pid - 1)), 'telling the next pid');
    const second = must(await guest.spawn({ kind: 'sleep', name: 'second' }), 'spawn');
    t.equal(second.pid, first.pid);
    t.match(await find(), { comm: 'second', errno: 0, patchState: -1 });
    const sweeps = (await recording.read()).sweeps.spans.length;
    while ((await recording.read()).sweeps.spans.length < sweeps + 2) await sleep(100);
    const tracks = (await recording.stop()).sweeps.threads.filter((track) => track.source.kind === 'thread' && track.source.pid === first.pid);
    t.strictSame(tracks.map(values), [['-1', 'ESRCH'], ['-1']]);
    await guest.kill(second.pid, 'SIGKILL');
  });

  await t.test('clock and random state are renewed', async (t) => {
    await guest.run('date -s @1000000000');
    const before = must(await guest.batch([{ op: 'ping', payload: Buffer.alloc(0) }]), 'batch');
    const outcome = await guest.renew();
    t.match(outcome, { name: 'OK' });
    t.ok(outcome.span.begin > before[0].span.end, 'the clock of all stamps goes on as it did');
    const seconds = Number((await guest.run('date +%s')).stdout);
    t.ok(Math.abs(Date.now() / 1000 - seconds) < 600, 'and that of the wall is right');
  });
}

for (const name of ['stock', 'built-7-arm64']) void t.test(name, (t) => testOn(t, name));
