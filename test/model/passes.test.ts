// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import t from 'tap';
import { livepatch, target } from '../../harness/model/description.js';
import { factsLike } from '../../harness/model/generations.js';
import { learn } from '../../harness/model/observations/index.js';
import { type Operation, step } from '../../harness/model/operations/index.js';
import type { PassFunctions } from '../../harness/model/passes.js';
import { settled } from '../../harness/model/progress.js';
import { type State, pristine } from '../../harness/model/state.js';

const lib = target('klp_target');
const functions: PassFunctions = [lib.alpha, lib.beta];
const pair = livepatch('klp_pair', { klp_target: ['klp_target_alpha', 'klp_target_beta'] });
const outer = livepatch('klp_outer', { klp_target: ['klp_target_alpha'] });
const inner = livepatch('klp_inner', { klp_target: ['klp_target_beta'] });

const park = (tid: number, f: 'alpha' | 'beta', body: string): Operation =>
  ({ kind: 'park', tid, by: 'user', activity: 'uninterruptible', function: lib[f], body });
const begin: Operation = { kind: 'passes', functions };
const load = (module: typeof pair | typeof lib): Operation => ({ kind: 'load', module });

for (const like of ['4.14', '7.3'] as const) {
  const facts = factsLike(like);
  /** The first way that each operation may end; what nothing holds is over before the next. */
  const after = (state: State, ...operations: readonly Operation[]): State =>
    operations.reduce((s, op) => settled(step(s, op, facts)[0]?.next ?? s, facts), state);
  const pairs = (state: State): readonly string[] => state.passing?.pairs.map((p) => p.join(' + ')) ?? [];
  const looked = (state: State): State => learn(state, { kind: 'passes', functions, passes: [] });

  void t.test(`what passes may reach, ${like}`, (t) => {
    const resting = after(pristine, load(lib), begin);
    t.strictSame(pairs(resting), ['original + original']);
    const held = after(resting, park(7, 'alpha', 'original'), load(pair));
    t.strictSame(pairs(held), ['original + original', 'klp_pair + klp_pair'], 'of one patch both or none');
    const over = after(held, { kind: 'release', tid: 7 });
    t.strictSame(pairs(over), pairs(held), 'until somebody looks, what was there before is counted too');
    t.strictSame(pairs(looked(over)), ['klp_pair + klp_pair']);
    t.strictSame(pairs(after(looked(over), { kind: 'passes', functions: null })), []);

    const two = after(pristine, load(lib), load(outer), park(7, 'beta', 'original'), begin, load(inner));
    t.strictSame(pairs(looked(two)), ['klp_outer + klp_inner', 'klp_outer + original'], 'of two patches one may be seen without the other');
    t.end();
  });

  void t.test(`with one patch no pass is ever mixed, ${like}`, (t) => {
    const operations = fc.constantFrom<Operation>(
      load(pair),
      { kind: 'unload', module: 'klp_pair' },
      { kind: 'write-enabled', patch: 'klp_pair', text: '0' },
      { kind: 'write-enabled', patch: 'klp_pair', text: '1' },
      park(7, 'alpha', 'original'),
      park(8, 'beta', 'klp_pair'),
      { kind: 'release', tid: 7 },
      { kind: 'release', tid: 8 },
    );
    fc.assert(
      fc.property(fc.array(operations, { minLength: 5, maxLength: 30 }), (list) => {
        let state = after(pristine, load(lib), begin);
        for (const op of list) {
          const loaded = state.modules.some((m) => m.name === 'klp_pair');
          if ((op.kind === 'load' && loaded) || (op.kind === 'park' && state.tasks.some((task) => task.tid === op.tid))) continue;
          state = after(state, op);
          if (state.passing?.pairs.some(([a, b]) => a !== b)) throw new Error(`mixed: ${pairs(state).join(', ')}`);
        }
      }),
      { numRuns: 500 },
    );
    t.pass('held');
    t.end();
  });
}
