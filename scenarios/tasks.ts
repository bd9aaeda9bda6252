// SPDX-License-Identifier: MIT
import { gateOf, livepatch, scenario, target } from '../harness/index.js';

/* Kinds of tasks in a transition: what holds it, and what moves those that do. */

const lib = target('klp_target');
const patch = livepatch('klp_alpha', { klp_target: ['klp_target_alpha'] }, { uses: [gateOf(lib)] });

export const kernelThreadHolds = scenario({
  id: 'kernel-thread-holds-transition',
  title: 'A kernel thread asleep in the patched function holds the enable, one in the replacement the disable; no signal moves it',
  clauses: ['TRN-1', 'TRN-5', 'TRN-10', 'CHK-1', 'CHK-3'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  async run({ load, disable, park, observe }) {
    await load(lib);
    const before = await park(lib.alpha, { by: 'kernel' });
    const elsewhere = await park(lib.beta, { by: 'kernel', activity: 'interruptible' });
    await load(patch);
    await observe.settledThreads();
    await before.stopAndContinue();
    await observe.settledThreads();
    await before.witness();
    await before.call(lib.alpha);
    await elsewhere.call(lib.alpha);
    await before.release();
    await observe.transitionEnd(patch);

    const after = await park(lib.alpha, { by: 'kernel', activity: 'interruptible' });
    await disable(patch);
    await observe.settledThreads();
    await after.stopAndContinue();
    await observe.settledThreads();
    await after.witness();
    await after.release();
    await elsewhere.release();
    await observe.transitionEnd(patch);
    await observe.call(lib.alpha);
  },
});

export const workItemHolds = scenario({
  id: 'work-item-holds-transition',
  title: 'A work item asleep in the patched function holds the enable, one in the replacement the disable; its thread goes on to other work',
  clauses: ['TRN-1', 'TRN-5', 'TRN-10', 'CHK-1', 'CHK-3', 'TRN-7'],
  needs: ['livepatch', 'reliable-stacks', 'dynamic-debug'],
  modules: [lib, patch],
  async run({ load, disable, park, observe }) {
    await load(lib);
    const before = await park(lib.alpha, { by: 'work' });
    const elsewhere = await park(lib.beta, { by: 'work', activity: 'interruptible', depth: 3 });
    await load(patch);
    await observe.settledThreads();
    await observe.reasons();
    await before.stopAndContinue();
    await observe.settledThreads();
    await before.witness();
    await before.call(lib.alpha);
    await elsewhere.call(lib.alpha);
    await before.release();
    await observe.transitionEnd(patch);

    const after = await park(lib.alpha, { by: 'work' });
    await disable(patch);
    await observe.settledThreads();
    await after.witness();
    await after.release();
    await elsewhere.release();
    await observe.transitionEnd(patch);
    await observe.call(lib.alpha);
  },
});

export const signalMoves = scenario({
  id: 'signal-moves-interruptible-sleeper',
  title: 'SIGSTOP and SIGCONT take an interruptible sleeper out of the patched function, and back into its new code; others stay',
  clauses: ['TRN-1', 'TRN-5', 'TRN-10', 'CHK-1', 'CHK-3', 'ENA-12'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  async run({ load, disable, park, observe }) {
    await load(lib);
    const interruptible = await park(lib.alpha, { activity: 'interruptible' });
    const uninterruptible = await park(lib.alpha);
    await load(patch);
    await observe.settledThreads();
    await interruptible.stopAndContinue();
    await uninterruptible.stopAndContinue();
    await observe.settledThreads();
    await observe.transitionEnd(patch);
    await uninterruptible.release();
    await observe.transitionEnd(patch);

    await disable(patch);
    await observe.settledThreads();
    await interruptible.stopAndContinue();
    await observe.transitionEnd(patch);
    await observe.threads();
    await interruptible.release();
    await observe.call(lib.alpha);
  },
});

export const leftAlone = scenario({
  id: 'interruptible-sleeper-left-alone',
  title: 'An interruptible sleeper that nobody signals holds the transition; from 5.1 on the kernel takes it out of the function after 15 seconds',
  clauses: ['TRN-1', 'CHK-1', { clause: 'TRN-15', needs: 'registration' }, { clause: 'SIG-1', needs: 'fake-signals' }, { clause: 'SIG-2', needs: 'fake-signals' }],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  async run({ load, park, observe }) {
    await load(lib);
    const sleeper = await park(lib.alpha, { activity: 'interruptible' });
    await load(patch);
    await observe.settledThreads();
    await sleeper.leftAlone();
    await observe.threads();
    await sleeper.release();
    await observe.transitionEnd(patch);
    await observe.threads();
    await observe.call(lib.alpha);
  },
});

export const kernelThreadLeftAlone = scenario({
  id: 'interruptible-kernel-thread-left-alone',
  title: 'A kernel thread that sleeps interruptibly in the patched function holds the transition; from 5.1 on the kernel wakes it after 15 seconds',
  clauses: ['TRN-1', 'CHK-1', { clause: 'TRN-15', needs: 'registration' }, { clause: 'SIG-1', needs: 'fake-signals' }, { clause: 'SIG-2', needs: 'fake-signals' }],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  async run({ load, disable, park, observe }) {
    await load(lib);
    const thread = await park(lib.alpha, { by: 'kernel', activity: 'interruptible' });
    await load(patch);
    await observe.settledThreads();
    await thread.leftAlone();
    await observe.threads();
    await thread.release();
    await observe.transitionEnd(patch);
    await observe.threads();

    const work = await park(lib.alpha, { by: 'work', activity: 'interruptible', depth: 3 });
    await disable(patch);
    await observe.settledThreads();
    await work.leftAlone();
    await work.release();
    await observe.transitionEnd(patch);
    await observe.call(lib.alpha);
  },
});

export const computingTaskSwitches = scenario({
  id: 'computing-task-switches',
  title: 'A task that does nothing but compute is switched by the next interrupt; one that runs in the patched function holds',
  clauses: ['TRN-1', 'TRN-5', 'TRN-11', 'CHK-1', 'CHK-3'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  async run({ load, disable, park, spin, observe }) {
    await load(lib);
    const computing = await spin();
    const runner = await park(lib.alpha, { activity: 'running' });
    await load(patch);
    await observe.settledThreads();
    await runner.witness();
    await computing.witness();
    await runner.call(lib.alpha);
    await observe.transitionEnd(patch);
    await runner.release();
    await observe.transitionEnd(patch);

    const sleeper = await park(lib.alpha, { by: 'kernel' });
    await disable(patch);
    await observe.settledThreads();
    await computing.witness();
    await sleeper.release();
    await observe.transitionEnd(patch);
    await observe.threads();
    await computing.release();
  },
});

export const waysOfSwitching = scenario({
  id: 'ways-of-switching',
  title: 'Who sleeps is switched by the check of its stack, who computes on its way to user space, as a transition is turned round',
  clauses: ['TRN-1', 'TRN-5', 'TRN-6', 'TRN-11'],
  needs: ['livepatch', 'reliable-stacks', 'function-tracer'],
  modules: [lib, patch],
  async run({ load, disable, park, spin, turn, ways, observe }) {
    await load(lib);
    const asleep = [await park(lib.beta), await park(lib.beta, { by: 'kernel' }), await park(lib.beta, { activity: 'interruptible', depth: 10 })];
    const computing = [await spin(), await spin()];
    const switching = await ways();
    const inOld = await park(lib.alpha);
    await load(patch);
    await observe.settledThreads();
    await switching.look(...asleep);
    const inNew = await park(lib.alpha);
    for (const holder of [inNew, inOld]) {
      // It tries nobody at once: who leaves the kernel within the second is first.
      await turn(patch, 1);
      await observe.settledThreads();
      await switching.look(...asleep, ...computing);
      await holder.witness();
    }
    await inOld.release();
    await observe.transitionEnd(patch);
    await disable(patch);
    await observe.settledThreads();
    await switching.look(...asleep);
    await inNew.release();
    await observe.transitionEnd(patch);
    await switching.release();
    for (const task of [...asleep, ...computing]) {
      await task.witness();
      await task.release();
    }
  },
});
