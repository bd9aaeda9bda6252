// SPDX-License-Identifier: MIT
import { livepatch, scenario, target, vmlinux } from '../harness/index.js';

const lib = target('klp_target');
const used = { object: vmlinux, name: 'saved_command_line' };

const nowhere = livepatch('klp_nowhere', {
  klp_target: ['klp_target_alpha'],
  vmlinux: ['klp_no_such_function'],
});

export const missingSymbol = scenario({
  id: 'missing-symbol',
  title: 'A patch with a symbol that a loaded object lacks is refused and leaves nothing behind',
  clauses: ['REG-10', 'DIS-4', 'DIS-5'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, nowhere],
  async run({ load, observe }) {
    await load(lib);
    await load(nowhere);
    await observe.sysfs(nowhere);
    await observe.threads();
    await observe.call(lib.alpha);
    await observe.ftrace(lib.alpha);
  },
});

const unmarked = livepatch('klp_unmarked', { vmlinux: ['cmdline_proc_show'] }, { fault: 'EF-01' });

export const notMarked = scenario({
  id: 'no-livepatch-field',
  title: 'A patch whose module lacks the livepatch field in its modinfo is refused',
  clauses: ['REG-2'],
  needs: ['livepatch'],
  modules: [unmarked],
  async run({ load, observe }) {
    await load(unmarked);
    await observe.call({ object: vmlinux, name: 'cmdline_proc_show' });
    await observe.threads();
  },
});

const relocated = livepatch('klp_relocated', { vmlinux: ['cmdline_proc_show'] }, { uses: [used] });

export const relocation = scenario({
  id: 'relocation-to-unexported-symbol',
  title: 'A livepatch relocation to a symbol of vmlinux that nothing exports is resolved to its address',
  clauses: ['REG-19', 'ENA-12'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [relocated],
  async run({ load, disable, observe }) {
    await load(relocated);
    await observe.transitionEnd(relocated);
    await observe.call({ object: vmlinux, name: 'cmdline_proc_show' });
    await observe.resolvedSymbols(relocated);
    await disable(relocated);
    await observe.transitionEnd(relocated);
    await observe.call({ object: vmlinux, name: 'cmdline_proc_show' });
  },
});

const misnamed = livepatch('klp_misnamed', { vmlinux: ['cmdline_proc_show'] }, { uses: [used], fault: 'EF-09' });

export const badlyNamedSection = scenario({
  id: 'badly-named-relocation-section',
  title: 'A livepatch relocation section without an object in its name is refused',
  clauses: ['ELF-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [misnamed],
  async run({ load, observe }) {
    await load(misnamed);
    await observe.call({ object: vmlinux, name: 'cmdline_proc_show' });
    await observe.threads();
  },
});

const plain = livepatch('klp_refused', { vmlinux: ['cmdline_proc_show'] });

export const withoutLivepatch = scenario({
  id: 'kernel-without-livepatch',
  title: 'A kernel without livepatch refuses a module that is marked as one',
  clauses: ['REG-6'],
  needs: ['no-livepatch'],
  modules: [plain],
  async run({ load }) {
    await load(plain);
  },
});

export const withoutReliableStacks = scenario({
  id: 'registration-without-reliable-stacks',
  title: 'Without reliable stack traces a patch that is not immediate cannot be registered',
  clauses: ['REG-5', 'DIS-4'],
  needs: ['livepatch', 'registration', 'no-reliable-stacks'],
  modules: [plain],
  async run({ load, observe }) {
    await load(plain);
    await observe.call({ object: vmlinux, name: 'cmdline_proc_show' });
    await observe.threads();
  },
});
