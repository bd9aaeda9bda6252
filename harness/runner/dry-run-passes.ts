// SPDX-License-Identifier: MIT
import { functionKey, vmlinux } from '../model/description.js';
import type { SeenPasses } from '../model/observations/passes.js';
import { type Pair, type PassFunctions, reachablePairs } from '../model/passes.js';
import { SituationError } from '../model/reference.js';
import { isLoaded } from '../model/state.js';
import type { DryRecord } from './dry-run-record.js';
import { passerCount, enoughPasses, requireMixed, secondOf } from './passes.js';
import type { Passers } from './scenario.js';

/** Passes in a dry run: of every way that is allowed there are some. */
export function dryPasses(record: DryRecord, functions: PassFunctions): Passers {
  const { kernel } = record;
  const what = `passes through ${functions.map(functionKey).join(' and ')}`;
  secondOf(...functions);
  for (const { object } of functions) {
    if (object !== vmlinux && !isLoaded(kernel.state, object)) throw new SituationError(`the target module ${object} is not loaded`);
  }
  record.operate({ kind: 'passes', functions }, `begin ${what}`);
  return {
    tids: Array.from({ length: passerCount }, (_none, i) => 901 + i),
    look: ({ atLeast = enoughPasses, callers = [], mixed = false } = {}) => {
      const { state } = kernel;
      const seen = (caller: number | null, pairs: readonly Pair[]): readonly SeenPasses[] =>
        pairs.map((pair) => ({ caller, pair, count: atLeast }));
      const asked = callers.flatMap(({ tid }) => seen(tid, reachablePairs(state, functions, tid)));
      const passes = [...seen(null, state.passing?.pairs ?? []), ...asked];
      requireMixed(mixed, passes, what);
      record.witness(what);
      record.observe(what, { kind: 'passes', functions, passes });
      return Promise.resolve();
    },
    release: () => {
      record.operate({ kind: 'passes', functions: null }, `end ${what}`);
      return Promise.resolve();
    },
  };
}
