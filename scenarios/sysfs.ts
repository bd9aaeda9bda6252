// SPDX-License-Identifier: MIT
import { livepatch, scenario, target } from '../harness/index.js';

const lib = target('klp_target');
const patch = livepatch('klp_alpha', { klp_target: ['klp_target_alpha'] });

export const badStrings = scenario({
  id: 'bad-strings-in-enabled',
  title: 'A text that is no boolean is refused and changes nothing; one that begins like a boolean is taken',
  clauses: ['SYS-2', 'ENA-3'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  async run({ load, write, observe }) {
    await load(lib);
    await load(patch);
    await observe.transitionEnd(patch);
    for (const text of ['2', 'junk', 'o', 'xyz', '-1', ' 0', '\n', 'O?']) {
      await write(patch, text);
      await observe.sysfs(patch);
    }
    await observe.call(lib.alpha);
    await write(patch, '0junk');
    await observe.transitionEnd(patch);
    await observe.call(lib.alpha);
  },
});

export const currentValue = scenario({
  id: 'current-value-in-enabled',
  title: 'Writing the value that enabled already has is refused',
  clauses: ['SYS-3', 'ENA-3'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  async run({ load, write, observe }) {
    await load(lib);
    await load(patch);
    await observe.transitionEnd(patch);
    for (const text of ['1', 'y', 'on', '1\n']) await write(patch, text);
    await observe.sysfs(patch);
    await observe.call(lib.alpha);
  },
});

const second = livepatch('klp_beta', { klp_target: ['klp_target_beta'] });

export const words = scenario({
  id: 'words-in-enabled',
  title: 'Words are taken by their first letter, where the kernel knows that letter: "foo" and "disable" switch a patch off on some',
  clauses: ['SYS-2', 'ENA-3'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch, second],
  async run({ load, write, observe }) {
    await load(lib);
    await load(patch);
    await observe.transitionEnd(patch);
    await load(second);
    await observe.transitionEnd(second);
    for (const text of ['true', 'enable', 'yes', 'on', 'On', 'entirely']) {
      await write(second, text);
      await observe.sysfs(second);
    }
    await write(second, 'foo');
    await observe.transitionEnd(second);
    await observe.call(lib.beta);
    await write(patch, 'disable');
    await observe.transitionEnd(patch);
    await observe.call(lib.alpha);
    await observe.threads();
  },
});

export const offWords = scenario({
  id: 'off-in-enabled',
  title: 'A patch is disabled by any of 0, n, N, no and off',
  clauses: ['SYS-2', 'ENA-12', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, ...['n', 'no', 'off'].map((word) => livepatch(`klp_${word}`, { klp_target: ['klp_target_alpha'] }))],
  async run({ load, write, observe }) {
    await load(lib);
    for (const word of ['n', 'no', 'off']) {
      const one = livepatch(`klp_${word}`, { klp_target: ['klp_target_alpha'] });
      await load(one);
      await observe.transitionEnd(one);
      await observe.call(lib.alpha);
    }
    for (const word of ['off', 'no', 'n']) {
      const one = livepatch(`klp_${word}`, { klp_target: ['klp_target_alpha'] });
      await write(one, word === 'n' ? 'N\n' : word);
      await observe.transitionEnd(one);
      await observe.call(lib.alpha);
    }
  },
});
