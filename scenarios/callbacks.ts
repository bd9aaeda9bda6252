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
    await disable(calling);
    await observe.transitionEnd(calling);
    await observe.departure(calling);
    await observe.callbacks();
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
  async run({ load, unload, observe }) {
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
