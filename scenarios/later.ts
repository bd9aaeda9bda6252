// SPDX-License-Identifier: MIT
import { gateOf, livepatch, scenario, target, vmlinux } from '../harness/index.js';

/* What livepatch learned after 4.14: atomic replace, force and system states. */

const lib = target('klp_target');
const other = target('klp_other');
const cmdline = { object: vmlinux, name: 'cmdline_proc_show' };

const first = livepatch('klp_first', { klp_target: ['klp_target_alpha', 'klp_target_beta'] });
const second = livepatch('klp_second', { klp_target: ['klp_target_beta'], vmlinux: ['cmdline_proc_show'] });
const cumulative = livepatch('klp_cumulative', { klp_target: ['klp_target_alpha'] }, { replace: true });

export const atomicReplace = scenario({
  id: 'two-patches-replaced-by-one',
  title: 'A patch that replaces takes the place of two: what it does not have is original again, and they leave the kernel',
  clauses: ['REP-1', 'REP-2', { clause: 'REP-5', needs: 'sysfs-replace' }, 'ENA-12', 'DIS-5'],
  needs: ['livepatch', 'reliable-stacks', 'replace'],
  modules: [lib, first, second, cumulative],
  async run({ load, unload, disable, observe }) {
    await load(lib);
    for (const patch of [first, second]) {
      await load(patch);
      await observe.transitionEnd(patch);
    }
    await observe.sysfs(second);
    await load(cumulative);
    await observe.transitionEnd(cumulative);
    for (const f of [lib.alpha, lib.beta, cmdline]) await observe.call(f);
    for (const patch of [first, second]) {
      await observe.departure(patch);
      await observe.references(patch);
      await unload(patch);
    }
    await observe.patches();
    await observe.sysfs(cumulative);
    await observe.ftrace(lib.alpha);
    await observe.ftrace(lib.beta);

    await load(first);
    await observe.transitionEnd(first);
    await observe.call(lib.beta);
    await disable(cumulative);
    await observe.transitionEnd(cumulative);
    await observe.call(lib.alpha);
  },
});

const older = livepatch('klp_older', { klp_target: ['klp_target_alpha', 'klp_target_beta'] }, { uses: [gateOf(lib)] });

export const replaceReversed = scenario({
  id: 'replace-held-and-reversed',
  title: 'A sleeper in a function that only the older patch has holds the replace; a reversal leaves the older patch as it was',
  clauses: ['REP-1', 'REP-2', 'REP-3', 'REP-4', 'TRN-6', 'ENA-14'],
  needs: ['livepatch', 'reliable-stacks', 'replace'],
  modules: [lib, older, cumulative],
  async run({ load, unload, disable, park, observe }) {
    await load(lib);
    await load(older);
    await observe.transitionEnd(older);
    const sleeper = await park(lib.beta);
    await load(cumulative);
    await observe.settledThreads();
    await observe.transitionEnd(cumulative);
    await sleeper.witness();
    await observe.sysfs(cumulative);
    await observe.sysfs(older);
    for (const f of [lib.alpha, lib.beta]) {
      await observe.call(f);
      await sleeper.call(f);
    }

    const passed = await park(lib.beta);
    await disable(cumulative);
    await observe.settledThreads();
    await passed.release();
    await observe.transitionEnd(cumulative);
    await observe.departure(cumulative);
    for (const f of [lib.alpha, lib.beta]) await observe.call(f);
    await observe.sysfs(older);
    await observe.references(older);
    await unload(cumulative);

    await load(cumulative);
    await sleeper.release();
    await observe.transitionEnd(cumulative);
    await observe.departure(older);
    for (const f of [lib.alpha, lib.beta]) await observe.call(f);
    await unload(older);
  },
});

const halfway = livepatch('klp_halfway', { klp_target: ['klp_target_beta', 'klp_target_quiet'] }, { replace: true });

export const replaceRefused = scenario({
  id: 'replace-refused-half-way',
  title: 'A patch that replaces, but has a function ftrace cannot attach to, leaves the older patch as it was',
  clauses: ['FTR-1', 'ENA-10', 'ENA-12', 'ENA-9', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks', 'replace'],
  modules: [lib, first, halfway],
  async run({ load, disable, observe }) {
    await load(lib);
    await load(first);
    await observe.transitionEnd(first);
    await load(halfway);
    await observe.patches();
    for (const f of [lib.alpha, lib.beta]) await observe.call(f);
    await observe.threads();
    await observe.sysfs(first);
    await observe.references(first);
    await disable(first);
    await observe.transitionEnd(first);
    await observe.call(lib.beta);
  },
});

const both = livepatch('klp_both', { klp_target: ['klp_target_alpha'], klp_other: ['klp_other_alpha'] }, { uses: [gateOf(lib)] });

export const moduleDuringReplace = scenario({
  id: 'module-comes-during-replace',
  title: 'A module that only the older patch names comes while that is being replaced: who has switched gets the original, who has not the older patch',
  clauses: ['REP-1', 'REP-2', 'MOD-6', 'MOD-4'],
  needs: ['livepatch', 'reliable-stacks', 'replace'],
  modules: [lib, other, both, cumulative],
  async run({ load, unload, park, observe }) {
    await load(lib);
    await load(both);
    await observe.transitionEnd(both);
    const sleeper = await park(lib.alpha);
    await load(cumulative);
    await observe.settledThreads();
    await load(other);
    await observe.sysfs(cumulative);
    await observe.call(other.alpha);
    await sleeper.call(other.alpha);
    await unload(other);
    await load(other);
    await sleeper.release();
    await observe.transitionEnd(cumulative);
    await observe.call(other.alpha);
    await observe.departure(both);
    await unload(other);
  },
});

const twins = (sympos?: number): { klp_target: { name: string; sympos?: number }[] } => ({ klp_target: [{ name: 'klp_target_twin', ...(sympos === undefined ? {} : { sympos }) }] });
const alphaOnly = (sympos: number): { name: string; sympos: number } => ({ name: 'klp_target_alpha', sympos });
const stack = [
  livepatch('klp_one', { klp_target: [alphaOnly(0), 'klp_target_beta'] }),
  livepatch('klp_two', { klp_target: [alphaOnly(1)], klp_other: ['klp_other_alpha'] }),
  livepatch('klp_three', { vmlinux: ['cmdline_proc_show'], klp_target: ['klp_target_beta'] }),
  livepatch('klp_four', twins(1)),
  livepatch('klp_five', { ...twins(2), klp_other: ['klp_other_alpha', 'klp_other_beta'] }),
] as const;
const instead = livepatch('klp_instead', { klp_target: [alphaOnly(1), { name: 'klp_target_twin', sympos: 2 }], klp_other: ['klp_other_beta'] }, { replace: true });
const insteadAgain = livepatch('klp_instead_again', { klp_target: [alphaOnly(0)] }, { replace: true });

export const fiveReplaced = scenario({
  id: 'five-patches-replaced-by-one',
  title: 'A patch takes the place of five, some of whose functions it names by another position, for an object that is not there; another takes its place',
  clauses: ['REP-1', 'REP-2', 'ENA-12', 'MOD-1', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks', 'replace'],
  modules: [lib, other, ...stack, instead, insteadAgain],
  async run({ load, unload, disable, observe }) {
    const functions = [lib.alpha, lib.beta, lib.twin1, lib.twin2, cmdline];
    await load(lib);
    for (const patch of stack) {
      await load(patch);
      await observe.transitionEnd(patch);
    }
    for (const f of functions) await observe.call(f);
    await load(instead);
    await observe.transitionEnd(instead);
    for (const patch of stack) {
      await observe.departure(patch);
      await observe.references(patch);
      await unload(patch);
    }
    await observe.patches();
    await observe.sysfs(instead);
    for (const f of functions) await observe.call(f);
    for (const f of [lib.alpha, lib.beta]) await observe.ftrace(f);
    await load(other);
    for (const f of [other.alpha, other.beta]) await observe.call(f);

    await load(insteadAgain);
    await observe.transitionEnd(insteadAgain);
    await observe.departure(instead);
    for (const f of [...functions, other.alpha, other.beta]) await observe.call(f);
    await observe.ftrace(lib.alpha);
    await unload(instead);
    await disable(insteadAgain);
    await observe.transitionEnd(insteadAgain);
    await observe.call(lib.alpha);
  },
});

const forcedIn = livepatch('klp_forced', { klp_target: ['klp_target_alpha'] }, { uses: [gateOf(lib)] });

export const forcedEnable = scenario({
  id: 'force-in-an-enable',
  title: 'Force ends an enable that a sleeper holds; elsewhere it does nothing, and the patch can be disabled and unloaded after',
  clauses: ['FRC-1', 'FRC-3', 'FRC-4', 'SYS-2', 'TRN-2'],
  needs: ['livepatch', 'reliable-stacks', 'sysfs-force', 'replace'],
  modules: [lib, forcedIn, second],
  async run({ load, unload, disable, force, park, observe }) {
    await load(lib);
    await load(second);
    await observe.transitionEnd(second);
    const sleeper = await park(lib.alpha);
    await load(forcedIn);
    await force(forcedIn, '0');
    await force(forcedIn, 'junk');
    await force(second);
    await observe.transitionEnd(forcedIn);
    await sleeper.witness();
    await force(forcedIn);
    await observe.threads();
    await observe.transitionEnd(forcedIn);
    await observe.threads();
    await observe.call(lib.alpha);
    await sleeper.call(lib.alpha);
    await force(forcedIn);
    await force(forcedIn, '0');
    await sleeper.release();

    await disable(forcedIn);
    await observe.transitionEnd(forcedIn);
    await observe.departure(forcedIn);
    await observe.call(lib.alpha);
    await observe.references(forcedIn);
    await unload(forcedIn);
  },
});

export const forcedDisable = scenario({
  id: 'force-in-a-disable',
  title: 'Force ends a disable while a task sleeps in the replacement, whose module stays for good',
  clauses: ['FRC-1', 'FRC-2', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks', 'sysfs-force', 'replace'],
  modules: [lib, forcedIn],
  async run({ load, unload, disable, force, park, observe }) {
    await load(lib);
    await load(forcedIn);
    await observe.transitionEnd(forcedIn);
    const sleeper = await park(lib.alpha);
    await disable(forcedIn);
    await observe.settledThreads();
    await force(forcedIn);
    await observe.transitionEnd(forcedIn);
    await observe.departure(forcedIn);
    await sleeper.call(lib.alpha);
    await observe.references(forcedIn);
    await unload(forcedIn);
    await sleeper.release();
    await unload(forcedIn);
  },
});

export const forcedReplace = scenario({
  id: 'force-in-a-replace',
  title: 'Force ends a replace that a sleeper in the older patch holds: the older module stays for good',
  clauses: ['FRC-1', 'FRC-2', 'FRC-3', 'REP-1', 'REP-2'],
  needs: ['livepatch', 'reliable-stacks', 'sysfs-force', 'replace'],
  modules: [lib, older, cumulative],
  async run({ load, unload, disable, force, park, observe }) {
    await load(lib);
    await load(older);
    await observe.transitionEnd(older);
    const sleeper = await park(lib.beta);
    await load(cumulative);
    await observe.settledThreads();
    await force(cumulative);
    await observe.transitionEnd(cumulative);
    for (const f of [lib.alpha, lib.beta]) await sleeper.call(f);
    await observe.departure(older);
    await observe.references(older);
    await unload(older);
    await sleeper.release();
    await disable(cumulative);
    await observe.transitionEnd(cumulative);
    await observe.departure(cumulative);
    await observe.references(cumulative);
    await unload(cumulative);
  },
});

const alpha = { klp_target: ['klp_target_alpha'] };
const known = livepatch('klp_known', alpha, { states: [{ id: 1, version: 2 }] });
const outdated = livepatch('klp_outdated', alpha, { states: [{ id: 1, version: 1 }] });
const newer = livepatch('klp_newer', alpha, { states: [{ id: 1, version: 3 }, { id: 2, version: 1 }] });
const stateless = livepatch('klp_stateless', alpha);
const forgetful = livepatch('klp_forgetful', alpha, { replace: true, states: [{ id: 1, version: 3 }] });
const complete = livepatch('klp_complete', alpha, { replace: true, states: [{ id: 2, version: 1 }, { id: 1, version: 3 }] });

const callbacks = ['pre_patch', 'post_patch', 'pre_unpatch', 'post_unpatch'] as const;
const ofKernel = { name: vmlinux, functions: [{ name: 'cmdline_proc_show' }], callbacks };
const keeping = livepatch('klp_keeping', [ofKernel], { states: [{ id: 1, version: 1 }] });
const keepingMore = livepatch('klp_keeping_more', [ofKernel], { states: [{ id: 1, version: 1 }, { id: 2, version: 1 }] });
const keepingAll = livepatch(
  'klp_keeping_all',
  [ofKernel, { name: 'klp_target', functions: [{ name: 'klp_target_alpha' }] }],
  { replace: true, states: [{ id: 2, version: 2 }, { id: 1, version: 2 }], uses: [gateOf(lib)] },
);

export const stateData = scenario({
  id: 'data-of-system-states',
  title: 'Callbacks find what the patch before keeps in a system state and take it over: upon it, instead of it, in a reversal and a disable',
  clauses: ['STA-3', 'REP-2', 'TRN-6'],
  needs: ['livepatch', 'reliable-stacks', 'states', 'replace', 'callbacks'],
  modules: [lib, keeping, keepingMore, keepingAll],
  async run({ load, unload, disable, park, observe }) {
    await load(lib);
    await load(keeping);
    await observe.transitionEnd(keeping);
    await observe.callbacks();
    await load(keepingMore);
    await observe.transitionEnd(keepingMore);
    await observe.callbacks();
    await disable(keepingMore);
    await observe.transitionEnd(keepingMore);
    await observe.departure(keepingMore);
    await observe.callbacks();
    await unload(keepingMore);

    await load(keepingMore);
    await observe.transitionEnd(keepingMore);
    const sleeper = await park(lib.alpha);
    await load(keepingAll);
    await observe.settledThreads();
    await disable(keepingAll);
    await observe.transitionEnd(keepingAll);
    await observe.departure(keepingAll);
    await observe.callbacks();
    await unload(keepingAll);
    await sleeper.release();

    await load(keepingAll);
    await observe.transitionEnd(keepingAll);
    for (const patch of [keeping, keepingMore]) await observe.departure(patch);
    await observe.callbacks();
    await disable(keepingAll);
    await observe.transitionEnd(keepingAll);
    await observe.departure(keepingAll);
    await observe.callbacks();
  },
});

export const systemStates = scenario({
  id: 'system-states',
  title: 'Patches are taken or refused by the versions of the system states that patches before them have',
  clauses: ['STA-1', 'STA-2', 'ENA-12', 'REP-2'],
  needs: ['livepatch', 'reliable-stacks', 'states', 'replace'],
  modules: [lib, known, outdated, newer, stateless, forgetful, complete],
  async run({ load, observe }) {
    await load(lib);
    await load(known);
    await observe.transitionEnd(known);
    await load(outdated);
    await observe.patches();
    for (const patch of [newer, stateless]) {
      await load(patch);
      await observe.transitionEnd(patch);
      await observe.call(lib.alpha);
    }
    await load(outdated);
    await load(forgetful);
    await observe.call(lib.alpha);
    await load(complete);
    await observe.transitionEnd(complete);
    await observe.call(lib.alpha);
    for (const patch of [known, newer, stateless]) await observe.departure(patch);
  },
});
