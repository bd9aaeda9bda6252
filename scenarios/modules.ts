// SPDX-License-Identifier: MIT
import { gateOf, livepatch, scenario, target, vmlinux } from '../harness/index.js';

const lib = target('klp_target');
const other = target('klp_other');
const patch = livepatch('klp_later', { klp_target: ['klp_target_alpha'] });

export const moduleLoadedLater = scenario({
  id: 'module-loaded-after-patch',
  title: 'A patch for a module that is not there yet is applied when the module comes, and reverted when it goes',
  clauses: ['REG-15', 'MOD-1', 'MOD-4', 'SYS-5', 'TRN-2', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  async run({ load, unload, disable, observe }) {
    await load(patch);
    await observe.transitionEnd(patch);
    await observe.sysfs(patch);
    await load(lib);
    await observe.call(lib.alpha);
    await observe.ftrace(lib.alpha);
    await observe.sysfs(patch);
    await unload(lib);
    await observe.ftrace(lib.alpha);
    await observe.sysfs(patch);

    await load(lib);
    await observe.call(lib.alpha);
    await observe.threads();
    await disable(patch);
    await observe.transitionEnd(patch);
    await observe.call(lib.alpha);
  },
});

const waiting = livepatch(
  'klp_waiting',
  { vmlinux: ['cmdline_proc_show'], klp_target: ['klp_target_alpha'] },
  { driven: true, uses: [gateOf(lib)] },
);

export const disabledPatch = scenario({
  id: 'module-comes-to-a-disabled-patch',
  title: 'A module comes and goes while a patch for it is registered but disabled: nothing is applied or reverted, but relocations are resolved',
  clauses: ['MOD-2', 'MOD-4', 'REG-15', 'REG-19', 'DIS-4', 'ENA-12'],
  needs: ['livepatch', 'reliable-stacks', 'registration'],
  modules: [lib, waiting],
  async run({ load, unload, api, observe }) {
    await load(waiting);
    await api.register(waiting);
    await load(lib);
    await observe.call(lib.alpha);
    await observe.ftrace(lib.alpha);
    await observe.resolvedSymbols(waiting);
    await api.enable(waiting);
    await observe.transitionEnd(waiting);
    await observe.call(lib.alpha);
    await observe.resolvedSymbols(waiting);
    await api.disable(waiting);
    await observe.transitionEnd(waiting);
    await unload(lib);
  },
});

const lacking = livepatch('klp_lacking', { klp_target: ['klp_target_alpha', 'klp_target_gone'] }, { driven: true });

export const disabledPatchRefuses = scenario({
  id: 'disabled-patch-refuses-a-module',
  title: 'A registered patch keeps a module that lacks one of its symbols from loading, even while it is disabled',
  clauses: ['MOD-3', 'UNR-4'],
  needs: ['livepatch', 'reliable-stacks', 'registration'],
  modules: [lib, lacking],
  async run({ load, api, observe }) {
    await load(lacking);
    await api.register(lacking);
    await load(lib);
    await observe.ftrace(lib.alpha);
    await api.unregister(lacking);
    await load(lib);
    await observe.call(lib.alpha);
  },
});

const demanding = livepatch('klp_demanding', { klp_target: ['klp_target_alpha', 'klp_target_gone'] });

export const enabledPatchRefuses = scenario({
  id: 'enabled-patch-refuses-a-module',
  title: 'Of two enabled patches the second finds a symbol missing in a loading module: the module is refused, and the first is taken back',
  clauses: ['MOD-7', 'REG-15', 'MOD-1', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch, demanding],
  async run({ load, disable, observe }) {
    await load(patch);
    await observe.transitionEnd(patch);
    await load(demanding);
    await observe.transitionEnd(demanding);
    await load(lib);
    await observe.ftrace(lib.alpha);
    await observe.sysfs(patch);
    await observe.threads();

    await disable(demanding);
    await observe.transitionEnd(demanding);
    await observe.departure(demanding);
  },
});

const failing = target('klp_target', { failing: true });

export const failingInit = scenario({
  id: 'module-whose-init-fails',
  title: 'A module that a patch is for fails in its init: the patch is applied to it and reverted',
  clauses: ['MOD-5', 'REG-15'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [failing, patch],
  async run({ load, disable, observe }) {
    await load(patch);
    await observe.transitionEnd(patch);
    for (let time = 0; time < 2; time++) {
      await load(failing);
      await observe.ftrace(lib.alpha);
      await observe.sysfs(patch);
      await observe.threads();
    }
    await disable(patch);
    await observe.transitionEnd(patch);
  },
});

const both = livepatch(
  'klp_both',
  { klp_other: ['klp_other_alpha'], klp_target: ['klp_target_alpha'] },
  { uses: [gateOf(other)] },
);

export const loadedInTransition = scenario({
  id: 'module-comes-during-a-transition',
  title: 'A module that comes during an enable or a disable is patched for the tasks that are patched, and only for those',
  clauses: ['MOD-6', 'ENA-14', 'CHK-1', 'CHK-3', 'TRN-5', 'MOD-4', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, other, both],
  async run({ load, unload, disable, park, observe }) {
    const look = async (sleeper: Awaited<ReturnType<typeof park>>): Promise<void> => {
      await observe.settledThreads();
      await sleeper.witness();
      await load(lib);
      await observe.ftrace(lib.alpha);
      await observe.call(lib.alpha);
      await sleeper.call(lib.alpha);
      await observe.sysfs(both);
      await unload(lib);
      await sleeper.witness();
      await observe.ftrace(lib.alpha);
      await load(lib);
      await observe.call(lib.alpha);
      await sleeper.call(lib.alpha);
      await sleeper.release();
      await observe.transitionEnd(both);
      await observe.threads();
      await observe.call(lib.alpha);
    };
    await load(other);
    const inOriginal = await park(other.alpha);
    await load(both);
    await look(inOriginal);

    await unload(lib);
    const inReplacement = await park(other.alpha);
    await disable(both);
    await look(inReplacement);
  },
});

const tied = livepatch('klp_tied', { klp_target: ['klp_target_alpha'] }, { uses: [gateOf(lib)] });

export const reloadedTarget = scenario({
  id: 'patched-module-loaded-again',
  title: 'A module that a patch has relocations into goes and comes again: they are written anew where the kernel has cleared them, else it is refused',
  clauses: ['MOD-8', 'MOD-1', 'MOD-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, tied],
  async run({ load, unload, model, park, observe }) {
    await load(tied);
    await observe.transitionEnd(tied);
    await load(lib);
    await observe.call(lib.alpha);
    await unload(lib);
    await load(lib);
    const { capabilities } = model.facts;
    if (capabilities.has('relocations-checked') && !capabilities.has('relocations-cleared')) return;
    // A task that sleeps in the replacement has reached the gate of the module that is there now.
    await observe.call(lib.alpha);
    const sleeper = await park(lib.alpha);
    await sleeper.release();
  },
});

const misplaced = livepatch('klp_misplaced', { klp_target: ['klp_target_alpha', 'klp_target_quiet'] });

export const ftraceRefusesLater = scenario({
  id: 'untraced-function-of-a-later-module',
  title: 'A patch names a function of a later module that ftrace cannot attach to: the module is refused when it comes',
  clauses: ['FTR-1', 'REG-15'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, misplaced],
  async run({ load, disable, observe }) {
    await load(misplaced);
    await observe.transitionEnd(misplaced);
    await load(lib);
    await observe.ftrace(lib.alpha);
    await observe.threads();
    await disable(misplaced);
    await observe.transitionEnd(misplaced);
  },
});

/** The kernel's own function and one of a module that is not there: half of it is patched. */
const half = livepatch('klp_half', { vmlinux: ['cmdline_proc_show'], klp_target: ['klp_target_beta'] });

export const halfApplied = scenario({
  id: 'one-object-of-two-is-there',
  title: 'Of a patch for the kernel and for a module that is not loaded, the part for the kernel is applied; the rest follows',
  clauses: ['REG-15', 'MOD-1', 'ENA-12', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, half],
  async run({ load, disable, observe }) {
    const cmdline = { object: vmlinux, name: 'cmdline_proc_show' };
    await load(half);
    await observe.transitionEnd(half);
    await observe.call(cmdline);
    await load(lib);
    await observe.call(lib.beta);
    await observe.call(lib.alpha);
    await disable(half);
    await observe.transitionEnd(half);
    await observe.call(cmdline);
    await observe.call(lib.beta);
  },
});
