// SPDX-License-Identifier: MIT
import t from 'tap';
import { livepatch, target } from '../../harness/model/description.js';
import type { Observation } from '../../harness/model/observations/index.js';
import { buildModules, moduleKey } from '../../harness/modules/build.js';
import { Bench } from '../../harness/runner/bench.js';
import { kernelFacts, staticFacts } from '../../harness/runner/probe.js';
import { Session } from '../../harness/runner/session.js';
import { moduleDirectory } from '../../harness/runner/session-operations.js';
import { NotingModel } from '../runner/noting-model.js';
import { patience } from '../vm/stock.js';
import { stockKernel } from './kernel.js';

/*
 * What scenarios can do and see beside loading and writing, on the stock kernel: that it is carried out, and that both of what
 * can be seen is seen. The model only takes notes.
 */
t.setTimeout(patience);

const lib = target('klp_target');
const other = target('klp_other');
const patch = livepatch('klp_beta', { klp_target: ['klp_target_beta'], klp_other: ['klp_other_beta'] });
const twin = livepatch('klp_twin', { klp_target: [{ name: 'klp_target_twin', sympos: 2 }, 'klp_common'] });
const driven = livepatch('klp_driven', { klp_target: ['klp_target_alpha'] }, { driven: true });
const modules = [lib, other, patch, twin, driven];

const kernel = await stockKernel();
const { signal } = new AbortController();
const bench = await Bench.start({ kernel, accel: 'tcg', progress: () => undefined, signal, bootDeadline: patience });
t.teardown(() => bench[Symbol.asyncDispose]());
const facts = await kernelFacts(kernel, await staticFacts(kernel), bench);
const built = await buildModules({ kernel, ...facts }, modules, () => undefined, signal);
const files = modules.map((m) => {
  const module = built.get(moduleKey(m));
  if (!module || 'error' in module) throw new Error(`module ${m.name} was not built`);
  return { name: `${m.name}.ko`, file: module.file };
});

/** A session on a pristine guest with both targets, and the notes of its model. */
async function session(): Promise<{ context: Session['context']; model: NotingModel; last: () => Observation | undefined }> {
  await bench.reset();
  await bench.guest.push(moduleDirectory, files);
  const model = new NotingModel();
  const of = new Session(bench.guest, model, modules, bench.machine.slowdown, () => undefined);
  await of.prepare();
  await of.context.load(lib);
  await of.context.load(other);
  return { context: of.context, model, last: () => model.observations.at(-1) };
}

await t.test('every function of a target can be called, by a sleeper too', async (t) => {
  const { context, model, last } = await session();
  const { load, observe, park } = context;
  const sleeper = await park(lib.alpha, { depth: 3 });
  await load(patch);
  await observe.transitionEnd(patch);
  await load(twin);
  await observe.transitionEnd(twin);
  await sleeper.call(lib.quiet);
  t.match(last(), { kind: 'call', caller: sleeper.tid, body: 'original' });
  await sleeper.call(other.beta);
  t.match(last(), { caller: sleeper.tid, body: 'klp_beta' });
  await sleeper.witness();
  await sleeper.release();
  const said: string[] = [];
  for (const f of [lib.alpha, lib.beta, lib.quiet, lib.twin1, lib.twin2, lib.common, other.beta, other.common]) {
    await observe.call(f);
    const seen = last();
    said.push(`${f.name} ${seen?.kind === 'call' ? seen.body : '?'}`);
  }
  t.strictSame(said, [
    'klp_target_alpha original',
    'klp_target_beta klp_beta',
    'klp_target_quiet original',
    'klp_target_twin original',
    'klp_target_twin klp_twin',
    'klp_common klp_twin',
    'klp_other_beta klp_beta',
    'klp_common original',
  ]);
  await observe.ftrace(lib.common);
  t.match(last(), { users: 1, flags: /I/ });
  await observe.ftrace(other.common);
  t.match(last(), { users: 0 }, 'the same name in another module');
  await observe.patches();
  t.match(last(), { kind: 'patches', names: /^(klp_beta,klp_twin|klp_twin,klp_beta)$/ });
  await observe.taint(patch);
  t.match(last(), { kind: 'taint', letters: /K/, kernel: true });
  await observe.taint(lib);
  t.match(last(), { letters: /^[^K]*$/ });
  t.strictSame(new Set(model.operations.map((o) => o.errno)), new Set(['OK']));
});

await t.test('probes: they are hit, and where a patch redirects the call they are not', async (t) => {
  const { context, model, last } = await session();
  const { load, observe, probe, unprobe } = context;
  for (const place of ['entry', 'inside', 'return'] as const) {
    await probe(lib.beta, { place });
    await observe.probeHit(lib.beta);
    t.match(last(), { kind: 'probe-hit', hit: true }, place);
    await unprobe(lib);
  }
  await load(patch);
  await observe.transitionEnd(patch);
  await probe(lib.beta, { place: 'inside' });
  await probe(lib.alpha, { place: 'entry' });
  t.match(model.operations.at(-1), { errno: 'EBUSY' }, 'one probe a target');
  await observe.probeHit(lib.beta);
  t.match(model.observations.slice(-2), [{ kind: 'call', body: 'klp_beta' }, { kind: 'probe-hit', hit: false }]);
});

await t.test('tracers: they record a call of their function, and no other', async (t) => {
  const { context, model, last } = await session();
  const { observe, trace, untrace } = context;
  for (const tracer of ['function', 'function_graph'] as const) {
    await observe.ftrace(lib.alpha);
    t.match(last(), { users: 0 });
    await trace(tracer, lib.alpha);
    await observe.ftrace(lib.alpha);
    t.match(last(), { users: 1 }, tracer);
    await observe.ftrace(lib.beta);
    t.match(last(), { users: 0 });
    await observe.traced(lib.alpha);
    t.match(last(), { kind: 'traced', seen: true });
    await observe.traced(lib.beta);
    t.match(last(), { kind: 'traced', seen: false });
    await untrace();
    await observe.traced(lib.alpha);
    t.match(last(), { kind: 'traced', seen: false }, 'no tracer any more');
  }
  await t.rejects(trace('function', lib.quiet), { message: /ftrace does not know the function: EINVAL/ });
  await context.ftraceEnabled(true);
  t.strictSame(new Set(model.operations.map((o) => o.errno)), new Set(['OK']));
});

await t.test('a driven patch is enabled by a call; its kobject can be held', async (t) => {
  const { context, model, last } = await session();
  const { api, load, unload, disable, observe } = context;
  await load(driven);
  await observe.call(lib.alpha);
  t.match(last(), { body: 'original' });
  await api.enable(driven, 'null');
  t.match(model.operations.at(-1), { op: { kind: 'api', call: 'enable', which: 'null' }, errno: 'EINVAL' });
  await api.enable(driven);
  t.match(model.operations.at(-1), { errno: 'OK' });
  await observe.transitionEnd(driven);
  await observe.call(lib.alpha);
  t.match(last(), { body: 'klp_driven' });
  await api.hold(driven);
  await disable(driven);
  await observe.transitionEnd(driven);
  await unload(driven);
  t.match(model.operations.at(-1), { errno: 'EAGAIN' }, 'the module is referenced until the kobject is gone');
  await api.letGo(driven);
  await context.guest.awaitContent('/sys/module/klp_driven/refcnt', '0\n', 60_000);
  await unload(driven);
  t.match(model.operations.at(-1), { errno: 'OK' });
  await t.rejects(api.enable(driven), { message: /klp_driven is not loaded$/ });
});
