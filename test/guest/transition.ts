// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import { type Span, type Timeline, calls, must } from '../../harness/guest/guest.js';
import { type Hold, whoHolds } from '../../harness/guest/holders.js';
import { livepatch, target } from '../../harness/model/description.js';
import { buildModules, moduleKey } from '../../harness/modules/build.js';
import type { Bench } from '../../harness/runner/bench.js';
import { kernelFacts, staticFacts } from '../../harness/runner/probe.js';
import type { AcquiredKernel } from '../../kernels/types.js';

/** A transition as a timeline saw it, and what was done when. */
export interface WatchedTransition {
  readonly timeline: Timeline;
  /** A task asleep in the function to be patched. */
  readonly parked: number;
  /** Who held the transition while it slept there. */
  readonly hold: Hold | undefined;
  readonly enabled: Span;
  readonly released: Span;
  readonly disabled: Span;
}

/**
 * Enables a livepatch that a parked task holds up, releases the task, disables the patch and unloads it, all while a timeline
 * follows `transition`, `enabled`, the parked task and every thread.
 */
export async function watchTransition(bench: Bench, kernel: AcquiredKernel): Promise<WatchedTransition> {
  const { guest } = bench;
  const lib = target('klp_target');
  const patch = livepatch('klp_watched', { klp_target: ['klp_target_beta'] });
  const facts = await kernelFacts(kernel, await staticFacts(kernel), bench);
  const built = await buildModules({ kernel, ...facts }, [lib, patch], () => undefined);
  const files = [lib, patch].map((module) => {
    const file = built.get(moduleKey(module));
    if (!file || 'error' in file) throw file?.error ?? new Error(`${module.name} was not built`);
    return { name: `${module.name}.ko`, file: file.file };
  });
  await guest.push('/tmp/m', files);
  must(await guest.insmod('/tmp/m/klp_target.ko'), 'loading the target');
  const call = calls.io('/proc/klp_target/beta', { write: 'interruptible 0 user', read: 80 });
  const task = must(await guest.spawn({ kind: 'op', name: 'klp-parked', call }), 'parking a task');
  while (!must((await guest.stacks([task.pid]))[0] ?? failed(), 'stack').includes('klp_target_beta+')) await sleep(20);

  const root = '/sys/kernel/livepatch/klp_watched';
  const settled = async () => {
    for (;;) {
      const transition = await guest.readText(`${root}/transition`);
      if (!transition.ok || transition.value === '0\n') return;
      await sleep(50);
    }
  };
  const recording = await guest.startTimeline({
    files: [`${root}/transition`, `${root}/enabled`],
    tids: [task.pid],
    sweepEveryMilliseconds: 50,
  });
  const enabled = await guest.insmod('/tmp/m/klp_watched.ko');
  must(enabled, 'loading the patch');
  await sleep(1000);
  // An idle kernel thread may need one more round of the kernel's work, which comes every second.
  let hold = await whoHolds(guest);
  for (let looks = 0; looks < 30 && hold?.holding.length !== 1; looks++) {
    await sleep(1000);
    hold = await whoHolds(guest);
  }
  const released = await guest.write('/proc/klp_target/release', String(task.pid));
  must(released, 'release');
  must(await guest.wait(task, 60_000), 'end of the parked task');
  await settled();
  const disabled = await guest.write(`${root}/enabled`, '0');
  must(disabled, 'disabling');
  await settled();
  while ((await guest.rmmod('klp_watched')).name !== 'OK') await sleep(100);
  must(await guest.awaitGone(root, 60_000), 'end of the patch');
  const timeline = await recording.stop();
  must(await guest.rmmod('klp_target'), 'unloading the target');
  return { timeline, parked: task.pid, hold, enabled: enabled.span, released: released.span, disabled: disabled.span };
}

function failed(): never {
  throw new Error('no stack came');
}
