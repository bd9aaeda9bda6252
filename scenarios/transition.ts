// SPDX-License-Identifier: MIT
import { gateOf, livepatch, scenario, target } from '../harness/index.js';

const lib = target('klp_target');
const patch = livepatch('klp_alpha', { klp_target: ['klp_target_alpha'] });

export const sleeperHolds = scenario({
  id: 'sleeper-holds-transition',
  title: 'A task asleep in the patched function holds the transition, alone, until it leaves',
  clauses: ['TRN-1', 'TRN-2', 'TRN-5', 'TRN-7', 'CHK-1', 'ENA-2'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  async run({ load, park, observe }) {
    await load(lib);
    await observe.threads();
    const sleeper = await park(lib.alpha);
    await load(patch);
    await observe.threads();
    await observe.settledThreads();
    await sleeper.witness();
    await observe.transitionEnd(patch);
    await observe.sysfs(patch);
    await observe.settledThreads();
    await observe.call(lib.alpha);
    await sleeper.witness();

    await sleeper.release();
    await observe.transitionEnd(patch);
    await observe.threads();
    await observe.call(lib.alpha);
  },
});

export const deepSleeper = scenario({
  id: 'sleeper-in-neighbour-does-not-hold',
  title: 'A task asleep deep below a function that is not patched, and lies next to the patched one in memory, holds nothing',
  clauses: ['TRN-2', 'TRN-5'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  async run({ load, park, observe }) {
    await load(lib);
    const sleeper = await park(lib.beta, { depth: 3 });
    await load(patch);
    await observe.transitionEnd(patch);
    await observe.threads();
    await observe.call(lib.alpha);
    await sleeper.release();
  },
});

export const reversedTransition = scenario({
  id: 'reversal-during-transition',
  title: 'Writing the opposite value turns a held transition round, and it completes backwards',
  clauses: ['TRN-6', 'TRN-1', 'TRN-2', 'TRN-5', 'ENA-3', 'CHK-1'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  async run({ load, disable, park, observe }) {
    await load(lib);
    const sleeper = await park(lib.alpha);
    await load(patch);
    await observe.settledThreads();
    await sleeper.witness();
    await observe.sysfs(patch);

    await disable(patch);
    await observe.sysfs(patch);
    await observe.transitionEnd(patch);
    await observe.threads();
    await observe.call(lib.alpha);
    await sleeper.release();
  },
});

const pair = livepatch(
  'klp_pair',
  { klp_target: ['klp_target_alpha', 'klp_target_beta'] },
  { uses: [gateOf(lib)] },
);

export const oneSide = scenario({
  id: 'one-side-for-each-task',
  title: 'A task that is inside one of two patched functions sees the old one of the other, too, and every other task both new ones',
  clauses: ['ENA-14', 'CHK-1', 'CHK-3', 'TRN-5', 'ENA-12', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, pair],
  async run({ load, disable, park, observe }) {
    await load(lib);
    const inOriginal = await park(lib.alpha);
    await load(pair);
    await observe.settledThreads();
    await inOriginal.witness();
    await inOriginal.call(lib.beta);
    await observe.call(lib.alpha);
    await observe.call(lib.beta);
    await inOriginal.release();
    await observe.transitionEnd(pair);
    await observe.call(lib.beta);

    const inReplacement = await park(lib.alpha);
    await disable(pair);
    await observe.settledThreads();
    await inReplacement.witness();
    await inReplacement.call(lib.beta);
    await observe.call(lib.alpha);
    await observe.call(lib.beta);
    await inReplacement.release();
    await observe.transitionEnd(pair);
    await observe.call(lib.beta);
  },
});

const plain = livepatch('klp_unreliable', { vmlinux: ['cmdline_proc_show'] });

export const withoutReliableStacks = scenario({
  id: 'transition-without-reliable-stacks',
  title: 'Without reliable stack traces a patch is taken with a warning; kernel threads never switch, and the transition can only be turned round',
  clauses: ['REG-5', 'TRN-1', 'TRN-7', 'TRN-6', 'DIS-4'],
  needs: ['livepatch', 'no-reliable-stacks', 'replace'],
  modules: [plain],
  async run({ load, disable, observe }) {
    await load(plain);
    await observe.settledThreads();
    await observe.transitionEnd(plain);
    await observe.sysfs(plain);
    await observe.call({ object: 'vmlinux', name: 'cmdline_proc_show' });
    await disable(plain);
    await observe.transitionEnd(plain);
    await observe.threads();
    await observe.call({ object: 'vmlinux', name: 'cmdline_proc_show' });
  },
});
