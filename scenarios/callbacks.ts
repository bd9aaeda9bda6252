// SPDX-License-Identifier: MIT
import { gateOf, livepatch, scenario, target } from '../harness/index.js';

const lib = target('klp_target');
const other = target('klp_other');
const callbacks = ['pre_patch', 'post_patch', 'pre_unpatch', 'post_unpatch'] as const;
const ofKernel = { name: 'vmlinux', functions: [{ name: 'cmdline_proc_show' }], callbacks };
const ofTarget = { name: 'klp_target', functions: [{ name: 'klp_target_alpha' }], callbacks };
const ofOther = { name: 'klp_other', functions: [{ name: 'klp_other_alpha' }], callbacks };

const calling = livepatch('klp_calling', [ofKernel, ofTarget, ofOther], { uses: [gateOf(lib)] });
const needs = ['livepatch', 'reliable-stacks', 'callbacks', 'replace'] as const;

export const callbacksInPairs = scenario({
  id: 'callbacks-run-in-pairs',
  title: 'Callbacks run for the objects that are loaded, in their order, before and after an enable, a disable, and as a module comes and goes',
  clauses: ['CBK-1', 'CBK-2', 'CBK-4'],
  needs,
  modules: [lib, other, calling],
  async run({ load, unload, disable, observe }) {
    await load(lib);
    await load(calling);
    await observe.transitionEnd(calling);
    await observe.callbacks();
    await load(other);
    await observe.callbacks();
    await observe.call(other.alpha);
    await unload(other);
    await observe.callbacks();
    await load(other);
    await disable(calling);
    await observe.transitionEnd(calling);
    await observe.departure(calling);
    await observe.callbacks();
  },
});

export const callbacksOfModulesThatGo = scenario({
  id: 'callbacks-of-modules-that-go',
  title: 'Of a module that goes after the enable the callbacks run then, and at the disable no more; of one that never came none run',
  clauses: ['CBK-1', 'CBK-2', 'CBK-4'],
  needs,
  modules: [lib, other, calling],
  async run({ load, unload, disable, observe }) {
    await load(other);
    await load(calling);
    await observe.transitionEnd(calling);
    await observe.callbacks();
    await unload(other);
    await observe.callbacks();
    await disable(calling);
    await observe.transitionEnd(calling);
    await observe.departure(calling);
    await observe.callbacks();
  },
});

export const callbacksInHeldEnable = scenario({
  id: 'callbacks-of-a-module-in-a-held-enable',
  title: 'A module that comes and goes while an enable is held has no callback that speaks of a finished enable; nor has the disable then',
  clauses: ['CBK-1', 'CBK-3', 'CBK-4', 'CHK-1', 'TRN-6'],
  needs,
  modules: [lib, other, calling],
  async run({ load, unload, disable, park, observe }) {
    await load(lib);
    const outside = await park(lib.alpha);
    await load(calling);
    await observe.settledThreads();
    await outside.witness();
    await load(other);
    await observe.callbacks();
    await unload(other);
    await observe.callbacks();
    await outside.witness();
    await disable(calling);
    await observe.transitionEnd(calling);
    await observe.departure(calling);
    await observe.callbacks();
    await outside.release();
  },
});

const callingToo = livepatch('klp_calling_too', [ofKernel, ofTarget]);

export const callbacksOfTwoPatches = scenario({
  id: 'callbacks-of-two-patches',
  title: 'Of two patches of the same functions each enable and each disable runs the callbacks of its own patch alone',
  clauses: ['CBK-1', 'CBK-2', 'ENA-12'],
  needs,
  modules: [lib, calling, callingToo],
  async run({ load, disable, observe }) {
    await load(lib);
    for (const patch of [calling, callingToo]) {
      await load(patch);
      await observe.transitionEnd(patch);
      await observe.callbacks();
      await observe.call(lib.alpha);
    }
    for (const patch of [callingToo, calling]) {
      await disable(patch);
      await observe.transitionEnd(patch);
      await observe.departure(patch);
      await observe.callbacks();
      await observe.call(lib.alpha);
    }
  },
});

export const callbacksOfReversals = scenario({
  id: 'callbacks-of-reversals',
  title: 'An enable that is reversed ends with post_unpatch alone, a disable that is reversed with post_patch; a module that comes meanwhile waits with its own',
  clauses: ['CBK-1', 'CBK-2', 'CBK-3', 'CBK-4', 'TRN-6'],
  needs,
  modules: [lib, other, calling],
  async run({ load, unload, enable, disable, park, observe }) {
    await load(lib);
    const outside = await park(lib.alpha);
    await load(calling);
    await observe.settledThreads();
    await observe.callbacks();
    await load(other);
    await observe.callbacks();
    await disable(calling);
    await observe.transitionEnd(calling);
    await observe.departure(calling);
    await observe.callbacks();
    await unload(calling);
    await outside.release();

    await load(calling);
    await observe.transitionEnd(calling);
    const inside = await park(lib.alpha);
    await disable(calling);
    await observe.settledThreads();
    await unload(other);
    await observe.callbacks();
    await enable(calling);
    await observe.transitionEnd(calling);
    await observe.callbacks();
    await inside.release();
  },
});

const failing = livepatch('klp_failing', [ofKernel, { ...ofTarget, failing: true }, ofOther]);

export const failingPrePatch = scenario({
  id: 'failing-pre-patch',
  title: 'A pre_patch that fails keeps its patch from being enabled, or the module that it is for from loading',
  clauses: ['CBK-5', 'CBK-1', 'ENA-12'],
  needs,
  modules: [lib, other, failing],
  async run({ load, unload, disable, observe }) {
    await load(lib);
    await load(other);
    await load(failing);
    await observe.callbacks();
    await observe.patches();
    await observe.call(lib.alpha);
    await unload(lib);
    await load(failing);
    await observe.transitionEnd(failing);
    await observe.callbacks();
    await load(lib);
    await observe.callbacks();
    await observe.call(other.alpha);
    await disable(failing);
    await observe.transitionEnd(failing);
    await observe.departure(failing);
    await observe.callbacks();
  },
});

const untraceable = livepatch('klp_untraceable', [ofKernel, { ...ofTarget, functions: [{ name: 'klp_target_quiet' }] }]);

export const callbacksOfRefusedObject = scenario({
  id: 'callbacks-of-a-refused-object',
  title: 'What runs for an object whose pre_patch has run and whose function ftrace then refuses',
  clauses: ['CBK-5', 'CBK-7', 'FTR-1'],
  needs,
  modules: [lib, untraceable],
  async run({ load, unload, observe }) {
    await load(lib);
    await load(untraceable);
    await observe.callbacks();
    await unload(lib);
    await load(untraceable);
    await observe.transitionEnd(untraceable);
    await observe.callbacks();
    await load(lib);
    await observe.callbacks();
  },
});

const replacing = livepatch('klp_replacing', [ofTarget], { replace: true });

export const callbacksOfReplace = scenario({
  id: 'callbacks-of-a-replace',
  title: 'Of a patch that replaces another only its own callbacks run',
  clauses: ['CBK-1', 'CBK-6', 'REP-2'],
  needs,
  modules: [lib, calling, replacing],
  async run({ load, disable, observe }) {
    await load(lib);
    await load(calling);
    await observe.transitionEnd(calling);
    await observe.callbacks();
    await load(replacing);
    await observe.transitionEnd(replacing);
    await observe.departure(calling);
    await observe.callbacks();
    await disable(replacing);
    await observe.transitionEnd(replacing);
    await observe.departure(replacing);
    await observe.callbacks();
  },
});
