// SPDX-License-Identifier: MIT
import { type StormKind, gateOf, livepatch, scenario, stormModule, target, warningUnderForks } from '../harness/index.js';

/* Transitions on a system that is busy: they end, and no thread is where it may not be meanwhile. */

const lib = target('klp_target');
const patch = livepatch('klp_pair', { klp_target: ['klp_target_alpha', 'klp_target_beta'] }, { uses: [gateOf(lib)] });
const comesAndGoes = stormModule('klp_storm');

const underLoad = (id: string, title: string, kind: StormKind) =>
  scenario({
    id,
    title,
    clauses: ['ENA-4', 'ENA-14', 'TRN-1', 'TRN-2', 'TRN-5', 'DIS-4', ...(kind === 'forks' ? ['TRN-16'] : [])],
    needs: ['livepatch', 'reliable-stacks'],
    modules: [lib, patch, ...(typeof kind === 'string' ? [] : [kind])],
    splats: kind === 'forks' ? [warningUnderForks] : [],
    async run({ load, unload, disable, passes, storm, watch, observe }) {
      await load(lib);
      const watched = await watch(patch);
      const passers = await passes(lib.alpha, lib.beta);
      const busy = await storm(kind);
      await busy.witness();
      for (let i = 0; i < 2; i++) {
        await load(patch);
        await observe.transitionEnd(patch);
        await busy.witness();
        await passers.look({ atLeast: 500 });
        await disable(patch);
        await observe.transitionEnd(patch);
        await observe.references(patch);
        await passers.look({ atLeast: 500 });
        await unload(patch);
      }
      await busy.witness();
      await passers.release();
      await busy.release();
      await observe.threads();
      await watched.end();
    },
  });

export const underForks = underLoad(
  'transition-under-forks',
  'Patched functions are called all the time, and tasks fork: a patch is enabled and disabled twice',
  'forks',
);

export const onBusyCpus = underLoad(
  'transition-on-busy-cpus',
  'Patched functions are called all the time, and tasks compute on every CPU: a patch is enabled and disabled twice',
  'computing',
);

export const underModuleLoads = underLoad(
  'transition-under-module-loads',
  'Patched functions are called all the time, and an unrelated module comes and goes: a patch is enabled and disabled twice',
  comesAndGoes,
);

export const underExecs = underLoad(
  'transition-under-execs',
  'Patched functions are called all the time, and a task executes one program after the other: a patch is enabled and disabled twice',
  'execs',
);

export const inLowMemory = underLoad(
  'transition-in-low-memory',
  'Patched functions are called all the time, and hardly any memory is left: a patch is enabled and disabled twice',
  'low-memory',
);

/** As many as SUSE's qa_test_klp enables one after the other. */
const succession = Array.from({ length: 15 }, (_none, i) =>
  livepatch(`klp_pair_${i + 1}`, { klp_target: ['klp_target_alpha', 'klp_target_beta'] }, { uses: [gateOf(lib)] }),
);

export const quickSuccession = scenario({
  id: 'fifteen-patches-in-quick-succession',
  title: 'Patched functions are called all the time: fifteen patches of them are enabled one upon the other, and disabled from the top',
  clauses: ['ENA-4', 'ENA-12', 'ENA-14', 'TRN-1', 'TRN-2', 'DIS-4', 'DIS-5'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, ...succession],
  async run({ load, disable, model, passes, watch, observe }) {
    await load(lib);
    const watched = await watch(...succession);
    const passers = await passes(lib.alpha, lib.beta);
    for (const patch of succession) {
      await load(patch);
      await observe.transitionEnd(patch);
      await observe.call(lib.alpha);
      await passers.look({ atLeast: 100 });
    }
    await observe.ftrace(lib.alpha);
    for (const patch of [...succession].reverse()) {
      await disable(patch);
      await observe.transitionEnd(patch);
      if (!model.facts.capabilities.has('registration')) await observe.departure(patch);
      await observe.call(lib.alpha);
      await passers.look({ atLeast: 100 });
    }
    await observe.ftrace(lib.alpha);
    await passers.release();
    await observe.threads();
    await watched.end();
  },
});
