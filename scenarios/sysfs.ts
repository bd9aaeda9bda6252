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
