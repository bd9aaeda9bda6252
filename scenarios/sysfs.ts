// SPDX-License-Identifier: MIT
import { gateOf, livepatch, scenario, target } from '../harness/index.js';

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

const gated = livepatch('klp_gated_words', { klp_target: ['klp_target_alpha'] }, { uses: [gateOf(lib)] });

export const onWords = scenario({
  id: 'on-in-enabled',
  title: 'A disable that is held is turned round by any of 1, y, Y, yes and on, and by nothing that is no boolean or says 0',
  clauses: ['SYS-2', 'SYS-3', 'ENA-3', 'CHK-3', 'TRN-5'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, gated],
  async run({ load, write, park, observe }) {
    await load(lib);
    await load(gated);
    await observe.transitionEnd(gated);
    const sleeper = await park(lib.alpha);
    for (const text of ['1', 'y', 'Yes', 'on', '1junk']) {
      await write(gated, '0');
      await observe.settledThreads();
      await sleeper.witness();
      for (const refused of ['2', 'o', 'x', '\n', '0', 'off']) await write(gated, refused);
      await observe.sysfs(gated);
      await write(gated, text);
      await observe.sysfs(gated);
      await observe.transitionEnd(gated);
      await observe.call(lib.alpha);
    }
    await sleeper.release();
  },
});

export const currentWhileHeld = scenario({
  id: 'current-value-while-held',
  title: 'Writing the target that a held transition already has is refused, and turns nothing',
  clauses: ['SYS-3', 'ENA-3', 'CHK-1', 'TRN-5', 'TRN-6'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  async run({ load, write, park, observe }) {
    await load(lib);
    const sleeper = await park(lib.alpha);
    await load(patch);
    await observe.settledThreads();
    await sleeper.witness();
    await write(patch, '1');
    await observe.sysfs(patch);
    await observe.settledThreads();
    await sleeper.witness();
    await write(patch, '0');
    await observe.transitionEnd(patch);
    await observe.call(lib.alpha);
    await sleeper.release();
  },
});

const three = ['klp_one', 'klp_two', 'klp_three'].map((name) => livepatch(name, { klp_target: ['klp_target_alpha'] }));

export const placesInTheStack = scenario({
  id: 'places-in-the-stack',
  title: 'Each of three patches says its place, from the oldest on; when the one in the middle has gone, the newest moves down',
  clauses: ['REP-5'],
  needs: ['livepatch', 'reliable-stacks', 'replace', 'sysfs-stack-order'],
  modules: [lib, ...three],
  async run({ load, disable, observe }) {
    await load(lib);
    for (const one of three) {
      await load(one);
      await observe.transitionEnd(one);
      await observe.sysfs(one);
    }
    const [oldest, middle, newest] = three as [typeof patch, typeof patch, typeof patch];
    await disable(middle);
    await observe.transitionEnd(middle);
    await observe.departure(middle);
    for (const one of [oldest, newest]) await observe.sysfs(one);
  },
});
