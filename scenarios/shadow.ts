// SPDX-License-Identifier: MIT
import { livepatch, scenario, target } from '../harness/index.js';

/* Shadow variables: data that patches attach to objects, by a number for the object and an id (4.18 and later). */

const needs = ['livepatch', 'reliable-stacks', 'shadow-constructors'] as const;
const lib = target('klp_target');
const first = livepatch('klp_first', { vmlinux: ['cmdline_proc_show'] }, { shadow: true });
const second = livepatch('klp_second', { klp_target: ['klp_target_alpha'] }, { shadow: true });

const here = { object: 1, id: 7 };
const otherId = { object: 1, id: 0 };
const otherObject = { object: 2, id: 7 };
const far = { object: 40, id: 0xffff_ffff };

export const shadowByObjectAndId = scenario({
  id: 'shadow-variables-by-object-and-id',
  title: 'A shadow variable is made, zeroed or by a constructor, found by its object and its id, freed with and without a destructor, and made again',
  clauses: ['SHD-1', 'SHD-2', 'SHD-7'],
  needs,
  modules: [first],
  async run({ load, shadow, observe }) {
    await load(first);
    await observe.transitionEnd(first);
    await shadow.get(first, here);
    await shadow.free(first, here);
    await shadow.alloc(first, here, 42);
    for (const key of [here, otherId, otherObject]) await shadow.get(first, key);
    await shadow.alloc(first, otherId);
    await shadow.alloc(first, otherObject, 44);
    await shadow.alloc(first, far, 45);
    for (const key of [here, otherId, otherObject, far]) await shadow.get(first, key);

    await shadow.free(first, here);
    for (const key of [here, otherId, otherObject, far]) await shadow.get(first, key);
    await shadow.free(first, otherObject, { destructor: false });
    await shadow.get(first, otherObject);
    await shadow.free(first, here);
    await shadow.alloc(first, here);
    await shadow.get(first, here);
  },
});

export const shadowTwice = scenario({
  id: 'shadow-variable-allocated-twice',
  title: 'A second klp_shadow_alloc() for an object and an id warns and gives NULL; the variable stays as it is, whoever made it',
  clauses: ['SHD-3', 'SHD-1'],
  needs,
  modules: [lib, first, second],
  splats: [/klp_shadow/],
  async run({ load, shadow, observe }) {
    await load(lib);
    for (const patch of [first, second]) {
      await load(patch);
      await observe.transitionEnd(patch);
    }
    await shadow.alloc(first, here, 42);
    await shadow.alloc(first, here, 43);
    await shadow.alloc(second, here);
    await shadow.alloc(first, here, 'fails');
    await shadow.get(first, here);
    await shadow.free(first, here);
    await shadow.alloc(first, here, 44);
  },
});

export const shadowGetOrAlloc = scenario({
  id: 'shadow-variable-got-or-allocated',
  title: 'klp_shadow_get_or_alloc() makes a variable once, and then gives it without a constructor having run',
  clauses: ['SHD-4', 'SHD-7'],
  needs,
  modules: [first],
  async run({ load, shadow, observe }) {
    await load(first);
    await observe.transitionEnd(first);
    await shadow.getOrAlloc(first, here, 42);
    await shadow.getOrAlloc(first, here, 43);
    await shadow.getOrAlloc(first, here);
    await shadow.getOrAlloc(first, here, 'fails');
    await shadow.getOrAlloc(first, otherId);
    await shadow.getOrAlloc(first, otherId, 44);
    await shadow.alloc(first, far, 45);
    await shadow.getOrAlloc(first, far, 46);
    await shadow.free(first, here);
    await shadow.getOrAlloc(first, here, 47);
  },
});

export const shadowConstructorFails = scenario({
  id: 'shadow-constructor-fails',
  title: 'A constructor that fails leaves nothing: NULL is given, an error is logged, and the variable can be made after',
  clauses: ['SHD-6', 'SHD-2', 'SHD-4', 'SHD-7'],
  needs,
  modules: [first],
  async run({ load, shadow, observe }) {
    await load(first);
    await observe.transitionEnd(first);
    await shadow.alloc(first, otherId, 41);
    await shadow.alloc(first, here, 'fails');
    await shadow.get(first, here);
    await shadow.getOrAlloc(first, here, 'fails');
    await shadow.get(first, here);
    await shadow.free(first, here);
    await shadow.freeAll(first, here.id);
    await shadow.get(first, otherId);
    await shadow.getOrAlloc(first, here, 42);
    await shadow.getOrAlloc(first, far, 'fails');
    await shadow.alloc(first, far, 43);
    await shadow.get(first, here);
  },
});

export const shadowFreeAll = scenario({
  id: 'shadow-variables-freed-by-id',
  title: 'klp_shadow_free_all() frees the variables of one id, of all objects, with a destructor for each; other ids stay',
  clauses: ['SHD-8', 'SHD-1'],
  needs,
  modules: [first],
  async run({ load, shadow, observe }) {
    const objects = [0, 1, 2, 3, 17, 40];
    await load(first);
    await observe.transitionEnd(first);
    await shadow.freeAll(first, 7);
    for (const object of objects) await shadow.alloc(first, { object, id: 7 }, 100 + object);
    for (const object of [1, 3]) await shadow.alloc(first, { object, id: 8 }, 200 + object);
    await shadow.freeAll(first, 7);
    for (const object of objects) await shadow.get(first, { object, id: 7 });
    for (const object of [1, 3]) await shadow.get(first, { object, id: 8 });
    await shadow.freeAll(first, 7);
    await shadow.alloc(first, here, 42);
    await shadow.freeAll(first, 8, { destructor: false });
    for (const object of [1, 3]) await shadow.get(first, { object, id: 8 });
    await shadow.get(first, here);
  },
});

export const shadowAcrossPatches = scenario({
  id: 'shadow-variables-of-another-patch',
  title: 'What one patch attaches to an object another finds, and frees with a destructor of its own',
  clauses: ['SHD-9', 'SHD-7', 'SHD-8'],
  needs,
  modules: [lib, first, second],
  async run({ load, shadow, observe }) {
    await load(lib);
    for (const patch of [first, second]) {
      await load(patch);
      await observe.transitionEnd(patch);
    }
    await shadow.alloc(first, here, 42);
    await shadow.alloc(second, otherObject, 43);
    await shadow.get(second, here);
    await shadow.getOrAlloc(second, here, 44);
    await shadow.get(first, otherObject);
    await shadow.free(second, here);
    await shadow.get(first, here);
    await shadow.getOrAlloc(first, here, 45);
    await shadow.freeAll(second, here.id);
    for (const key of [here, otherObject]) await shadow.get(first, key);
  },
});

export const shadowOutlives = scenario({
  id: 'shadow-variables-outlive-their-patch',
  title: 'A variable stays when its patch is disabled and unloaded; who comes after, the patch itself included, finds it until it is freed',
  clauses: ['SHD-10', 'SHD-9', 'SHD-7'],
  needs: [...needs, 'replace'],
  modules: [lib, first, second],
  async run({ load, unload, disable, shadow, observe }) {
    await load(lib);
    for (const patch of [first, second]) {
      await load(patch);
      await observe.transitionEnd(patch);
    }
    await shadow.alloc(first, here, 42);
    await shadow.alloc(first, otherId, 43);
    await shadow.get(second, here);
    await disable(first);
    await observe.transitionEnd(first);
    await observe.departure(first);
    for (const patch of [first, second]) await shadow.get(patch, here);
    await unload(first);
    await shadow.get(second, here);
    await shadow.getOrAlloc(second, otherId, 44);

    await load(first);
    await observe.transitionEnd(first);
    await shadow.get(first, here);
    await disable(first);
    await observe.transitionEnd(first);
    await observe.departure(first);
    await unload(first);
    await shadow.free(second, here);
    await shadow.get(second, here);
    await shadow.get(second, otherId);
  },
});

const replacing = livepatch('klp_replacing', { klp_target: ['klp_target_alpha'] }, { replace: true, shadow: true });

export const shadowThroughReplace = scenario({
  id: 'shadow-variables-through-a-replace',
  title: 'A patch that replaces another finds the variables that the older one made, also when that is unloaded',
  clauses: ['SHD-10', 'SHD-8', 'REP-2'],
  needs: [...needs, 'replace'],
  modules: [lib, second, replacing],
  async run({ load, unload, shadow, observe }) {
    await load(lib);
    await load(second);
    await observe.transitionEnd(second);
    await shadow.alloc(second, here, 42);
    await shadow.alloc(second, otherObject, 43);
    await load(replacing);
    await observe.transitionEnd(replacing);
    await observe.departure(second);
    await shadow.get(replacing, here);
    await unload(second);
    await shadow.get(replacing, here);
    await shadow.getOrAlloc(replacing, otherObject, 44);
    await shadow.freeAll(replacing, here.id);
    await shadow.get(replacing, here);
  },
});

export const shadowAtOnce = scenario({
  id: 'shadow-variable-made-by-many-at-once',
  title: 'Eight tasks ask for one new variable at once: one constructor runs, and all get what it made',
  clauses: ['SHD-5', 'SHD-4', 'SHD-9'],
  needs,
  modules: [lib, first, second],
  async run({ load, shadow, observe }) {
    await load(lib);
    for (const patch of [first, second]) {
      await load(patch);
      await observe.transitionEnd(patch);
    }
    await shadow.getOrAllocAtOnce(first, here, 8);
    await shadow.get(first, here);
    await shadow.getOrAllocAtOnce(first, here, 8);
    await shadow.getOrAllocAtOnce(second, here, 8);
    for (let round = 0; round < 5; round++) {
      await shadow.freeAll(first, here.id);
      await shadow.getOrAllocAtOnce(first, here, 16);
      await shadow.getOrAllocAtOnce(first, { ...otherObject, id: 100 + round }, 2);
    }
  },
});
