// SPDX-License-Identifier: MIT
import { gateOf, livepatch, scenario, target, warningUnderForks } from '../harness/index.js';

/* What a transition is to tasks of other kinds: those that are born in it, end in it, are interrupted or idle. */

const lib = target('klp_target');
const patch = livepatch('klp_alpha', { klp_target: ['klp_target_alpha'] }, { uses: [gateOf(lib)] });
const pair = livepatch('klp_pair', { klp_target: ['klp_target_alpha', 'klp_target_beta'] }, { uses: [gateOf(lib)] });

export const childInherits = scenario({
  id: 'child-inherits-state',
  title: 'A child is born with the state of its parent: of a user task and of a kernel thread, held in the old state or switched',
  clauses: ['TRN-8', 'TRN-1', 'TRN-2', 'TRN-5'],
  needs: ['livepatch', 'reliable-stacks', 'kprobes'],
  modules: [lib, patch],
  async run({ load, disable, park, observe }) {
    await load(lib);
    const heldUser = await park(lib.alpha);
    const heldKernel = await park(lib.alpha, { by: 'kernel' });
    const freeUser = await park(lib.beta);
    const freeKernel = await park(lib.beta, { by: 'kernel' });
    for (const parent of [heldUser, heldKernel]) await parent.fork();
    await load(patch);
    await observe.settledThreads();
    for (const parent of [heldUser, heldKernel, freeUser, freeKernel]) await parent.fork();
    await heldUser.witness();
    await heldKernel.witness();
    await observe.settledThreads();
    await heldUser.release();
    await heldKernel.release();
    await observe.transitionEnd(patch);

    const user = await park(lib.alpha);
    const kernel = await park(lib.alpha, { by: 'kernel' });
    await disable(patch);
    await observe.settledThreads();
    for (const parent of [user, kernel, freeUser, freeKernel]) await parent.fork();
    await user.release();
    await kernel.release();
    await observe.transitionEnd(patch);
    for (const parent of [freeUser, freeKernel]) await parent.fork();
    await observe.threads();
    await freeUser.release();
    await freeKernel.release();
  },
});

export const interruptInherits = scenario({
  id: 'interrupt-inherits-state',
  title: 'What an interrupt calls is decided by the task that it goes off over: old code over one that is held, new code over one that has switched',
  clauses: ['TRN-9', 'TRN-1', 'TRN-5', 'TRN-11'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, pair],
  async run({ load, disable, park, spin, observe }) {
    await load(lib);
    const computing = await spin();
    const held = await park(lib.alpha, { activity: 'running' });
    await held.interrupt(lib.beta);
    await load(pair);
    await observe.settledThreads();
    await held.interrupt(lib.beta);
    await computing.interrupt(lib.beta);
    await computing.interrupt(lib.alpha);
    await held.interrupt(lib.alpha);
    await held.witness();
    await held.release();
    await observe.transitionEnd(pair);
    await computing.interrupt(lib.beta);

    const kernel = await park(lib.alpha, { activity: 'running', by: 'kernel' });
    await disable(pair);
    await observe.settledThreads();
    await kernel.interrupt(lib.beta);
    await computing.interrupt(lib.beta);
    await kernel.witness();
    await kernel.release();
    await observe.transitionEnd(pair);
    await computing.interrupt(lib.beta);
    await computing.release();
  },
});

export const zombieHoldsNothing = scenario({
  id: 'zombie-holds-nothing',
  title: 'A zombie of before the transition and one of its middle switch, and hold nothing',
  clauses: ['TRN-14', 'TRN-1', 'TRN-2', 'TRN-5'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  async run({ load, disable, park, zombie, observe }) {
    await load(lib);
    const sleeper = await park(lib.alpha);
    const before = await zombie();
    await load(patch);
    const after = await zombie();
    await observe.settledThreads();
    await sleeper.witness();
    await sleeper.release();
    await observe.transitionEnd(patch);
    await observe.threads();
    await disable(patch);
    await observe.transitionEnd(patch);
    await before.witness();
    await after.witness();
    await before.release();
    await after.release();
    await observe.threads();
  },
});

export const dyingHolds = scenario({
  id: 'dying-task-holds-transition',
  title: 'A task that has been killed and sleeps in the patched function on its way out holds the enable, one in the replacement the disable',
  clauses: ['CHK-1', 'CHK-3', 'TRN-1', 'TRN-5', 'TRN-16'],
  splats: [warningUnderForks],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  async run({ load, disable, park, storm, observe }) {
    await load(lib);
    const forks = await storm('forks');
    await forks.witness();
    const before = await park(lib.alpha, { dying: true });
    await load(patch);
    await observe.settledThreads();
    await before.witness();
    await before.call(lib.alpha);
    await before.release();
    await observe.transitionEnd(patch);
    const after = await park(lib.alpha, { dying: true });
    await disable(patch);
    await observe.settledThreads();
    await after.witness();
    await after.release();
    await observe.transitionEnd(patch);
    await forks.release();
    await observe.threads();
  },
});

export const offlineCpu = scenario({
  id: 'offline-cpu-holds-nothing',
  title: 'A CPU that is offline holds no transition, and its idle task is switched when it comes back in the middle of one',
  clauses: ['TRN-13', 'TRN-12', 'TRN-1', 'TRN-5'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  async run({ load, disable, park, switchCpu, observe }) {
    await load(lib);
    const sleeper = await park(lib.alpha);
    await switchCpu(1, false);
    await load(patch);
    await observe.settledThreads();
    await switchCpu(1, true);
    await observe.idleTasks(lib);
    await sleeper.witness();
    await switchCpu(1, false);
    await sleeper.release();
    await observe.transitionEnd(patch);
    await disable(patch);
    await observe.transitionEnd(patch);
    await observe.threads();
    await switchCpu(1, true);
    await observe.idleTasks(lib);
    await observe.call(lib.alpha);
  },
});

export const idleTasks = scenario({
  id: 'idle-tasks-switch',
  title: 'The idle tasks of all CPUs switch while a sleeper holds the transition, there and back',
  clauses: ['TRN-12', 'TRN-1', 'TRN-2', 'TRN-5'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  async run({ load, unload, enable, disable, park, model, observe }) {
    await load(lib);
    await observe.idleTasks(lib);
    const before = await park(lib.alpha);
    await load(patch);
    await observe.settledThreads();
    await observe.idleTasks(lib);
    await before.witness();
    await before.release();
    await observe.transitionEnd(patch);
    await observe.idleTasks(lib);

    const after = await park(lib.alpha);
    await disable(patch);
    await observe.settledThreads();
    await observe.idleTasks(lib);
    await after.witness();
    await after.release();
    await observe.transitionEnd(patch);
    await observe.idleTasks(lib);
    await observe.threads();

    // Held by nobody it ends within an instant, and the kernel warns of those that it has left behind.
    if (model.facts.capabilities.has('registration')) {
      await enable(patch);
    } else {
      await unload(patch);
      await load(patch);
    }
    await observe.transitionEnd(patch);
    await disable(patch);
    await observe.transitionEnd(patch);
  },
});

export const forkStorms = scenario({
  id: 'fork-storm-leaves-no-trace',
  title: 'Tasks that are born and end all through an enable, its reversal and a disable keep no state, and the kernel warns of nothing',
  clauses: ['TRN-16', 'TRN-1', 'TRN-2', 'TRN-5', 'TRN-6'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  splats: [warningUnderForks],
  async run({ load, unload, disable, park, storm, model, observe }) {
    await load(lib);
    const forks = await storm('forks');
    await forks.witness();
    const inOriginal = await park(lib.alpha);
    await load(patch);
    await observe.settledThreads();
    await forks.witness();
    await inOriginal.witness();
    await disable(patch);
    await observe.transitionEnd(patch);
    await observe.threads();
    await inOriginal.release();
    if (!model.facts.capabilities.has('registration')) await observe.departure(patch);
    await observe.references(patch);
    await unload(patch);

    await load(patch);
    await observe.transitionEnd(patch);
    await observe.threads();
    const inReplacement = await park(lib.alpha);
    await disable(patch);
    await observe.settledThreads();
    await forks.witness();
    await inReplacement.witness();
    await inReplacement.release();
    await observe.transitionEnd(patch);
    await observe.threads();
    await forks.release();
    await observe.threads();
  },
});

export const manyThreads = scenario({
  id: 'one-thread-of-many-holds',
  title: 'Of a process one thread is held and the others switch; so do 512 threads beside it; each thread has its file',
  clauses: ['TRN-3', 'TRN-1', 'TRN-2', 'TRN-5'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  async run({ load, disable, park, observe }) {
    await load(lib);
    const held = await park(lib.alpha, { threads: 5 });
    const others = [];
    for (let i = 0; i < 8; i++) others.push(await park(lib.beta, { threads: 63 }));
    await observe.threads();
    await observe.stateFiles(held.tid);
    await load(patch);
    await observe.settledThreads();
    await observe.stateFiles(held.tid);
    await held.witness();
    await held.release();
    await observe.transitionEnd(patch);
    await disable(patch);
    await observe.transitionEnd(patch);
    await observe.threads();
    for (const other of others) await other.release();
  },
});
