// SPDX-License-Identifier: MIT
import { livepatch, scenario, target } from '../harness/index.js';

const lib = target('klp_target');
const patch = livepatch('klp_later', { klp_target: ['klp_target_alpha'] });

export const moduleLoadedLater = scenario({
  id: 'module-loaded-after-patch',
  title: 'A patch for a module that is not there yet is applied when the module comes, and reverted when it goes',
  clauses: ['REG-15', 'MOD-1', 'MOD-4', 'TRN-2', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  async run({ load, unload, disable, observe }) {
    await load(patch);
    await observe.transitionEnd(patch);
    await observe.sysfs(patch);
    await load(lib);
    await observe.call(lib.alpha);
    await observe.ftrace(lib.alpha);
    await unload(lib);
    await observe.ftrace(lib.alpha);

    await load(lib);
    await observe.call(lib.alpha);
    await observe.threads();
    await disable(patch);
    await observe.transitionEnd(patch);
    await observe.call(lib.alpha);
  },
});
