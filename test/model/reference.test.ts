// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import t from 'tap';
import type { Capability } from '../../harness/model/capabilities.js';
import { parseBoolean } from '../../harness/model/booleans.js';
import { type LivepatchDescription, gateOf, livepatch, target } from '../../harness/model/description.js';
import { type Operation, step } from '../../harness/model/operations/index.js';
import { ReferenceModel, SituationError } from '../../harness/model/reference.js';
import { type Facts, type State, pristine, references } from '../../harness/model/state.js';
import { holders } from '../../harness/model/tasks.js';

const lib = target('klp_target');
const one = livepatch('klp_one', { klp_target: ['klp_target_alpha'] });
const two = livepatch('klp_two', { klp_target: ['klp_target_alpha', 'klp_target_beta'] });
const three = livepatch('klp_three', { vmlinux: ['cmdline_proc_show'], klp_target: ['klp_target_beta'] });
const lost = livepatch('klp_lost', { vmlinux: ['klp_no_such_function'] });

function facts(...capabilities: Capability[]): Facts {
  return {
    capabilities: new Set<Capability>(['livepatch', 'reliable-stacks', ...capabilities]),
    vmlinuxSymbols: (name) => (name === 'cmdline_proc_show' ? 1 : 0),
  };
}
const today = facts();
const registration = facts('registration');

/** The same states once more, so that one model can be asked several times. */
class ReferenceModelCopy extends ReferenceModel {
  constructor(private readonly of: ReferenceModel) {
    super(of.facts);
  }
  override get states(): readonly State[] {
    return this.of.states;
  }
}

const ok = { errno: 'OK', log: [] };
const load = (module: LivepatchDescription | typeof lib): Operation => ({ kind: 'load', module });
const park = (tid: number, f: typeof lib.alpha): Operation => ({
  kind: 'park',
  tid,
  by: 'user',
  activity: 'uninterruptible',
  function: f,
  body: 'original',
});
const write = (patch: LivepatchDescription, text: string): Operation => ({ kind: 'write-enabled', patch: patch.name, text });

/** A model that has seen these operations succeed, each transition left to end by itself. */
function after(f: Facts, ...operations: Operation[]): ReferenceModel {
  const model = new ReferenceModel(f);
  for (const op of operations) {
    const patch = op.kind === 'load' ? op.module.name : op.kind === 'write-enabled' ? op.patch : undefined;
    const [outcome] = model.allowed(op);
    model.operate(op, op.kind, { errno: outcome?.errno ?? '?', log: [] });
    if (patch !== undefined) model.observe({ kind: 'transition-end', patch, ended: true });
  }
  return model;
}

const errnos = (model: ReferenceModel, op: Operation): string[] => [...new Set(model.allowed(op).map((o) => o.errno))];

void t.test('what enabled makes of a text', (t) => {
  for (const text of ['1', 'y', 'Y', 'yes', 'on', 'ON', '1junk', 'y\n']) t.equal(parseBoolean(text, today), true, text);
  for (const text of ['0', 'n', 'N', 'no', 'off', 'oF', '0junk']) t.equal(parseBoolean(text, today), false, text);
  for (const text of ['', 'o', 'ox', '2', '-1', ' 1', '\n', 'junk', 'true', 'disable']) {
    t.equal(parseBoolean(text, today), undefined, JSON.stringify(text));
  }
  t.equal(parseBoolean('foo', facts('true-false')), false, 'a word that begins like false');
  t.equal(parseBoolean('entirely', facts('true-false')), undefined);
  t.equal(parseBoolean('entirely', facts('true-false', 'enabled-disabled')), true);
  fc.assert(
    fc.property(fc.constantFrom('1', 'y', 'N', '0', 'on', 'Off'), fc.string(), (word, junk) => {
      t.equal(parseBoolean(word + junk, today), parseBoolean(word, today));
    }),
  );
  t.end();
});

void t.test('loading a patch', (t) => {
  t.strictSame(errnos(new ReferenceModel(today), load(one)), ['OK'], 'its object need not be there');
  t.equal(step(pristine, load(one), today)[0]?.clause, 'REG-15');
  t.strictSame(errnos(new ReferenceModel(today), load(lost)), ['EINVAL']);
  t.equal(step(pristine, load(lost), today)[0]?.clause, 'REG-10');
  const bare: Facts = { ...today, capabilities: new Set<Capability>(['no-livepatch']) };
  t.equal(step(pristine, load(one), bare)[0]?.clause, 'REG-6');
  const noStack: Facts = { ...today, capabilities: new Set<Capability>(['livepatch', 'registration']) };
  t.equal(step(pristine, load(one), noStack)[0]?.errno, 'ENOSYS');
  const faulty = livepatch('klp_faulty', { vmlinux: ['cmdline_proc_show'] }, { fault: 'EF-01' });
  t.equal(step(pristine, load(faulty), today)[0]?.clause, 'REG-2');
  t.end();
});

void t.test('a second patch waits for the first transition only where something holds it', (t) => {
  const model = new ReferenceModel(today);
  model.operate(load(lib), 'insmod', ok);
  model.operate(park(7, lib.alpha), 'park', ok);
  model.operate(load(one), 'insmod', ok);
  t.strictSame(errnos(model, load(two)), ['EBUSY'], 'held');
  model.operate({ kind: 'release', tid: 7 }, 'release', ok);
  t.strictSame(errnos(model, load(two)).sort(), ['EBUSY', 'OK'], 'it may have ended by now, or not');
  t.end();
});

void t.test('stack order is enforced where patches are registered', (t) => {
  const old = after(registration, load(lib), load(one), load(two));
  t.strictSame(errnos(old, write(one, '0')), ['EBUSY']);
  const later = after(today, load(lib), load(one), load(two));
  t.strictSame(errnos(later, write(one, '0')), ['OK']);
  const disabled = after(registration, load(lib), load(one), load(two), write(two, '0'), write(one, '0'));
  const [refused, documented] = disabled.allowed(write(two, '1'));
  t.match(refused, { errno: 'EBUSY', clause: 'ENA-5', oracle: 'mainline', forbidden: true });
  t.match(documented, { errno: 'OK', clause: 'ENA-5', oracle: 'documents' }, 'the documents allow another order');
  const [out, anyOrder] = disabled.allowed(load(three));
  t.match(out, { errno: 'EBUSY', clause: 'ENA-6', forbidden: true }, 'a disabled older patch keeps newer ones out');
  t.match(anyOrder, { errno: 'OK', clause: 'ENA-6', oracle: 'documents' });
  t.end();
});

void t.test('verdicts of the two oracles', (t) => {
  const disabled = (): ReferenceModel =>
    after(registration, load(lib), load(one), load(two), write(two, '0'), write(one, '0'));
  const [deviation] = disabled().operate(write(two, '1'), 'write', { errno: 'EBUSY', log: [] });
  t.match(deviation, { clause: 'ENA-5', verdict: 'deviates', documents: { stance: 'forbid' } });
  const [vendor] = disabled().operate(write(two, '1'), 'write', ok);
  t.match(vendor, { clause: 'ENA-5', verdict: 'pass', documents: { stance: 'allow' }, mainline: { does: false } });
  t.throws(() => disabled().operate(write(two, '1'), 'write', { errno: 'ENOENT', log: [] }), {
    message: /^write: ENOENT; allowed: EBUSY/,
  });

  const silent = after(today, load(lib), load(one));
  t.match(silent.operate(write(one, '1'), 'write', { errno: 'EINVAL', log: [] }), [{ clause: 'SYS-3', verdict: 'pass' }]);
  const strange = { kind: 'references', module: 'klp_one', count: 5 } as const;
  t.match(after(today, load(lib), load(one)).observe(strange), [{ verdict: 'fail', seen: '5', mainline: { allowed: '1' } }]);
  t.end();
});

void t.test('a violation says what was allowed, what was seen and in which state', (t) => {
  const model = after(today, load(lib), load(one));
  const fail = (): unknown => model.operate({ kind: 'unload', module: 'klp_one' }, 'rmmod klp_one', ok);
  t.throws(fail, { message: /^rmmod klp_one: OK; allowed: EAGAIN \(.*\); state: modules: klp_target klp_one \| patches: klp_one enabled/ });
  try {
    model.operate(load(target('other')), 'insmod', { errno: 'ENOEXEC', log: [] });
    t.fail('no error');
  } catch (error) {
    t.ok(error instanceof SituationError, 'a step that only sets the scene is no verdict on livepatch');
  }
  t.end();
});

void t.test('missing log lines fail the clause, the operation itself stands', (t) => {
  const seen = new ReferenceModel(today).operate(load(one), 'insmod', ok);
  t.match(seen, [{ verdict: 'pass' }, { verdict: 'fail', what: 'insmod: kernel log', documents: { stance: 'silent' } }]);
  t.end();
});

void t.test('who holds a transition', (t) => {
  const gated = livepatch('klp_gated', { klp_target: ['klp_target_alpha'] }, { uses: [gateOf(lib)] });
  const model = new ReferenceModel(today);
  model.operate(load(lib), 'insmod', ok);
  model.operate(park(7, lib.alpha), 'park', ok);
  model.operate(park(8, lib.beta), 'park', ok);
  model.operate(load(gated), 'insmod', ok);
  const held = model.states.flatMap((s) => holders(s).map((h) => h.task.tid));
  t.strictSame([...new Set(held)], [7], 'the task in the patched function, not its neighbour');
  const threads = (seven: number, eight: number, other: number): { verdict: string; clause: string }[] =>
    new ReferenceModelCopy(model).observe({
      kind: 'threads',
      settled: true,
      threads: [
        { tid: 7, comm: 'a', kernel: false, patchState: seven },
        { tid: 8, comm: 'b', kernel: false, patchState: eight },
        { tid: 9, comm: 'c', kernel: false, patchState: other },
      ],
    }) as never;
  const failing = (list: { verdict: string; clause: string }[]): string[] => list.filter((j) => j.verdict === 'fail').map((j) => j.clause);
  t.strictSame(failing(threads(0, 1, 1)), []);
  t.strictSame(failing(threads(1, 1, 1)), ['CHK-1', 'TRN-5'], 'a holder that switched');
  t.strictSame(failing(threads(0, 0, 1)), ['TRN-1', 'TRN-5'], 'a bystander that did not');
  t.ok(failing(threads(-1, -1, -1)).length > 0, 'not at rest');
  t.end();
});

void t.test('a patch on its way out may be gone before or after the next transition ends', (t) => {
  const model = new ReferenceModel(today);
  model.operate(load(lib), 'insmod', ok);
  model.operate(load(one), 'insmod', ok);
  model.observe({ kind: 'transition-end', patch: 'klp_one', ended: true });
  model.operate(write(one, '0'), 'write', ok);
  model.observe({ kind: 'transition-end', patch: 'klp_one', ended: true });
  model.operate(park(7, lib.alpha), 'park', ok);
  model.operate(load(two), 'insmod', ok);
  const counts = model.states.filter((s) => s.transition?.phase === 'running').map((s) => references(s, 'klp_one'));
  t.strictSame([...new Set(counts)].sort(), [0, 1]);
  const errnosNow = errnos(model, write(one, '1')).sort();
  t.strictSame(errnosNow, ['EINVAL', 'ENODEV', 'ENOENT'], 'it cannot be enabled again');
  t.end();
});

void t.test('patches that leave while nobody looks are possibilities, and there is an end to them', (t) => {
  const patches = Array.from({ length: 12 }, (_none, i) => livepatch(`klp_p${i}`, { klp_target: ['klp_target_alpha'] }));
  const down = [...patches].reverse().map((patch) => write(patch, '0'));
  const begin = [load(lib), ...patches.map(load)];
  t.equal(after(today, ...begin, ...down.slice(0, 3)).states.length, 8, 'each may be gone, or not');
  t.throws(() => after(today, ...begin, ...down), { constructor: SituationError, message: /^the kernel may be in \d+ states: .*observe\.departure\(\)/ });
  t.equal(after(registration, ...begin, ...down).states.length, 1, 'there they stay');
  t.end();
});
