// SPDX-License-Identifier: MIT
import { gateOf, livepatch, scenario, target, warningUnderForks } from '../harness/index.js';

/* Transitions that are turned round, judged on a timeline. */

const lib = target('klp_target');
const uses = [gateOf(lib)];
const patch = livepatch('klp_alpha', { klp_target: ['klp_target_alpha'] }, { uses });
const upper = livepatch('klp_upper', { klp_target: ['klp_target_alpha'] }, { uses });

/** A hundred: as often as the opposite is written in a row, with who holds either way asleep meanwhile. */
const hundred = 100;

export const hundredReversals = scenario({
  id: 'hundred-reversals-under-forks',
  title: 'A held enable and a held disable are turned round a hundred times in a row, while tasks fork: no thread is where it may not be',
  clauses: ['TRN-6', 'TRN-1', 'TRN-2', 'TRN-5', 'TRN-16', 'CHK-1', 'CHK-3', 'ENA-3'],
  splats: [warningUnderForks],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  async run({ load, disable, park, storm, turn, watch, observe }) {
    await load(lib);
    const watched = await watch(patch);
    const forks = await storm('forks');
    const inOld = await park(lib.alpha);
    await load(patch);
    await observe.settledThreads();
    const inNew = await park(lib.alpha);
    await turn(patch, hundred);
    await forks.witness();
    await observe.settledThreads();
    await inOld.witness();
    await turn(patch, 1);
    await observe.settledThreads();
    await inNew.witness();
    await turn(patch, 1);
    await inOld.release();
    await observe.transitionEnd(patch);
    await observe.call(lib.alpha);

    await disable(patch);
    await observe.settledThreads();
    await inNew.witness();
    const back = await park(lib.alpha);
    await turn(patch, hundred);
    await forks.witness();
    await observe.settledThreads();
    await inNew.witness();
    await inNew.release();
    await observe.transitionEnd(patch);
    await back.release();
    await forks.release();
    await observe.threads();
    await observe.call(lib.alpha);
    await watched.end();
  },
});

/** Sleepers that leave one after the other: a transition has as many stages. */
const stages = 3;

export const reversalAtEveryStage = scenario({
  id: 'reversal-at-every-stage',
  title: 'A transition is turned round and back whenever one of three sleepers has left, and goes on as if it had not been: an enable and a disable',
  clauses: ['TRN-6', 'TRN-1', 'TRN-5', 'CHK-1', 'CHK-3'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch],
  async run({ load, disable, park, turn, watch, observe }) {
    await load(lib);
    const watched = await watch(patch);
    for (const begin of [load, disable]) {
      const sleepers = [];
      for (let i = 0; i < stages; i++) sleepers.push(await park(lib.alpha));
      await begin(patch);
      await observe.settledThreads();
      // Holds the way back, which would be at its end otherwise before it is turned again.
      const opposite = await park(lib.alpha);
      for (const sleeper of sleepers) {
        await turn(patch, 1);
        await observe.settledThreads();
        await opposite.witness();
        await turn(patch, 1);
        await observe.settledThreads();
        await sleeper.call(lib.alpha);
        await sleeper.witness();
        await sleeper.release();
      }
      await observe.transitionEnd(patch);
      await opposite.release();
      await observe.threads();
      await observe.call(lib.alpha);
    }
    await watched.end();
  },
});

export const stackedReversal = scenario({
  id: 'reversal-of-the-upper-of-two-patches',
  title: 'The upper of two patches is turned round once and twice, from its enable and its disable: the lower one stays as it is',
  clauses: ['TRN-6', 'TRN-1', 'CHK-2', 'CHK-3', 'TRN-5', 'ENA-12'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch, upper],
  async run({ load, disable, park, turn, watch, observe }) {
    await load(lib);
    await load(patch);
    await observe.transitionEnd(patch);
    const watched = await watch(patch, upper);
    const inLower = await park(lib.alpha);
    await load(upper);
    await observe.settledThreads();
    await inLower.witness();
    const inUpper = await park(lib.alpha);
    await turn(upper, 1);
    await observe.settledThreads();
    await inUpper.witness();
    await inUpper.call(lib.alpha);
    await turn(upper, 1);
    await observe.settledThreads();
    await inLower.call(lib.alpha);
    await observe.sysfs(patch);
    await inLower.release();
    await observe.transitionEnd(upper);
    await observe.call(lib.alpha);

    await disable(upper);
    await observe.settledThreads();
    const again = await park(lib.alpha);
    await turn(upper, 1);
    await observe.settledThreads();
    await again.witness();
    await turn(upper, 1);
    await observe.settledThreads();
    await inUpper.witness();
    await inUpper.release();
    await observe.transitionEnd(upper);
    await observe.call(lib.alpha);
    await again.release();
    await watched.end();
  },
});

const above = livepatch('klp_above', { klp_target: ['klp_target_beta'] }, { driven: true });

export const onePatchInTransition = scenario({
  id: 'one-patch-in-transition',
  title: 'One patch is in transition at a time: on 4.14 the newest of the enabled ones, with a disabled one above it; later any',
  clauses: ['TRN-4', 'TRN-1', 'TRN-5', 'CHK-3', 'ENA-7', 'DIS-4'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, patch, above],
  async run({ api, load, disable, enable, model, park, watch, observe }) {
    await load(lib);
    const watched = await watch(patch, above);
    await load(patch);
    await observe.transitionEnd(patch);
    await load(above);
    const registers = model.facts.capabilities.has('registration');
    if (registers) await api.register(above);
    else await api.enable(above);
    await observe.transitionEnd(above);

    const sleeper = await park(lib.alpha);
    await disable(patch);
    await observe.settledThreads();
    await sleeper.witness();
    await (registers ? enable(above) : disable(above));
    await observe.settledThreads();
    await sleeper.witness();
    await sleeper.release();
    await observe.transitionEnd(patch);
    await observe.call(lib.alpha);
    if (!registers) {
      await disable(above);
      await observe.transitionEnd(above);
    }
    await observe.call(lib.beta);
    await watched.end();
  },
});
