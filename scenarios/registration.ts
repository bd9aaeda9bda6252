// SPDX-License-Identifier: MIT
import {
  type LivepatchDescription,
  type PatchedObject,
  type ScenarioContext,
  type WhichPatch,
  livepatch,
  scenario,
  target,
  vmlinux,
} from '../harness/index.js';

const lib = target('klp_target');
const cmdline = { object: vmlinux, name: 'cmdline_proc_show' };

/** How a kernel takes a patch: it is registered, or, where that does not exist, enabled. */
function take({ api, model }: ScenarioContext) {
  const registers = model.facts.capabilities.has('registration');
  return (patch: LivepatchDescription, which?: WhichPatch): Promise<void> =>
    registers ? api.register(patch, which) : api.enable(patch, which);
}

// ---- what registration demands ---------------------------------------------------------------------------------

const good = livepatch('klp_good', { klp_target: ['klp_target_alpha'] }, { driven: true });
const orphan = livepatch('klp_orphan', { klp_target: ['klp_target_alpha'] }, { driven: true, orphan: true });

export const noPatch = scenario({
  id: 'null-patch',
  title: 'A NULL pointer instead of a patch, and a patch without a module, are refused',
  clauses: ['REG-1', 'REG-23', 'ENA-12'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, good, orphan],
  async run(context) {
    const { load, observe } = context;
    await load(lib);
    await load(good);
    await load(orphan);
    await take(context)(good, 'null');
    await take(context)(orphan);
    await observe.patches();
    await observe.threads();

    await take(context)(good);
    if (context.model.facts.capabilities.has('registration')) await context.api.enable(good);
    await observe.transitionEnd(good);
    await observe.call(lib.alpha);
  },
});

const incomplete: readonly LivepatchDescription[] = [
  livepatch('klp_no_objects', null),
  livepatch('klp_no_functions', { klp_target: null }),
  livepatch('klp_no_old_name', { klp_target: ['klp_target_alpha', { name: null }] }),
  livepatch('klp_no_new_func', { klp_target: ['klp_target_alpha', { name: 'klp_target_beta', replacement: 'missing' }] }),
  livepatch('klp_long_symbol', { klp_target: ['klp_target_alpha', 'x'.repeat(128)] }),
  livepatch('klp_longer_symbol', { klp_target: ['klp_target_alpha', 'x'.repeat(512)] }),
  livepatch('klp_long_object', { klp_target: ['klp_target_alpha'], ['m'.repeat(56)]: ['x'] }),
];

export const incompletePatches = scenario({
  id: 'incomplete-patches',
  title: 'Patches that lack an array, a name or a replacement, or have too long a name, are refused and leave nothing behind',
  clauses: ['REG-7', 'REG-10', 'DIS-4', 'DIS-5'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, ...incomplete],
  async run({ load, observe }) {
    await load(lib);
    for (const patch of incomplete) {
      await load(patch);
      await observe.sysfs(patch);
    }
    await observe.patches();
    await observe.threads();
    await observe.call(lib.alpha);
    await observe.ftrace(lib.alpha);
  },
});

const nothing = livepatch('klp_nothing', []);
const hollow = livepatch('klp_hollow', { klp_target: [], klp_other: [] });

export const emptyArrays = scenario({
  id: 'empty-arrays',
  title: 'A patch without objects, and one whose objects have no functions, are taken, complete their transitions and change nothing',
  clauses: ['REG-8', 'REG-9', 'TRN-2', 'DIS-4', 'DIS-6'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, nothing, hollow],
  async run({ load, unload, disable, observe }) {
    await load(lib);
    for (const patch of [nothing, hollow]) {
      await load(patch);
      await observe.transitionEnd(patch);
      await observe.sysfs(patch);
      await observe.call(lib.alpha);
      await observe.threads();
    }
    for (const patch of [hollow, nothing]) {
      await disable(patch);
      await observe.transitionEnd(patch);
      await observe.references(patch);
      await unload(patch);
    }
  },
});

// ---- names that clash --------------------------------------------------------------------------------------------

const alpha = { name: 'klp_target_alpha' };
const doubles: readonly LivepatchDescription[] = [
  livepatch('klp_twice', { klp_target: [alpha, alpha] }),
  livepatch('klp_twice_by_position', { klp_target: [alpha, { ...alpha, sympos: 1 }] }),
  livepatch('klp_object_twice', [
    { name: 'klp_target', functions: [alpha] },
    { name: 'klp_target', functions: [{ name: 'klp_target_beta' }] },
  ]),
];
/** 4.14 warns of a directory that is there already; later kernels print a stack without a warning. */
const duplicateName = /sysfs_warn_dup|cannot create duplicate filename|kobject_add_internal/;

export const namedTwice = scenario({
  id: 'named-twice',
  title: 'A function or an object that a patch names twice is refused',
  clauses: ['REG-18', 'REG-10', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, ...doubles],
  splats: [duplicateName],
  async run({ load, observe }) {
    await load(lib);
    for (const patch of doubles) {
      await load(patch);
      await observe.sysfs(patch);
    }
    await observe.patches();
    await observe.call(lib.alpha);
    await observe.threads();
  },
});

export const secondPatch = scenario({
  id: 'second-patch-of-a-module',
  title: 'A second patch of the same module is refused, and the first is not touched',
  clauses: ['REG-21', 'ENA-12', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, good],
  splats: [duplicateName],
  async run(context) {
    const { load, api, disable, observe } = context;
    await load(lib);
    await load(good);
    await take(context)(good);
    if (context.model.facts.capabilities.has('registration')) await api.enable(good);
    await observe.transitionEnd(good);
    await take(context)(good, 'second');
    await observe.patches();
    await observe.sysfs(good);
    await observe.references(good);
    await observe.call(lib.alpha);
    await disable(good);
    await observe.transitionEnd(good);
    await observe.call(lib.alpha);
  },
});

const strange = (name: string, ...objects: PatchedObject[]): LivepatchDescription => livepatch(name, objects);
const literal: PatchedObject = { name: vmlinux, literal: true, functions: [{ name: cmdline.name }] };
const neverPatched: readonly LivepatchDescription[] = [
  strange('klp_by_file_name', { name: 'klp-target', functions: [alpha] }),
  strange('klp_by_suffix', { name: 'klp_target.ko', functions: [alpha] }),
  strange('klp_literally_vmlinux', literal),
];
const twoVmlinux = strange('klp_two_vmlinux', { name: vmlinux, functions: [{ name: cmdline.name }] }, literal);

export const strangeNames = scenario({
  id: 'strange-object-names',
  title: 'An object under a name that no module can have is taken and never patched; "vmlinux" clashes with the kernel itself',
  clauses: ['REG-24', 'REG-9', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, ...neverPatched, twoVmlinux],
  splats: [duplicateName],
  async run({ load, observe }) {
    await load(lib);
    for (const patch of neverPatched) {
      await load(patch);
      await observe.transitionEnd(patch);
      await observe.sysfs(patch);
      await observe.call(lib.alpha);
      await observe.call(cmdline);
    }
    await load(twoVmlinux);
    await observe.sysfs(twoVmlinux);
    await observe.call(cmdline);
  },
});

// ---- marks, taints and the list ------------------------------------------------------------------------------------

const markedNo = livepatch('klp_marked_no', { klp_target: ['klp_target_alpha'] }, { marked: 'N' });

export const markedNoPatch = scenario({
  id: 'livepatch-field-says-no',
  title: 'A module whose livepatch field reads N is a livepatch all the same',
  clauses: ['REG-3', 'REG-4', 'ENA-12'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, markedNo],
  async run({ load, observe }) {
    await load(lib);
    await load(markedNo);
    await observe.transitionEnd(markedNo);
    await observe.taint(markedNo);
    await observe.call(lib.alpha);
  },
});

const lost = livepatch('klp_lost', { vmlinux: ['klp_no_such_function'] });

export const taint = scenario({
  id: 'taint',
  title: 'A livepatch taints the kernel and its own module, said once; even one that is refused taints the kernel',
  clauses: ['REG-4', 'REG-10'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, lost, good, orphan],
  async run({ load, observe }) {
    await load(lib);
    await observe.taint(lib);
    await load(lost);
    await observe.taint(lib);
    await load(good);
    await observe.taint(good);
    await load(orphan);
    await observe.taint(orphan);
  },
});

export const listed = scenario({
  id: 'loaded-but-not-registered',
  title: 'A livepatch module that is loaded has no directory before its patch is taken',
  clauses: ['REG-23'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, good],
  async run(context) {
    const { load, observe } = context;
    await load(lib);
    await load(good);
    await observe.patches();
    await observe.sysfs(good);
    await take(context)(good);
    await observe.patches();
    await observe.sysfs(good);
  },
});

export const registrationAlone = scenario({
  id: 'registration-without-enable',
  title: 'A patch that is registered and not enabled changes nothing and holds no reference; unregistered, it is gone',
  clauses: ['REG-20', 'REG-23', 'UNR-4', 'DIS-4', 'DIS-5', 'DIS-6'],
  needs: ['livepatch', 'reliable-stacks', 'registration'],
  modules: [lib, good],
  async run({ load, unload, api, observe }) {
    await load(lib);
    await load(good);
    await api.register(good);
    await observe.sysfs(good);
    await observe.references(good);
    await observe.call(lib.alpha);
    await observe.ftrace(lib.alpha);
    await observe.threads();
    await api.unregister(good);
    await observe.sysfs(good);
    await observe.patches();
    await unload(good);
  },
});

export const registeredAgain = scenario({
  id: 'registered-again',
  title: 'A patch that was taken out of the list can be put in again, with a complaint about its kobjects',
  clauses: ['REG-22', 'ENA-12', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks', 'registration'],
  modules: [lib, good],
  async run({ load, api, observe }) {
    await load(lib);
    await load(good);
    await api.register(good);
    await api.unregister(good);
    await api.register(good);
    await observe.sysfs(good);
    await api.enable(good);
    await observe.transitionEnd(good);
    await observe.call(lib.alpha);
    await api.disable(good);
    await observe.transitionEnd(good);
    await observe.call(lib.alpha);
    await api.unregister(good);
    await observe.patches();
  },
});

const relocated = livepatch(
  'klp_early_relocations',
  { vmlinux: ['cmdline_proc_show'] },
  { driven: true, uses: [{ object: vmlinux, name: 'saved_command_line' }] },
);

export const relocationsAtRegistration = scenario({
  id: 'relocations-at-registration',
  title: 'Livepatch relocations hold their addresses before the patch is enabled',
  clauses: ['REG-19', 'ENA-12'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [relocated],
  async run({ load, api, model, observe }) {
    await load(relocated);
    await observe.resolvedSymbols(relocated);
    if (model.facts.capabilities.has('registration')) {
      await api.register(relocated);
      await observe.resolvedSymbols(relocated);
    }
    await api.enable(relocated);
    await observe.transitionEnd(relocated);
    await observe.call(cmdline);
    await observe.resolvedSymbols(relocated);
  },
});
