// SPDX-License-Identifier: MIT
import { livepatch, scenario, target } from '../harness/index.js';

/*
 * The flags that go around the consistency model, 4.12 to 4.15.
 */

const lib = target('klp_target');
const atOnce = livepatch('klp_at_once', { klp_target: ['klp_target_alpha'] }, { immediate: true });

export const immediatePatch = scenario({
  id: 'immediate-patch',
  title: 'An immediate patch is enabled at once, although a task sleeps in the function that it replaces',
  clauses: ['IMM-1', 'ENA-12', 'TRN-2'],
  needs: ['livepatch', 'immediate'],
  modules: [lib, atOnce],
  async run({ load, park, observe }) {
    await load(lib);
    const sleeper = await park(lib.alpha);
    await load(atOnce);
    await observe.threads();
    await observe.sysfs(atOnce);
    await observe.call(lib.alpha);
    await sleeper.call(lib.alpha);
    await sleeper.witness();
    await sleeper.release();
  },
});

export const immediateCycles = scenario({
  id: 'immediate-patch-stays',
  title: 'An immediate patch can be disabled, but its module stays for good, with one more reference after each cycle',
  clauses: ['IMM-1', 'IMM-2', 'IMM-3', 'DIS-4', 'DIS-5', 'ENA-13'],
  needs: ['livepatch', 'immediate', 'registration'],
  modules: [lib, atOnce],
  async run({ load, unload, enable, disable, observe }) {
    await load(lib);
    await load(atOnce);
    await observe.references(atOnce);
    await unload(atOnce);
    for (let cycle = 0; cycle < 3; cycle++) {
      await disable(atOnce);
      await observe.threads();
      await observe.call(lib.alpha);
      await observe.ftrace(lib.alpha);
      await observe.references(atOnce);
      await unload(atOnce);
      await enable(atOnce);
      await observe.call(lib.alpha);
    }
  },
});

const halfImmediate = livepatch('klp_half_immediate', {
  klp_target: [{ name: 'klp_target_alpha', immediate: true }, 'klp_target_beta'],
});

export const immediateFunction = scenario({
  id: 'immediate-function',
  title: 'An immediate function follows the state of the task that calls it, and only its own sleepers are left out of the stack check',
  clauses: ['IMM-4', 'IMM-5', 'CHK-1', 'TRN-5', 'DIS-4'],
  needs: ['livepatch', 'immediate', 'registration', 'reliable-stacks'],
  modules: [lib, halfImmediate],
  async run({ load, unload, disable, park, observe }) {
    await load(lib);
    const inBeta = await park(lib.beta);
    const inAlpha = await park(lib.alpha);
    await load(halfImmediate);
    await observe.settledThreads();
    await inBeta.witness();
    await observe.call(lib.alpha);
    await inAlpha.call(lib.alpha);
    await inBeta.call(lib.alpha);
    await inBeta.release();
    await inAlpha.release();
    await observe.transitionEnd(halfImmediate);
    await observe.call(lib.alpha);

    await disable(halfImmediate);
    await observe.transitionEnd(halfImmediate);
    await observe.call(lib.alpha);
    await observe.references(halfImmediate);
    await unload(halfImmediate);
  },
});

const untraced = { klp_target: ['klp_target_alpha', 'klp_target_quiet'] };
const refusedAtOnce = livepatch('klp_refused_at_once', untraced, { immediate: true, driven: true });

export const refusedImmediate = scenario({
  id: 'refused-immediate-patch',
  title: 'The enable of an immediate patch fails, and the reference that it took is never given back',
  clauses: ['IMM-6', 'FTR-1', 'ENA-10'],
  needs: ['livepatch', 'immediate', 'registration'],
  modules: [lib, refusedAtOnce],
  async run({ load, unload, api, observe }) {
    await load(lib);
    await load(refusedAtOnce);
    await api.register(refusedAtOnce);
    await observe.references(refusedAtOnce);
    await api.enable(refusedAtOnce);
    await observe.sysfs(refusedAtOnce);
    await observe.references(refusedAtOnce);
    await observe.call(lib.alpha);
    await api.unregister(refusedAtOnce);
    await unload(refusedAtOnce);
  },
});
