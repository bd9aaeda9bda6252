// SPDX-License-Identifier: MIT
import { type LivepatchDescription, type Passers, type ScenarioContext, gateOf, livepatch, scenario, target, vmlinux } from '../harness/index.js';

/* All or nothing: tasks that call two patched functions in one system call, while a transition is held. */

const lib = target('klp_target');
const other = target('klp_other');
const uses = [gateOf(lib)];

const pair = livepatch('klp_pair', { klp_target: ['klp_target_alpha', 'klp_target_beta'] }, { uses });

export const passesInEnable = scenario({
  id: 'passes-through-one-patch',
  title: 'Two functions of one patch are both old or both new in every system call, during an enable that is held and turned round twice',
  clauses: ['ENA-14', 'TRN-1', 'TRN-5', 'TRN-6', 'CHK-1', 'CHK-3'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, pair],
  async run({ load, enable, disable, park, passes, observe }) {
    await load(lib);
    const passers = await passes(lib.alpha, lib.beta);
    await passers.look({ atLeast: 1000 });
    const inOld = await park(lib.alpha);
    await load(pair);
    await observe.settledThreads();
    await inOld.witness();
    await passers.look({ callers: [inOld] });

    // One in the new code holds the way back, the one in the old code the way there.
    const inNew = await park(lib.alpha);
    await disable(pair);
    await observe.settledThreads();
    await inNew.witness();
    await passers.look({ callers: [inOld, inNew] });
    await enable(pair);
    await observe.settledThreads();
    await inOld.witness();
    await passers.look({ callers: [inOld, inNew] });
    await inOld.release();
    await observe.transitionEnd(pair);
    await passers.look({ atLeast: 1000, callers: [inNew] });
    await inNew.release();
    await passers.release();
  },
});

export const passesInDisable = scenario({
  id: 'passes-through-one-patch-being-disabled',
  title: 'Two functions of one patch are both old or both new in every system call, during a disable that is held and turned round',
  clauses: ['ENA-14', 'TRN-1', 'TRN-5', 'TRN-6', 'CHK-1', 'CHK-3', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, pair],
  async run({ load, enable, disable, park, passes, observe }) {
    await load(lib);
    await load(pair);
    await observe.transitionEnd(pair);
    const passers = await passes(lib.alpha, lib.beta);
    const inNew = await park(lib.alpha);
    await disable(pair);
    await observe.settledThreads();
    await inNew.witness();
    await passers.look({ callers: [inNew] });
    const inOld = await park(lib.alpha);
    await enable(pair);
    await observe.settledThreads();
    await inOld.witness();
    await passers.look({ callers: [inNew, inOld] });
    await inOld.release();
    await observe.transitionEnd(pair);
    await inNew.release();
    await disable(pair);
    await observe.transitionEnd(pair);
    await passers.look({ atLeast: 1000 });
    await passers.release();
  },
});

const outer = livepatch('klp_outer', { klp_target: ['klp_target_alpha'] }, { uses });
const inner = livepatch('klp_inner', { klp_target: ['klp_target_beta'] }, { uses });

export const passesOfTwoPatches = scenario({
  id: 'passes-through-two-patches',
  title: 'The control: of two functions with a patch each, the one that is in transition is seen old beside the other that is new',
  clauses: ['ENA-14', 'CHK-1', 'TRN-5'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, outer, inner],
  async run({ load, park, passes, observe }) {
    await load(lib);
    await load(outer);
    await observe.transitionEnd(outer);
    const sleeper = await park(lib.beta);
    const passers = await passes(lib.alpha, lib.beta);
    await load(inner);
    await observe.settledThreads();
    await sleeper.witness();
    await passers.look({ callers: [sleeper], mixed: true });
    await sleeper.release();
    await observe.transitionEnd(inner);
    await passers.look({ atLeast: 1000 });
    await passers.release();
  },
});

/** Of each of the three stages, so that there are more than 10,000 of them while one task or another holds the transition. */
const atLeast = 4000;

/** A held enable, its reversal, and a held disable, of a patch of alpha and of what passes call from within it. */
async function heldBothWays({ load, disable, enable, park, observe }: ScenarioContext, patch: LivepatchDescription, passers: Passers): Promise<void> {
  const inOld = await park(lib.alpha);
  await load(patch);
  await observe.settledThreads();
  await inOld.witness();
  const inNew = await park(lib.alpha);
  await passers.look({ atLeast, callers: [inOld, inNew] });
  await disable(patch);
  await observe.settledThreads();
  await inNew.witness();
  await passers.look({ atLeast, callers: [inOld, inNew] });
  await enable(patch);
  await inOld.release();
  await observe.transitionEnd(patch);
  await passers.look({ atLeast: 1000, callers: [inNew] });
  await disable(patch);
  await observe.settledThreads();
  await inNew.witness();
  await passers.look({ atLeast, callers: [inNew] });
  await inNew.release();
  await observe.transitionEnd(patch);
  await passers.release();
}

const twoModules = livepatch('klp_modules', { klp_target: ['klp_target_alpha'], klp_other: ['klp_other_beta'] }, { uses });

export const passesAcrossModules = scenario({
  id: 'passes-through-two-modules',
  title: 'Functions of two modules that one patch replaces are both old or both new in every system call',
  clauses: ['ENA-14', 'TRN-6', 'CHK-1', 'CHK-3', 'TRN-5', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, other, twoModules],
  async run(context) {
    await context.load(lib);
    await context.load(other);
    await heldBothWays(context, twoModules, await context.passes(lib.alpha, other.beta));
  },
});

const withKernel = livepatch('klp_kernel', { vmlinux: ['cmdline_proc_show'], klp_target: ['klp_target_alpha'] }, { uses });

export const passesAcrossKernel = scenario({
  id: 'passes-through-module-and-kernel',
  title: 'A function of a module and one of vmlinux that one patch replaces are both old or both new in every system call',
  clauses: ['ENA-14', 'TRN-6', 'CHK-1', 'CHK-3', 'TRN-5', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, withKernel],
  async run(context) {
    await context.load(lib);
    await heldBothWays(context, withKernel, await context.passes(lib.alpha, { object: vmlinux, name: 'cmdline_proc_show' }));
  },
});
