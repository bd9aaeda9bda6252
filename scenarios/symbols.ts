// SPDX-License-Identifier: MIT
import { livepatch, scenario, target } from '../harness/index.js';

/*
 * Which symbol a patch means, and what may stand for it.
 */

const lib = target('klp_target');
const other = target('klp_other');

/** A static function that every kernel has several of. */
const ambiguous = 'init_once';
const vague = livepatch('klp_vague', { vmlinux: [ambiguous] });
const beyond = livepatch('klp_beyond', { vmlinux: [{ name: ambiguous, sympos: 9999 }] });
const vagueTwin = livepatch('klp_vague_twin', { klp_target: ['klp_target_twin'] });
const thirdTwin = livepatch('klp_third_twin', { klp_target: [{ name: 'klp_target_twin', sympos: 3 }] });
const secondAlpha = livepatch('klp_second_alpha', { klp_target: [{ name: 'klp_target_alpha', sympos: 2 }] });

export const wrongPositions = scenario({
  id: 'wrong-symbol-positions',
  title: 'A name that an object has several times needs a position, and one that the object has',
  clauses: ['REG-11', 'REG-12', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, vague, beyond, vagueTwin, thirdTwin, secondAlpha],
  async run({ load, observe }) {
    await load(lib);
    for (const patch of [vague, beyond, vagueTwin, thirdTwin, secondAlpha]) {
      await load(patch);
      await observe.sysfs(patch);
    }
    await observe.call(lib.twin1);
    await observe.call(lib.twin2);
    await observe.call(lib.alpha);
  },
});

const firstTwin = livepatch('klp_first_twin', { klp_target: [{ name: 'klp_target_twin', sympos: 1 }] });
const secondTwin = livepatch('klp_second_twin', { klp_target: [{ name: 'klp_target_twin', sympos: 2 }] });

export const twins = scenario({
  id: 'two-functions-of-one-name',
  title: 'Of two static functions of one name in a module, the position says which is patched',
  clauses: ['REG-14', 'REG-9', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, firstTwin, secondTwin],
  async run({ load, disable, observe }) {
    const both = async (): Promise<void> => {
      await observe.call(lib.twin1);
      await observe.call(lib.twin2);
    };
    await load(lib);
    await both();
    await load(secondTwin);
    await observe.transitionEnd(secondTwin);
    await observe.sysfs(secondTwin);
    await both();
    await load(firstTwin);
    await observe.transitionEnd(firstTwin);
    await observe.sysfs(firstTwin);
    await both();
    await disable(firstTwin);
    await observe.transitionEnd(firstTwin);
    await both();
    await disable(secondTwin);
    await observe.transitionEnd(secondTwin);
    await both();
  },
});

const common = livepatch('klp_one_common', { klp_target: ['klp_common'] });

export const twoModules = scenario({
  id: 'one-name-in-two-modules',
  title: 'Two modules have a function of one name: the one in the object that the patch names is patched, and only that',
  clauses: ['ENA-12', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, other, common],
  async run({ load, disable, observe }) {
    await load(other);
    await load(lib);
    await load(common);
    await observe.transitionEnd(common);
    await observe.call(lib.common);
    await observe.call(other.common);
    await disable(common);
    await observe.transitionEnd(common);
    await observe.call(lib.common);
    await observe.call(other.common);
  },
});

const position1 = livepatch('klp_position_1', { klp_target: [{ name: 'klp_target_alpha', sympos: 1 }] });

export const uniquePosition = scenario({
  id: 'position-of-a-unique-symbol',
  title: 'A symbol that is there once may be given the position 1 as well as 0',
  clauses: ['REG-13', 'REG-9', 'ENA-12'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, position1],
  async run({ load, observe }) {
    await load(lib);
    await load(position1);
    await observe.transitionEnd(position1);
    await observe.sysfs(position1);
    await observe.call(lib.alpha);
  },
});

const toData = livepatch('klp_to_data', { klp_target: ['klp_target_alpha', 'klp_target_datum'] }, { driven: true });

export const dataSymbol = scenario({
  id: 'data-symbol',
  title: 'A patch of a data symbol is taken, but cannot be enabled; nothing stays patched',
  clauses: ['REG-16', 'ENA-10'],
  needs: ['livepatch', 'reliable-stacks', 'all-symbols'],
  modules: [lib, toData],
  async run(context) {
    const { load, api, model, observe } = context;
    await load(lib);
    await load(toData);
    if (model.facts.capabilities.has('registration')) await api.register(toData);
    await api.enable(toData);
    await observe.sysfs(toData);
    await observe.threads();
    await observe.call(lib.alpha);
    await observe.ftrace(lib.alpha);
  },
});

const nowhere = livepatch('klp_to_nowhere', {
  klp_target: ['klp_target_alpha', { name: 'klp_target_beta', replacement: 'nowhere' }],
});

export const replacementNowhere = scenario({
  id: 'replacement-in-no-symbol',
  title: 'A replacement that lies in no symbol is refused',
  clauses: ['REG-17', 'REG-10', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, nowhere],
  async run({ load, observe }) {
    await load(lib);
    await load(nowhere);
    await observe.sysfs(nowhere);
    await observe.call(lib.alpha);
    await observe.call(lib.beta);
  },
});
