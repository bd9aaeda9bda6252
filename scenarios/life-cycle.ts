// SPDX-License-Identifier: MIT
import { type FunctionName, gateOf, livepatch, scenario, target, vmlinux } from '../harness/index.js';

/** Reading /proc/cmdline calls it: a function of the kernel itself whose effect anyone can see. */
const cmdline: FunctionName = { object: vmlinux, name: 'cmdline_proc_show' };
const lib = target('klp_target');

const shout = livepatch('klp_cmdline', { vmlinux: ['cmdline_proc_show'] });

export const patchVmlinux = scenario({
  id: 'patch-vmlinux-function',
  title: 'A function of vmlinux is patched; its behaviour changes, and comes back with the disable',
  clauses: ['TRN-2', 'TRN-5', 'ENA-3', 'ENA-4', 'ENA-11', 'ENA-12', 'DIS-4', 'DIS-5', 'DIS-7', 'SYS-1', 'SYS-4', 'SYS-5', 'REG-9'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [shout],
  async run({ load, disable, observe }) {
    await observe.threads();
    await observe.call(cmdline);
    await observe.ftrace(cmdline);

    await load(shout);
    await observe.transitionEnd(shout);
    await observe.threads();
    await observe.sysfs(shout);
    await observe.call(cmdline);
    await observe.ftrace(cmdline);

    await disable(shout);
    await observe.transitionEnd(shout);
    await observe.threads();
    await observe.call(cmdline);
    await observe.departure(shout);
    await observe.sysfs(shout);
    await observe.ftrace(cmdline);
  },
});

const alpha = livepatch('klp_alpha', { klp_target: ['klp_target_alpha'] });

export const patchModule = scenario({
  id: 'patch-module-function',
  title: 'A function of a loaded module is patched, its neighbour is not',
  clauses: ['TRN-2', 'TRN-5', 'ENA-4', 'ENA-12', 'DIS-4', 'REG-9'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, alpha],
  async run({ load, disable, observe }) {
    await load(lib);
    await load(alpha);
    await observe.transitionEnd(alpha);
    await observe.threads();
    await observe.sysfs(alpha);
    await observe.call(lib.alpha);
    await observe.call(lib.beta);

    await disable(alpha);
    await observe.transitionEnd(alpha);
    await observe.threads();
    await observe.call(lib.alpha);
  },
});

const gated = livepatch('klp_gated', { klp_target: ['klp_target_alpha'] }, { uses: [gateOf(lib)] });

export const rmmodOfEnabledPatch = scenario({
  id: 'rmmod-of-enabled-patch',
  title: 'An enabled patch cannot be unloaded, nor while its disable is held; once that has completed it can',
  clauses: ['ENA-9', 'DIS-6', 'CHK-3', 'TRN-5'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, gated],
  async run({ load, unload, disable, park, observe }) {
    await load(lib);
    await load(gated);
    await observe.transitionEnd(gated);
    await observe.references(gated);
    await unload(gated);

    // The reference goes when the transition completes, not with the write that begins it.
    const sleeper = await park(lib.alpha);
    await disable(gated);
    await observe.settledThreads();
    await observe.transitionEnd(gated);
    await observe.references(gated);
    await unload(gated);

    await sleeper.release();
    await observe.transitionEnd(gated);
    await observe.references(gated);
    await unload(gated);
    await observe.call(lib.alpha);
  },
});

const first = livepatch('klp_first', { klp_target: ['klp_target_alpha'] });
const second = livepatch('klp_second', { klp_target: ['klp_target_alpha'] });

export const stackedPatches = scenario({
  id: 'stacked-patches-on-one-function',
  title: 'Of two patches on the same function the newer one wins; peeled one by one, the older and then the original return',
  clauses: ['ENA-12', 'ENA-11', 'DIS-4', 'DIS-5'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, first, second],
  async run({ load, disable, observe }) {
    await load(lib);
    await load(first);
    await observe.transitionEnd(first);
    await observe.call(lib.alpha);
    await load(second);
    await observe.transitionEnd(second);
    await observe.call(lib.alpha);
    await observe.ftrace(lib.alpha);

    await disable(second);
    await observe.transitionEnd(second);
    await observe.call(lib.alpha);
    await observe.ftrace(lib.alpha);
    await disable(first);
    await observe.transitionEnd(first);
    await observe.call(lib.alpha);
    await observe.ftrace(lib.alpha);
  },
});

export const olderPatchFirst = scenario({
  id: 'disable-older-patch-first',
  title: 'The older of two patches on a function is disabled first, where the generation lets it be',
  clauses: [{ clause: 'DIS-2', needs: 'registration' }, 'ENA-12', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, first, second],
  async run({ load, disable, observe }) {
    await load(lib);
    await load(first);
    await observe.transitionEnd(first);
    await load(second);
    await observe.transitionEnd(second);

    await disable(first);
    await observe.transitionEnd(first);
    await observe.call(lib.alpha);
    await disable(second);
    await observe.transitionEnd(second);
    await observe.call(lib.alpha);
  },
});

export const enableAgain = scenario({
  id: 'enable-again',
  title: 'A disabled patch is enabled again by writing 1, where the generation lets it be',
  clauses: ['ENA-13', 'DIS-6'],
  needs: ['livepatch', 'reliable-stacks', 'registration'],
  modules: [lib, alpha],
  async run({ load, unload, enable, disable, observe }) {
    await load(lib);
    await load(alpha);
    await observe.transitionEnd(alpha);
    for (let cycle = 0; cycle < 3; cycle++) {
      await disable(alpha);
      await observe.transitionEnd(alpha);
      await observe.references(alpha);
      await observe.call(lib.alpha);
      await enable(alpha);
      await observe.transitionEnd(alpha);
      await observe.references(alpha);
      await observe.call(lib.alpha);
    }
    await disable(alpha);
    await observe.transitionEnd(alpha);
    await observe.references(alpha);
    await unload(alpha);
  },
});

const returning = livepatch('klp_returning', { klp_target: ['klp_target_alpha'] }, { driven: true });

export const notAgain = scenario({
  id: 'write-1-to-a-disabled-patch',
  title: 'Where patches are not registered, a disabled one cannot be enabled by writing 1, even if its directory is still there',
  clauses: ['ENA-13', 'SYS-3', 'DIS-7', 'DIS-4', 'ENA-9'],
  needs: ['livepatch', 'reliable-stacks', 'replace'],
  modules: [lib, returning],
  async run({ load, unload, api, enable, disable, observe }) {
    await load(lib);
    await load(returning);
    await api.enable(returning);
    await observe.transitionEnd(returning);
    await api.hold(returning);
    await disable(returning);
    await observe.transitionEnd(returning);
    await observe.departure(returning);
    await enable(returning);
    await disable(returning);
    await observe.sysfs(returning);
    await observe.call(lib.alpha);
    await unload(returning);
    await api.letGo(returning);
    await observe.departure(returning);
    await observe.references(returning);
    await unload(returning);
  },
});

const third = livepatch('klp_third', { klp_target: ['klp_target_alpha', 'klp_target_beta'] });

export const threeDeep = scenario({
  id: 'three-patches-peeled-one-by-one',
  title: 'Three patches on one function: each disable brings back the next older replacement, the last one the original',
  clauses: ['ENA-12', 'ENA-11', 'DIS-4', 'DIS-5', 'DIS-6'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, first, second, third],
  async run({ load, disable, observe }) {
    const look = async (): Promise<void> => {
      await observe.call(lib.alpha);
      await observe.call(lib.beta);
      await observe.ftrace(lib.alpha);
      await observe.ftrace(lib.beta);
    };
    await load(lib);
    for (const patch of [first, second, third]) {
      await load(patch);
      await observe.transitionEnd(patch);
      await look();
    }
    for (const patch of [third, second, first]) {
      await disable(patch);
      await observe.transitionEnd(patch);
      await look();
      await observe.references(patch);
    }
  },
});

export const orderOfEnable = scenario({
  id: 'enable-in-another-order',
  title: 'Of several disabled patches only the oldest may be enabled, and a new one not at all until they are',
  clauses: ['ENA-5', 'ENA-6', 'ENA-13', 'ENA-12', 'DIS-4', 'REG-10'],
  needs: ['livepatch', 'reliable-stacks', 'registration'],
  modules: [lib, first, second, third],
  async run({ load, enable, disable, observe }) {
    await load(lib);
    await load(first);
    await observe.transitionEnd(first);
    await load(second);
    await observe.transitionEnd(second);
    await disable(second);
    await observe.transitionEnd(second);
    await disable(first);
    await observe.transitionEnd(first);

    await enable(second);
    await observe.sysfs(second);
    await observe.call(lib.alpha);
    await load(third);
    await observe.sysfs(third);

    await enable(first);
    await observe.transitionEnd(first);
    await load(third);
    await enable(second);
    await observe.transitionEnd(second);
    await load(third);
    await observe.transitionEnd(third);
    await observe.call(lib.alpha);
    await observe.call(lib.beta);
  },
});

export const busyTransition = scenario({
  id: 'second-patch-during-a-transition',
  title: 'While a patch is in transition no other can be enabled by insmod or disabled by a write; afterwards both can',
  clauses: ['ENA-7', 'CHK-1', 'TRN-5', 'ENA-12'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, first, third, alpha],
  async run({ load, disable, park, observe }) {
    await load(lib);
    await load(first);
    await observe.transitionEnd(first);
    const sleeper = await park(lib.beta);
    await load(third);
    await observe.settledThreads();
    await sleeper.witness();

    await load(alpha);
    await observe.sysfs(alpha);
    await disable(first);
    await observe.sysfs(first);
    await sleeper.witness();

    await sleeper.release();
    await observe.transitionEnd(third);
    await load(alpha);
    await observe.transitionEnd(alpha);
    await observe.call(lib.alpha);
    await observe.call(lib.beta);
  },
});
