// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import t from 'tap';
import { livepatch, target } from '../../harness/model/description.js';
import { factsLike } from '../../harness/model/generations.js';
import { type Operation, type Outcome, step } from '../../harness/model/operations/index.js';
import { closure } from '../../harness/model/progress.js';
import { ReferenceModel } from '../../harness/model/reference.js';
import type { Construction, ShadowCall, ShadowReport } from '../../harness/model/shadow.js';
import { type State, pristine } from '../../harness/model/state.js';

/* Shadow variables, on the model alone. */

const today = factsLike('7.3');
const one = livepatch('klp_one', { klp_target: ['klp_target_alpha'] }, { shadow: true });
const two = livepatch('klp_two', { klp_target: ['klp_target_beta'] }, { shadow: true });
const silent = livepatch('klp_silent', {});

const rest = (state: State): State => closure(state, today).at(-1) ?? state;
const calls = (patch: string, call: ShadowCall): Operation => ({ kind: 'shadow', patch, call });

function did(state: State, op: Operation): State {
  const [outcome] = step(state, op, today);
  if (outcome?.errno !== 'OK') throw new Error(`${op.kind}: ${outcome?.errno ?? 'nothing'}`);
  return rest(outcome.next);
}

const both = [target('klp_target'), one, two, silent].reduce((state, module) => did(state, { kind: 'load', module }), pristine);
const here = { object: 1, id: 7 };

/** What a call comes to: `<clause> <returned> <ran>`. */
function comesTo(state: State, patch: string, call: ShadowCall): string {
  const { last } = did(state, calls(patch, call)).shadow;
  return [last?.clause, ...(last?.report.returned ?? []), ...(last?.report.ran ?? [])].join(' ');
}

void t.test('what a call comes to', (t) => {
  const made = did(both, calls('klp_one', { call: 'alloc', ...here, construct: 42 }));
  t.equal(comesTo(both, 'klp_one', { call: 'get', ...here }), 'SHD-1 NULL');
  t.equal(comesTo(both, 'klp_one', { call: 'alloc', ...here }), 'SHD-2 0');
  t.equal(comesTo(both, 'klp_one', { call: 'alloc', ...here, construct: 42 }), 'SHD-2 42 constructor 1=42');
  t.equal(comesTo(both, 'klp_one', { call: 'get_or_alloc', ...here, construct: 42 }), 'SHD-4 42 constructor 1=42');
  t.equal(comesTo(both, 'klp_one', { call: 'alloc', ...here, construct: 'fails' }), 'SHD-6 NULL constructor 1=failed');
  t.equal(comesTo(made, 'klp_one', { call: 'alloc', ...here, construct: 43 }), 'SHD-3 NULL');
  t.equal(comesTo(made, 'klp_one', { call: 'get_or_alloc', ...here, construct: 'fails' }), 'SHD-4 42');
  t.equal(comesTo(made, 'klp_two', { call: 'get_or_alloc', ...here }), 'SHD-9 42');
  t.equal(comesTo(made, 'klp_one', { call: 'get', object: 2, id: 7 }), 'SHD-1 NULL');
  t.equal(comesTo(made, 'klp_two', { call: 'free', ...here, destructor: true }), 'SHD-7 destructor 1=42');
  t.equal(comesTo(made, 'klp_two', { call: 'free', ...here, destructor: false }), 'SHD-7');
  t.equal(comesTo(made, 'klp_one', { call: 'free_all', id: 8, destructor: true }), 'SHD-8');

  const failed = did(both, calls('klp_one', { call: 'get_or_alloc', ...here, construct: 'fails' }));
  t.equal(comesTo(failed, 'klp_two', { call: 'get', ...here }), 'SHD-6 NULL');
  const freed = did(made, calls('klp_one', { call: 'free_all', id: 7, destructor: false }));
  t.equal(comesTo(freed, 'klp_one', { call: 'get', ...here }), 'SHD-8 NULL');
  t.strictSame(did(freed, calls('klp_one', { call: 'alloc', ...here })).shadow.gone, []);
  t.end();
});

void t.test('log lines have the id in hexadecimal', (t) => {
  const key = { object: 1, id: 0xbeef };
  const made = did(both, calls('klp_one', { call: 'alloc', ...key }));
  const said = (outcomes: readonly Outcome[]): unknown => outcomes.map((o) => [o.log, o.unlogged].map((list) => list.map((l) => l.pattern.source)));
  const duplicate = 'Duplicate shadow variable <\\S+, beef>';
  t.strictSame(said(step(made, calls('klp_two', { call: 'alloc', ...key }), today)), [[[duplicate], []]]);
  t.strictSame(said(step(made, calls('klp_two', { call: 'get_or_alloc', ...key }), today)), [[[], [duplicate]]]);
  t.match(said(step(both, calls('klp_one', { call: 'alloc', ...key, construct: 'fails' }), today)), [[[/, beef> \\\(-19\\\)$/], []]]);
  t.end();
});

void t.test('a variable outlives its patch', (t) => {
  let state = did(both, calls('klp_one', { call: 'alloc', ...here, construct: 42 }));
  const get = { call: 'get', ...here } as const;
  for (const op of [{ kind: 'write-enabled', patch: 'klp_one', text: '0' }, { kind: 'unload', module: 'klp_one' }, { kind: 'load', module: one }] as const) {
    state = did(state, op);
    const clause = op.kind === 'load' ? 'SHD-9' : 'SHD-10';
    t.equal(comesTo(state, 'klp_two', get), `${clause} 42`, op.kind);
  }
  t.end();
});

void t.test('only a module that is loaded and described so can call, where there are constructors', (t) => {
  const get = calls('klp_one', { call: 'get', ...here });
  t.strictSame(step(pristine, get, today), []);
  t.strictSame(step(both, calls('klp_silent', { call: 'get', ...here }), today), []);
  t.strictSame(step(both, get, factsLike('7.3', ['-shadow-constructors'])), []);
  t.end();
});

void t.test('who comes first of many is open until it is seen', (t) => {
  const seen = (returned: readonly string[], ran: readonly string[]): string => {
    const model = new ReferenceModel(today);
    const done = { errno: 'OK', log: ["livepatch: enabling patch 'klp_one'", "livepatch: 'klp_one': starting patching", 'klp_one: tainting kernel with TAINT_LIVEPATCH'] };
    model.operate({ kind: 'load', module: one }, 'load', done);
    const call = { call: 'race', ...here, tasks: 3 } as const;
    model.operate(calls('klp_one', call), 'race', { errno: 'OK', log: [] });
    const verdicts = (all: readonly { readonly verdict: string }[]): string => all.map((j) => j.verdict).join(' ');
    const race = verdicts(model.observe({ kind: 'shadow-call', patch: 'klp_one', call, report: { returned, ran } }));
    const values = new Set(model.states.flatMap((s) => s.shadow.variables.map((v) => v.value)));
    return `${race}, then ${[...values].join(' ')}`;
  };
  t.equal(seen(['2', '2', '2'], ['constructor 1=2']), 'pass pass, then 2');
  t.equal(seen(['3', '3', '3'], ['constructor 1=3']), 'pass pass, then 3');
  t.equal(seen(['2', '2', '3'], ['constructor 1=2']), 'fail pass, then 1 2 3');
  t.equal(seen(['2', '2', '2'], ['constructor 1=1', 'constructor 1=2']), 'pass fail, then 1 2 3');
  t.equal(seen(['2', 'NULL', '2'], ['constructor 1=2']), 'fail pass, then 1 2 3');
  t.end();
});

// ---- random calls ------------------------------------------------------------------------------------------------

const key = fc.record({ object: fc.nat(2), id: fc.nat(2) });
const construct = fc.option(fc.oneof(fc.nat(99), fc.constant('fails' as const)), { nil: undefined });
const call: fc.Arbitrary<ShadowCall> = fc.oneof(
  key.map((k) => ({ call: 'get', ...k }) as const),
  fc
    .tuple(fc.constantFrom('alloc', 'get_or_alloc'), key, construct)
    .map(([name, k, c]) => ({ call: name, ...k, ...(c === undefined ? {} : { construct: c }) }) as const),
  fc.tuple(key, fc.boolean()).map(([k, destructor]) => ({ call: 'free', ...k, destructor }) as const),
  fc.tuple(fc.nat(2), fc.boolean()).map(([id, destructor]) => ({ call: 'free_all', id, destructor }) as const),
  fc.tuple(key, fc.integer({ min: 2, max: 4 })).map(([k, tasks]) => ({ call: 'race', ...k, tasks }) as const),
);
const random = fc.array(fc.record({ patch: fc.constantFrom('klp_one', 'klp_two'), call, way: fc.nat(3) }), { maxLength: 40 });

/** The same API, told again as plainly as can be: a map from `object,id` to the data. */
class PlainMap {
  readonly map = new Map<string, number>();

  /** @param winner the one of a race that comes first */
  call(c: ShadowCall, winner: number): ShadowReport {
    if (c.call === 'free_all') return this.#free([...this.map.keys()].filter((k) => k.endsWith(`,${c.id}`)), c.destructor);
    const name = `${c.object},${c.id}`;
    const there = this.map.get(name);
    switch (c.call) {
      case 'get':
        return { returned: [String(there ?? 'NULL')], ran: [] };
      case 'free':
        return this.#free(there === undefined ? [] : [name], c.destructor);
      case 'race': {
        const { ran } = there === undefined ? this.#make(name, winner) : { ran: [] };
        return { returned: Array<string>(c.tasks).fill(String(this.map.get(name))), ran };
      }
      case 'alloc':
      case 'get_or_alloc':
        if (there === undefined) return this.#make(name, c.construct);
        return { returned: [c.call === 'alloc' ? 'NULL' : String(there)], ran: [] };
    }
  }

  #make(name: string, value: Construction | undefined): ShadowReport {
    const [object] = name.split(',');
    if (value === 'fails') return { returned: ['NULL'], ran: [`constructor ${object}=failed`] };
    this.map.set(name, value ?? 0);
    return { returned: [String(value ?? 0)], ran: value === undefined ? [] : [`constructor ${object}=${value}`] };
  }

  #free(names: readonly string[], destructor: boolean): ShadowReport {
    const ran = names.map((name) => `destructor ${name.split(',')[0]}=${this.map.get(name)}`).sort();
    for (const name of names) this.map.delete(name);
    return { returned: [], ran: destructor ? ran : [] };
  }
}

void t.test('property: any calls come to what a plain map comes to', (t) => {
  fc.assert(
    fc.property(random, (list) => {
      const plain = new PlainMap();
      let state = both;
      for (const { patch, call: c, way } of list) {
        const outcomes = step(state, calls(patch, c), today);
        const outcome = outcomes[way % outcomes.length];
        if (!outcome) throw new Error('no outcome');
        const own = JSON.stringify(plain.call(c, 1 + (way % outcomes.length)));
        const theirs = JSON.stringify(outcome.next.shadow.last?.report);
        if (own !== theirs) throw new Error(`${JSON.stringify(c)}: ${theirs}, and by the map ${own}`);
        state = outcome.next;
        const left = state.shadow.variables.map((v) => `${v.object},${v.id}=${v.value}`).sort().join(' ');
        if (left !== [...plain.map].map(([k, v]) => `${k}=${v}`).sort().join(' ')) throw new Error(`left: ${left}`);
      }
    }),
    { numRuns: 1000 },
  );
  t.pass('held over 1000 random sequences');
  t.end();
});

void t.test('property: a destructor runs at most once for what was made, and what was made is freed or there', (t) => {
  fc.assert(
    fc.property(random, (list) => {
      let made = 0;
      let freed = 0;
      let destroyed = 0;
      let state = both;
      for (const { patch, call: c, way } of list) {
        const outcomes = step(state, calls(patch, c), today);
        const outcome = outcomes[way % outcomes.length];
        if (!outcome) throw new Error('no outcome');
        const change = outcome.next.shadow.variables.length - state.shadow.variables.length;
        const ran = (what: string): number => outcome.next.shadow.last?.report.ran.filter((r) => r.startsWith(what)).length ?? 0;
        made += Math.max(change, 0);
        freed += Math.max(-change, 0);
        destroyed += ran('destructor');
        if (change > 1) throw new Error('several were made');
        if (ran('constructor') > 1 || (ran('constructor') === 1 && change === 0 && !('construct' in c && c.construct === 'fails'))) {
          throw new Error('a constructor ran for nothing');
        }
        state = outcome.next;
        const { variables, gone } = state.shadow;
        const keys = [...variables, ...gone].map(({ object, id }) => `${object},${id}`);
        if (new Set(keys).size !== keys.length) throw new Error('one variable twice, or there and gone');
        if (destroyed > freed || made !== freed + variables.length) throw new Error(`${made} made, ${freed} freed, ${destroyed} destroyed`);
      }
    }),
    { numRuns: 1000 },
  );
  t.pass('held over 1000 random sequences');
  t.end();
});
