// SPDX-License-Identifier: MIT
import { type Scenario, gateOf, livepatch, scenario, target, vmlinux } from '../harness/index.js';

/* What the stack check finds on a stack, and what it says of it. */

const lib = target('klp_target');
const other = target('klp_other');
const alpha = livepatch('klp_alpha', { klp_target: ['klp_target_alpha'] }, { uses: [gateOf(lib)] });
const again = livepatch('klp_again', { klp_target: ['klp_target_alpha'] }, { uses: [gateOf(lib)] });
const pair = livepatch('klp_pair', { klp_target: ['klp_target_alpha', 'klp_target_beta'] }, { uses: [gateOf(lib)] });

export const reasonsAreLogged = scenario({
  id: 'reasons-of-held-transition',
  title: 'The kernel says of each task that holds a transition which function it sleeps in, by its own name, and of no other task anything',
  clauses: ['CHK-7', 'CHK-1', 'CHK-3', 'TRN-5', 'TRN-7'],
  needs: ['livepatch', 'reliable-stacks', 'dynamic-debug'],
  modules: [lib, other, pair],
  async run({ load, disable, park, observe }) {
    await load(lib);
    await load(other);
    const elsewhere = await park(other.alpha);
    const inAlpha = await park(lib.alpha);
    const kernelThread = await park(lib.beta, { by: 'kernel' });
    await load(pair);
    await observe.settledThreads();
    await observe.reasons();
    await inAlpha.witness();
    await inAlpha.release();
    await observe.settledThreads();
    await observe.reasons();
    await kernelThread.release();
    await observe.transitionEnd(pair);

    const inReplacement = await park(lib.beta);
    await disable(pair);
    await observe.settledThreads();
    await observe.reasons();
    await inReplacement.witness();
    await elsewhere.witness();
    await inReplacement.release();
    await observe.transitionEnd(pair);
    await elsewhere.release();
  },
});

export const runningIsNotLookedAt = scenario({
  id: 'running-task-is-not-looked-at',
  title: 'Tasks that run in the patched function, one on each CPU, are not switched by the stack check, which says so; they switch once they have left',
  clauses: ['CHK-6', 'CHK-1', 'CHK-3', 'TRN-5'],
  needs: ['livepatch', 'reliable-stacks', 'dynamic-debug'],
  modules: [lib, alpha],
  async run({ load, disable, park, observe }) {
    await load(lib);
    const before = [await park(lib.alpha, { activity: 'running' }), await park(lib.alpha, { activity: 'running' })];
    await load(alpha);
    await observe.settledThreads();
    await observe.reasons();
    for (const one of before) await one.witness();
    for (const one of before) await one.release();
    await observe.transitionEnd(alpha);

    const after = [await park(lib.alpha, { activity: 'running' }), await park(lib.alpha, { activity: 'running' })];
    await disable(alpha);
    await observe.settledThreads();
    await observe.reasons();
    for (const one of after) await one.witness();
    for (const one of after) await one.release();
    await observe.transitionEnd(alpha);
    await observe.call(lib.alpha);
  },
});

export const deepBelow = scenario({
  id: 'deep-below-the-patched-function',
  title: 'Tasks 3, 10 and 60 frames below the patched function, or its replacement, hold the transition like one that sleeps right in it',
  clauses: ['CHK-4', 'CHK-7', 'CHK-1', 'CHK-3', 'TRN-5'],
  needs: ['livepatch', 'reliable-stacks', 'dynamic-debug'],
  modules: [lib, alpha],
  async run({ load, disable, park, observe }) {
    await load(lib);
    const near = await park(lib.alpha, { depth: 3 });
    const far = await park(lib.alpha, { depth: 60 });
    await load(alpha);
    await observe.settledThreads();
    await observe.reasons();
    await near.release();
    await observe.transitionEnd(alpha);
    await far.witness();
    await far.release();
    await observe.transitionEnd(alpha);

    const below = await park(lib.alpha, { by: 'kernel', depth: 10 });
    await disable(alpha);
    await observe.settledThreads();
    await observe.reasons();
    await below.witness();
    await below.release();
    await observe.transitionEnd(alpha);
    await observe.call(lib.alpha);
  },
});

export const tooDeep = scenario({
  id: 'stack-that-is-too-deep',
  title: 'A task with more than 100 frames holds a transition that it has nothing to do with, as nobody can tell what is on its stack',
  clauses: ['CHK-5', 'TRN-5', 'TRN-7'],
  needs: ['livepatch', 'reliable-stacks', 'dynamic-debug'],
  modules: [lib, alpha],
  async run({ load, disable, park, observe }) {
    await load(lib);
    const deep = await park(lib.beta, { depth: 120 });
    const shallow = await park(lib.beta, { depth: 60 });
    await load(alpha);
    await observe.settledThreads();
    await observe.reasons();
    await observe.transitionEnd(alpha);
    await deep.witness();
    await deep.release();
    await observe.transitionEnd(alpha);

    const deepAgain = await park(lib.beta, { depth: 120, by: 'kernel' });
    await disable(alpha);
    await observe.settledThreads();
    await observe.reasons();
    await deepAgain.witness();
    await deepAgain.release();
    await observe.transitionEnd(alpha);
    await shallow.release();
  },
});

export const tooDeepReversed = scenario({
  id: 'stack-that-is-too-deep-in-a-reversal',
  title: 'A task that holds a transition with a stack that is too deep does not hold it any more when it is turned round',
  clauses: ['CHK-5', 'TRN-6', 'TRN-5'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, alpha],
  async run({ load, disable, park, observe }) {
    await load(lib);
    const deep = await park(lib.beta, { depth: 120 });
    await load(alpha);
    await observe.settledThreads();
    await deep.witness();
    await disable(alpha);
    await observe.transitionEnd(alpha);
    await observe.threads();
    await deep.release();
    await observe.call(lib.alpha);
  },
});

export const graphTracedCallee = scenario({
  id: 'graph-tracer-on-callee',
  title: 'A task whose patched function called one that the graph tracer follows holds the transition: its return address is found again',
  clauses: ['CHK-4', 'CHK-1', 'CHK-3', 'TRN-5'],
  needs: ['livepatch', 'reliable-stacks', 'graph-tracer', 'dynamic-debug'],
  modules: [lib, alpha],
  async run({ load, disable, park, trace, untrace, observe }) {
    await load(lib);
    await trace('function_graph', gateOf(lib));
    const before = await park(lib.alpha);
    const elsewhere = await park(lib.beta);
    await load(alpha);
    await observe.settledThreads();
    await observe.reasons();
    await before.witness();
    await before.release();
    await observe.transitionEnd(alpha);

    const after = await park(lib.alpha);
    await disable(alpha);
    await observe.settledThreads();
    await observe.reasons();
    await after.witness();
    await after.release();
    await observe.transitionEnd(alpha);
    await elsewhere.release();
    await untrace();
  },
});

/** What the kernel was interrupted by stands on a task's stack: a stack check goes on behind it, or finds the stack unreliable. */
function exceptionBelow(activity: 'faulting' | 'preempted', id: string, title: string): Scenario {
  return scenario({
    id,
    title: `${title}, below the patched function, is not switched; where the stack is unreliable then, neither is one outside`,
    clauses: [{ clause: 'CHK-4', needs: 'unwinds-exceptions' }, 'TRN-5'],
    needs: ['livepatch', 'reliable-stacks', 'dynamic-debug', ...(activity === 'preempted' ? (['preempts-kernel'] as const) : [])],
    modules: [lib, alpha],
    async run({ load, disable, park, spin, observe }) {
      await load(lib);
      const computing = activity === 'preempted' ? await spin() : undefined;
      const inside = await park(lib.alpha, { activity });
      const outside = await park(lib.beta, { activity, depth: 3 });
      await load(alpha);
      await observe.settledThreads();
      await observe.reasons();
      await inside.witness();
      await inside.call(lib.alpha);
      await outside.witness();
      await inside.release();
      await observe.settledThreads();
      await observe.transitionEnd(alpha);
      await outside.release();
      await observe.transitionEnd(alpha);

      const after = await park(lib.alpha, { activity });
      await disable(alpha);
      await observe.settledThreads();
      await observe.reasons();
      await after.witness();
      await after.release();
      await observe.transitionEnd(alpha);
      await computing?.release();
      await observe.call(lib.alpha);
    },
  });
}

export const faultInside = exceptionBelow(
  'faulting',
  'page-fault-below-the-patched-function',
  'A task that waits in a page fault of the kernel',
);

export const preemptedInside = exceptionBelow(
  'preempted',
  'preempted-below-the-patched-function',
  'A task that an interrupt took the CPU from',
);

const both = livepatch(
  'klp_both',
  { klp_target: ['klp_target_alpha'], klp_other: ['klp_other_alpha'] },
  { uses: [gateOf(lib), gateOf(other)] },
);

export const probedCallee = scenario({
  id: 'kretprobe-on-callee',
  title: 'A task whose patched function called one that a kretprobe waits in is found, or not switched as unreliable; 4.14 misses it',
  clauses: ['CHK-4', 'CHK-1', 'CHK-3'],
  needs: ['livepatch', 'reliable-stacks', 'kprobes', 'dynamic-debug'],
  modules: [lib, other, both],
  async run({ load, disable, park, probe, observe }) {
    await load(lib);
    await load(other);
    await probe(gateOf(lib), { place: 'return' });
    const probed = await park(lib.alpha);
    const probedElsewhere = await park(lib.beta);
    const holding = await park(other.alpha);
    await load(both);
    await observe.settledThreads();
    await observe.reasons();
    await probed.witness();
    await probedElsewhere.witness();
    await holding.witness();
    await probed.release();
    await probedElsewhere.release();
    await holding.release();
    await observe.transitionEnd(both);

    const probedAfter = await park(lib.alpha);
    const holdingAfter = await park(other.alpha);
    await disable(both);
    await observe.settledThreads();
    await observe.reasons();
    await probedAfter.witness();
    await probedAfter.release();
    await holdingAfter.release();
    await observe.transitionEnd(both);
    await observe.call(lib.alpha);
  },
});

export const underReplacement = scenario({
  id: 'sleeper-under-replacement',
  title: 'A task asleep in the replacement of one patch holds the enable of another one above it, under the name of the original',
  clauses: ['CHK-2', 'CHK-3', 'CHK-7', 'TRN-5', 'ENA-12', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks', 'dynamic-debug'],
  modules: [lib, alpha, again],
  async run({ load, disable, park, observe }) {
    await load(lib);
    await load(alpha);
    await observe.transitionEnd(alpha);
    const inReplacement = await park(lib.alpha);
    await load(again);
    await observe.settledThreads();
    await observe.reasons();
    await inReplacement.witness();
    await inReplacement.call(lib.alpha);
    await observe.call(lib.alpha);
    await inReplacement.release();
    await observe.transitionEnd(again);

    const inNewest = await park(lib.alpha);
    await disable(again);
    await observe.settledThreads();
    await observe.reasons();
    await inNewest.call(lib.alpha);
    await inNewest.release();
    await observe.transitionEnd(again);
    await observe.call(lib.alpha);
  },
});

const several = livepatch(
  'klp_several',
  { [vmlinux]: ['cmdline_proc_show'], klp_target: ['klp_target_alpha'], klp_other: ['klp_other_beta'] },
  { uses: [gateOf(lib), gateOf(other)] },
);

export const severalObjects = scenario({
  id: 'sleepers-in-several-objects',
  title: 'A transition is held by sleepers in the functions of every loaded object of its patch, and goes on when the last has left',
  clauses: ['CHK-8', 'CHK-1', 'CHK-7', 'TRN-5', 'TRN-7'],
  needs: ['livepatch', 'reliable-stacks', 'dynamic-debug'],
  modules: [lib, other, several],
  async run({ load, park, observe }) {
    await load(lib);
    await load(other);
    const first = await park(lib.alpha);
    const second = await park(other.beta, { by: 'kernel' });
    const beside = await park(other.alpha);
    await load(several);
    await observe.settledThreads();
    await observe.reasons();
    await first.release();
    await observe.settledThreads();
    await observe.transitionEnd(several);
    await second.witness();
    await second.release();
    await observe.transitionEnd(several);
    await observe.call(other.beta);
    await beside.release();
  },
});

const opening = livepatch('klp_opening', { [vmlinux]: ['fifo_open'], klp_target: ['klp_target_alpha'] }, { uses: [gateOf(lib)] });

export const kernelItself = scenario({
  id: 'sleeper-in-the-kernel-itself',
  title: 'A task asleep in a patched function of the kernel itself holds the transition, beside one in a function of a module',
  clauses: ['CHK-1', 'CHK-7', 'CHK-8', 'TRN-5', 'TRN-7'],
  needs: ['livepatch', 'reliable-stacks', 'dynamic-debug'],
  modules: [lib, opening],
  async run({ load, disable, park, openFifo, observe }) {
    await load(lib);
    const inKernel = await openFifo();
    const inModule = await park(lib.alpha);
    await load(opening);
    await observe.settledThreads();
    await observe.reasons();
    await inModule.release();
    await observe.transitionEnd(opening);
    await inKernel.witness();
    await inKernel.release();
    await observe.transitionEnd(opening);
    await observe.call(lib.alpha);
    await disable(opening);
    await observe.transitionEnd(opening);
  },
});

const partly = livepatch('klp_partly', { klp_target: ['klp_target_alpha'], klp_other: ['klp_common', 'klp_other_alpha'] });

export const unloadedObject = scenario({
  id: 'object-that-is-not-loaded-holds-nothing',
  title: 'A patch one of whose objects is not loaded is enabled and disabled as though it did not have it, a sleeper elsewhere or not',
  clauses: ['CHK-9', 'TRN-5', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, partly],
  async run({ load, disable, park, observe }) {
    await load(lib);
    const beside = await park(lib.beta, { depth: 3 });
    const inside = await park(lib.alpha);
    await load(partly);
    await observe.settledThreads();
    await inside.release();
    await observe.transitionEnd(partly);
    await observe.threads();
    await beside.witness();
    await disable(partly);
    await observe.transitionEnd(partly);
    await beside.release();
    await observe.call(lib.alpha);
  },
});
