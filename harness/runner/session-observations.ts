// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import { readEnabledFunctions, readKallsyms } from '../guest/kernel-tables.js';
import { type Span, calls, must } from '../guest/guest.js';
import { type FunctionName, type LivepatchDescription, type ModuleDescription, entriesOf, functionKey, objectsOf, vmlinux } from '../model/description.js';
import { passed } from '../model/progress.js';
import { SituationError } from '../model/reference.js';
import { callbackMark } from '../modules/source.js';
import type { SeenThread } from '../model/observations/index.js';
import { references as expectedReferences } from '../model/state.js';
import { holders, isHeld, kernelThreadsHold, stragglers } from '../model/tasks.js';
import { type FunctionCalls, callFile } from './function-calls.js';
import { idleTasks } from './interrupts.js';
import { Patience } from './patience.js';
import { probeHit, traced } from './probes.js';
import { reasons } from './reasons.js';
import { fileSamples, sweepSamples } from './samples.js';
import type { Observe } from './scenario.js';
import type { SessionRecord } from './session-record.js';
import { followed } from './watch.js';

const livepatchRoot = '/sys/kernel/livepatch';

/** Milliseconds of the guest's clock, for what its kernel times itself: stragglers are retried every second. */
const kernelTime = {
  /** Until every thread that nothing holds has switched, and the transition ends. */
  transition: 40_000,
  /** And so many attempts. */
  attempts: 8,
  /** A held transition is watched for several retry intervals. */
  held: 3500,
};

/** Milliseconds of work, multiplied by the machine's slowdown. */
const patience = 10_000;
const ambiguous = 3000;

/** TAINT_LIVEPATCH's bit in the kernel's mask (include/linux/kernel.h, later panic.h). */
const livepatchTaint = 1n << 15n;

/** In milliseconds. */
const length = ({ begin, end }: Span): number => Number(end - begin) / 1e6;

/** What a scenario can look at; the model judges each look. */
export function observations(record: SessionRecord, functions: FunctionCalls): Observe {
  return {
    threads: () => threads(record, false),
    settledThreads: () => threads(record, true),
    idleTasks: (through) => idleTasks(record, through),
    stateFiles: (tid) => stateFiles(record, tid),
    reasons: () => reasons(record),
    sysfs: (patch) => sysfs(record, patch),
    patches: () => patches(record),
    call: (f) => functions.observe(f),
    references: (module) => references(record, module),
    taint: (module) => taint(record, module),
    transitionEnd: (patch) => transitionEnd(record, patch),
    departure: (patch) => departure(record, patch),
    callbacks: callbackLook(record),
    resolvedSymbols: (patch) => resolvedSymbols(record, patch),
    ftrace: (f) => ftrace(record, f),
    probeHit: (f) => probeHit(record, functions, f),
    traced: (f) => traced(record, functions, f),
  };
}

/** How long a transition may take. Once the kernel has left the model's path, long waits teach nothing more. */
function transitionTime({ astray, attempt }: SessionRecord): number {
  return astray ? kernelTime.held : kernelTime.transition + kernelTime.attempts * attempt;
}

async function threads(record: SessionRecord, settled: boolean): Promise<void> {
  const what = settled ? 'patch_state of every thread, settled' : 'patch_state of every thread';
  record.doing = what;
  const time = await Patience.start(transitionTime(record), record.hostWait);
  for (;;) {
    const outcome = await record.guest.sweep();
    const seen = must(outcome, 'sweep').map((t) => ({
      tid: t.tid,
      comm: t.comm,
      kernel: t.kernel,
      patchState: t.patchState ?? null,
    }));
    const running = record.model.states.find((s) => s.transition?.phase === 'running');
    const held = new Set(running ? holders(running).map((h) => h.task.tid) : []);
    const target = running?.transition?.target;
    const kernelWaits = target === 1 && kernelThreadsHold(record.model.facts);
    const chance = new Set(running ? stragglers(running).map((task) => task.tid) : []);
    const waits = (t: SeenThread): boolean => held.has(t.tid) || chance.has(t.tid) || (kernelWaits && t.kernel);
    const waiting = seen.some((t) => target !== undefined && !waits(t) && t.patchState === 1 - target);
    if (settled && waiting && !(await time.isOver())) {
      await sleep(50);
      continue;
    }
    if (settled && waiting) await record.whoHolds(true);
    const groups = [...new Set(seen.map((t) => t.patchState))].map(
      (s) => `${seen.filter((t) => t.patchState === s).length} × ${s ?? 'gone'}`,
    );
    record.observe(what, groups.join(', '), outcome.span, { kind: 'threads', threads: seen, settled }, sweepSamples(seen, length(outcome.span)));
    return;
  }
}

async function stateFiles(record: SessionRecord, tid: number): Promise<void> {
  const what = `files of thread ${tid} that show patch_state`;
  record.doing = `looking at ${what}`;
  const threads = `/proc/${tid}/task`;
  const own = must(await record.guest.tree(threads, 1), threads).filter((e) => e.name !== '').map((e) => `${threads}/${e.name}/patch_state`);
  const files: { readonly path: string; readonly mode: number | null }[] = [];
  for (const path of [`/proc/${tid}/patch_state`, ...own]) {
    const [entry] = (await record.guest.tree(path, 0)).value ?? [];
    files.push({ path, mode: entry?.mode ?? null });
  }
  const seen = files.map(({ path, mode }) => `${path} ${mode === null ? 'is not there' : `0${mode.toString(8)}`}`).join(', ');
  record.observe(what, seen, undefined, { kind: 'state-files', files });
}

/** Reads what callbacks have said in the kernel log since it was last called. */
function callbackLook(record: SessionRecord): () => Promise<void> {
  let from = 0n;
  return async () => {
    const what = 'callbacks that ran';
    record.doing = `reading the kernel log for ${what}`;
    const { next, records } = await record.guest.log(from);
    from = next;
    const ran = records.flatMap(({ text }) => (text.startsWith(callbackMark) ? [text.slice(callbackMark.length)] : []));
    record.observe(what, ran.join(', ') || 'none', undefined, { kind: 'callbacks', ran });
  };
}

/** Files of a patch's directory whose value is judged. */
const readFiles: readonly string[] = ['enabled', 'transition', 'replace', 'stack_order'];

async function sysfs(record: SessionRecord, patch: LivepatchDescription): Promise<void> {
  const root = `${livepatchRoot}/${patch.name}`;
  record.doing = `looking at ${root}`;
  // A patch that replaces others has, for a time, objects that only they describe.
  const objects = record.model.states.flatMap((s) => s.patches).flatMap((p) => objectsOf(p.description));
  const files = [...readFiles, ...new Set([...objectsOf(patch), ...objects].map((o) => `${o.name}/patched`))];
  const batch = await record.guest.batch([calls.tree(root), ...files.map((file) => calls.read(`${root}/${file}`))] as const);
  const [tree, ...contents] = must(batch, root);
  if (!tree.ok) {
    record.observe(root, tree.name, tree.span, { kind: 'sysfs', patch: patch.name, entries: null });
    return;
  }
  const values = new Map(contents.map((file, i) => [files[i], file.ok ? file.value.data.toString().trim() : null]));
  const entries = tree.value
    .filter((e) => e.name !== '' && (e.type === 'file' || e.type === 'directory'))
    .map((e) => ({
      path: e.name,
      type: e.type === 'file' ? ('file' as const) : ('directory' as const),
      mode: e.mode,
      value: values.get(e.name) ?? null,
    }));
  const seen = entries.map((e) => `${e.path}${e.type === 'directory' ? '/' : ` 0${e.mode.toString(8)}`}${e.value === null ? '' : ` = ${e.value}`}`);
  const states = entries.flatMap(({ path, value }) => (value !== null && followed.some((f) => f === path) ? [{ path: `${root}/${path}`, value }] : []));
  const samples = fileSamples(states, 0, length(batch.span));
  record.observe(root, seen.join(', '), batch.span, { kind: 'sysfs', patch: patch.name, entries }, samples);
}

async function patches(record: SessionRecord): Promise<void> {
  record.doing = `looking at ${livepatchRoot}`;
  const outcome = await record.guest.tree(livepatchRoot, 1);
  if (!outcome.ok && outcome.name !== 'ENOENT') must(outcome, livepatchRoot);
  const names = (outcome.value ?? []).filter((e) => e.name !== '').map((e) => e.name);
  record.observe(livepatchRoot, names.join(', ') || 'no patch', outcome.span, { kind: 'patches', names });
}

async function references(record: SessionRecord, module: ModuleDescription): Promise<void> {
  const file = `/sys/module/${module.name}/refcnt`;
  record.doing = `reading ${file}`;
  const { states, facts } = record.model;
  const counts = new Set(states.filter((s) => passed(s, facts).length === 1).map((s) => expectedReferences(s, module.name)));
  // Where it may come to rest at several, the lowest is waited for, but not as long.
  const deadline = Date.now() + (counts.size > 1 ? ambiguous : patience * record.slowdown);
  for (;;) {
    const outcome = await record.guest.readText(file);
    const count = Number(must(outcome, file).trim());
    if (count !== Math.min(...counts) && Date.now() < deadline) {
      await sleep(20);
      continue;
    }
    record.observe(file, String(count), outcome.span, { kind: 'references', module: module.name, count });
    return;
  }
}

async function taint(record: SessionRecord, { name }: ModuleDescription): Promise<void> {
  const file = `/sys/module/${name}/taint`;
  const mask = '/proc/sys/kernel/tainted';
  record.doing = `reading ${file}`;
  const own = await record.guest.readText(file);
  const letters = must(own, file).trim();
  const kernel = (BigInt(must(await record.guest.readText(mask), mask).trim()) & livepatchTaint) !== 0n;
  const seen = `${letters || 'no letter'}; bit 15 of the kernel's mask ${kernel ? 'set' : 'unset'}`;
  record.observe(`taint of ${name}`, seen, own.span, { kind: 'taint', module: name, letters, kernel });
}

async function transitionEnd(record: SessionRecord, patch: LivepatchDescription): Promise<void> {
  const file = `${livepatchRoot}/${patch.name}/transition`;
  record.doing = `waiting for the transition of ${patch.name} to end`;
  const inTransition = record.model.states.filter((s) => s.transition?.patch === patch.name);
  const held = inTransition.some((s) => isHeld(s, record.model.facts) || stragglers(s).length > 0);
  // That it goes on while it is held needs no patience.
  const time = await Patience.start(held ? kernelTime.held : transitionTime(record), held ? () => Promise.resolve(0) : record.hostWait);
  let outcome;
  do outcome = await record.guest.awaitContent(file, '0\n', time.left);
  while (outcome.ok && !outcome.value.came && !(await time.isOver()));
  // Kernels that cannot enable again take the file away at the end of a disable.
  const ended = outcome.ok ? outcome.value.came : outcome.name === 'ENOENT' || outcome.name === 'ENODEV';
  if (!outcome.ok && !ended) must(outcome, file);
  const seen = ended ? 'ended' : 'still 1';
  if (!ended) await record.whoHolds(!held);
  // The last reading came at the end of all the waiting; of a file that went away the path is not there to be read.
  const waited = length(outcome.span);
  const last = outcome.ok ? fileSamples([{ path: file, value: ended ? '0' : '1' }], waited, waited) : undefined;
  const log = await record.kernelLog();
  record.observe(`end of ${file}`, seen, outcome.span, { kind: 'transition-end', patch: patch.name, ended, log }, last);
}

async function departure(record: SessionRecord, patch: LivepatchDescription): Promise<void> {
  const root = `${livepatchRoot}/${patch.name}`;
  record.doing = `watching whether ${root} goes away`;
  const stays = record.model.states.at(-1)?.patches.some((p) => p.description.name === patch.name) === true;
  const outcome = await record.guest.awaitGone(`${root}/enabled`, stays ? 1000 : patience * record.slowdown);
  const left = must(outcome, root).came;
  record.observe(root, left ? 'gone' : 'there', outcome.span, { kind: 'left-sysfs', patch: patch.name, left });
}

async function resolvedSymbols(record: SessionRecord, patch: LivepatchDescription): Promise<void> {
  const what = `symbols of ${patch.name}`;
  record.doing = `reading the .klp.sym ${what}`;
  // Its replacement prints what the code holds; any other keeps it to itself.
  const printing = entriesOf(patch).find((e) => e.function?.object === vmlinux && e.function.name === 'cmdline_proc_show');
  if (!printing?.function) throw new SituationError(`${what}: the patch replaces no cmdline_proc_show of vmlinux, which would print them`);
  const table = await readKallsyms(record.guest, `[${patch.name}]`, ...patch.uses.map((u) => ` ${u.name}`));
  const file = callFile(printing.function);
  const printed = await record.guest.readText(file);
  const text = must(printed, file);
  const runs = text.split('\n')[0] === patch.name;
  const symbols = patch.uses.flatMap((use) => {
    const object = use.object === vmlinux ? undefined : use.object;
    const own = table.find((e) => e.name === use.name && e.module === object);
    if (!own) throw new SituationError(`kallsyms has no ${use.name}`);
    const truth = own.address.toString(16);
    const prefix = `.klp.sym.${use.object}.${use.name},`;
    const found = table.find((e) => e.module === patch.name && e.name.startsWith(prefix));
    const inCode = new RegExp(`^${use.name}=0*([0-9a-f]+)$`, 'm').exec(text);
    const inSymbol = { name: `${prefix}N`, address: found ? found.address.toString(16) : null, truth };
    // Code that nothing calls yet can't say what it holds.
    return runs ? [inSymbol, { name: `code that refers to ${use.name}`, address: inCode?.[1] ?? null, truth }] : [inSymbol];
  });
  const seen = symbols.map((s) => `${s.name} = ${s.address ?? 'absent'}`).join(', ');
  record.observe(what, seen, printed.span, { kind: 'resolved-symbols', patch: patch.name, symbols });
}

async function ftrace(record: SessionRecord, f: FunctionName): Promise<void> {
  const what = `ftrace users of ${functionKey(f)}`;
  record.doing = `reading ${what}`;
  if (f.position !== undefined) throw new SituationError(`${what}: enabled_functions does not tell functions of one name apart`);
  const module = f.object === vmlinux ? undefined : f.object;
  const line = (await readEnabledFunctions(record.guest)).find((e) => e.name === f.name && e.module === module);
  const observation = { kind: 'ftrace', function: f, users: line?.users ?? 0, flags: line?.flags ?? '' } as const;
  record.observe(what, line ? `${line.users} ${line.flags}` : 'none', undefined, observation);
}
