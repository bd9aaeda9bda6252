// SPDX-License-Identifier: MIT
import { livepatch, scenario, target } from '../harness/index.js';

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
  title: 'A task asleep deep below a function that is not patched holds nothing',
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
