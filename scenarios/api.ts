// SPDX-License-Identifier: MIT
import { gateOf, livepatch, scenario, target } from '../harness/index.js';

/*
 * The registration interface of 4.12 to 5.0, function by function: what its sysfs files and insmod hide.
 */

const lib = target('klp_target');
const needs = ['livepatch', 'reliable-stacks', 'registration'] as const;
const driven = livepatch('klp_driven', { klp_target: ['klp_target_alpha'] }, { driven: true });
const drivenToo = livepatch('klp_driven_too', { klp_target: ['klp_target_alpha'] }, { driven: true });
const older = livepatch('klp_older', { klp_target: ['klp_target_beta'] });
const newer = livepatch('klp_newer', { klp_target: ['klp_target_beta'] });
/** A task can sleep in its replacement. */
const gated = livepatch('klp_gated_api', { klp_target: ['klp_target_alpha'] }, { driven: true, uses: [gateOf(lib)] });

export const notRegistered = scenario({
  id: 'calls-for-an-unregistered-patch',
  title: 'A patch that is not registered can be neither enabled nor disabled nor unregistered; nor can a NULL pointer',
  clauses: ['ENA-1', 'DIS-1', 'UNR-1', 'REG-1', 'REG-23'],
  needs,
  modules: [lib, driven],
  async run({ load, api, observe }) {
    await load(lib);
    await load(driven);
    for (const which of ['first', 'null'] as const) {
      await api.enable(driven, which);
      await api.disable(driven, which);
      await api.unregister(driven, which);
    }
    await api.register(driven, 'null');
    await observe.patches();

    await api.register(driven);
    await api.unregister(driven);
    await api.enable(driven);
    await api.unregister(driven);
    await observe.call(lib.alpha);
    await observe.threads();
  },
});

export const lifeByCalls = scenario({
  id: 'life-cycle-by-calls',
  title: 'Register, enable, disable, enable again, disable, unregister: each call does its part, and calls out of turn are refused',
  clauses: ['REG-20', 'ENA-4', 'ENA-8', 'ENA-12', 'DIS-1', 'DIS-4', 'DIS-6', 'UNR-2', 'UNR-4', 'ENA-9'],
  needs,
  modules: [lib, driven],
  splats: [/klp_enable_patch/],
  async run({ load, unload, api, observe }) {
    await load(lib);
    await load(driven);
    await api.register(driven);
    await api.disable(driven);
    for (let cycle = 0; cycle < 2; cycle++) {
      await api.enable(driven);
      await observe.transitionEnd(driven);
      await observe.call(lib.alpha);
      await observe.references(driven);
      await api.enable(driven);
      await api.unregister(driven);
      await unload(driven);
      await observe.sysfs(driven);
      await api.disable(driven);
      await observe.transitionEnd(driven);
      await observe.references(driven);
      await observe.call(lib.alpha);
      await api.disable(driven);
    }
    await observe.sysfs(driven);
    await api.unregister(driven);
    await observe.sysfs(driven);
    await unload(driven);
  },
});

export const duringOwnEnable = scenario({
  id: 'calls-during-own-enable',
  title: 'While its own enable is held, a patch can be neither enabled nor disabled by call, nor unregistered; a write of 0 turns it round',
  clauses: ['ENA-8', 'DIS-3', 'UNR-2', 'TRN-6', 'CHK-1'],
  needs,
  modules: [lib, driven],
  async run({ load, api, disable, park, observe }) {
    await load(lib);
    await load(driven);
    await api.register(driven);
    const sleeper = await park(lib.alpha);
    await api.enable(driven);
    await observe.settledThreads();
    await sleeper.witness();
    await api.enable(driven);
    await api.disable(driven);
    await api.unregister(driven);
    await observe.sysfs(driven);
    await sleeper.witness();

    await disable(driven);
    await observe.transitionEnd(driven);
    await observe.threads();
    await observe.call(lib.alpha);
    await sleeper.release();
  },
});

export const stackByCalls = scenario({
  id: 'stack-order-by-calls',
  title: 'Calls keep to the order of registration: the newest enabled patch is disabled first, the oldest disabled one enabled first',
  clauses: ['DIS-2', 'ENA-5', 'ENA-12', 'DIS-4'],
  needs,
  modules: [lib, driven, drivenToo],
  async run({ load, api, observe }) {
    await load(lib);
    for (const patch of [driven, drivenToo]) {
      await load(patch);
      await api.register(patch);
      await api.enable(patch);
      await observe.transitionEnd(patch);
    }
    await api.disable(driven);
    await observe.call(lib.alpha);

    for (const patch of [drivenToo, driven]) {
      await api.disable(patch);
      await observe.transitionEnd(patch);
      await observe.call(lib.alpha);
    }
    await api.enable(drivenToo);
    await observe.sysfs(drivenToo);
    await observe.call(lib.alpha);
    for (const patch of [driven, drivenToo]) {
      await api.enable(patch);
      await observe.transitionEnd(patch);
      await observe.call(lib.alpha);
    }
  },
});

export const callsWhileAnother = scenario({
  id: 'calls-during-the-transition-of-another',
  title: 'While another patch is in transition no patch can be enabled or disabled, neither by call nor by insmod nor by write',
  clauses: ['ENA-7', 'CHK-1', 'TRN-5'],
  needs,
  modules: [lib, driven, older, newer],
  async run({ load, write, api, park, observe }) {
    await load(lib);
    await load(older);
    await observe.transitionEnd(older);
    await load(driven);
    await api.register(driven);
    const sleeper = await park(lib.alpha);
    await api.enable(driven);
    await observe.settledThreads();
    await sleeper.witness();

    await load(newer);
    await write(older, '0');
    await observe.sysfs(older);
    await sleeper.release();
    await observe.transitionEnd(driven);
    await observe.call(lib.alpha);
    await observe.call(lib.beta);
  },
});

export const registeredInTransition = scenario({
  id: 'enable-by-call-during-another-transition',
  title: 'A patch can be registered while another is in transition, but enabled only when that has ended',
  clauses: ['ENA-7', 'REG-20', 'ENA-12'],
  needs,
  modules: [lib, driven, older],
  async run({ load, api, park, observe }) {
    await load(lib);
    await load(driven);
    const sleeper = await park(lib.beta);
    await load(older);
    await observe.settledThreads();
    await sleeper.witness();
    await api.register(driven);
    await api.enable(driven);
    await observe.sysfs(driven);
    await sleeper.release();
    await observe.transitionEnd(older);
    await api.enable(driven);
    await observe.transitionEnd(driven);
    await observe.call(lib.alpha);
  },
});

export const unregisterInTransition = scenario({
  id: 'unregister-during-own-disable',
  title: 'A patch is unregistered while its disable is held: it leaves the list, and its transition goes on without a file to turn it',
  clauses: ['UNR-3', 'UNR-4', 'CHK-3', 'DIS-6', 'ENA-7', 'ENA-9'],
  needs,
  modules: [lib, gated, older],
  async run({ load, unload, api, park, observe }) {
    await load(lib);
    await load(gated);
    await api.register(gated);
    await api.enable(gated);
    await observe.transitionEnd(gated);
    const sleeper = await park(lib.alpha);
    await api.disable(gated);
    await observe.settledThreads();
    await sleeper.witness();

    await api.unregister(gated);
    await observe.sysfs(gated);
    await observe.settledThreads();
    await unload(gated);
    await load(older);

    await sleeper.release();
    await observe.settledThreads();
    await observe.references(gated);
    await observe.call(lib.alpha);
    await unload(gated);
  },
});

export const unregisterWaits = scenario({
  id: 'unregister-waits-for-the-release',
  title: 'Unregistering waits until nobody refers to the kobject of the patch any more; its directory stays until then',
  clauses: ['UNR-4'],
  needs,
  modules: [lib, driven],
  async run({ load, unload, api, observe }) {
    await load(lib);
    await load(driven);
    await api.register(driven);
    await api.hold(driven);
    const call = await api.beginUnregister(driven);
    await call.waits();
    await observe.patches();
    await api.letGo(driven);
    await call.end();
    await call.waits();
    await observe.sysfs(driven);
    await unload(driven);
  },
});

export const unloadRegistered = scenario({
  id: 'unload-without-unregister',
  title: 'Nothing keeps the module of a registered, disabled patch from being unloaded',
  clauses: ['UNR-5', 'REG-20'],
  needs,
  modules: [lib, driven],
  // What the list then points to is gone: nothing is looked at any more.
  async run({ load, unload, api, observe }) {
    await load(lib);
    await load(driven);
    await api.register(driven);
    await observe.references(driven);
    await unload(driven);
  },
});
