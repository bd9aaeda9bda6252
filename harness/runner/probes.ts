// SPDX-License-Identifier: MIT
import { type Span, must } from '../guest/guest.js';
import { availableTracers, clearTrace, filterFunctions, readTrace, setTracer, timesTraced } from '../guest/tracefs.js';
import { type FunctionName, type TargetDescription, functionKey, targetKeyOf } from '../model/description.js';
import type { Tracer } from '../model/operations/index.js';
import { SituationError } from '../model/reference.js';
import { InfrastructureError } from '../errors.js';
import { type FunctionCalls, probeKnob } from './function-calls.js';
import type { ProbeOptions } from './scenario.js';
import type { SessionRecord } from './session-record.js';

/*
 * Others that use ftrace beside livepatch: kprobes, tracers, and the switch that turns all of it off.
 */

/** Registers a kprobe, or a kretprobe, through the target module. */
export async function probe(record: SessionRecord, f: FunctionName, { place, postHandler = false }: ProbeOptions): Promise<void> {
  const key = probeKnob(f, place);
  const file = await probeFile(record, f.object);
  const what = `${place === 'return' ? 'kretprobe' : 'kprobe'} ${postHandler ? 'with post_handler ' : ''}at the ${place} of ${f.name}`;
  await record.operate({ kind: 'probe', function: f, place, postHandler }, what, async () => {
    const outcome = await record.guest.write(file, `${place} ${key} ${postHandler ? 'post' : 'nopost'}`);
    if (outcome.name === 'EOPNOTSUPP') throw new SituationError(`${what}: the kernel has no kprobes (CONFIG_KPROBES, CONFIG_KRETPROBES)`);
    return outcome;
  });
}

/** Takes away the probe of a target module. */
export async function unprobe(record: SessionRecord, { name }: TargetDescription): Promise<void> {
  const file = await probeFile(record, name);
  await record.operate({ kind: 'unprobe', target: name }, `remove the probe of ${name}`, () => record.guest.write(file, 'remove'));
}

/** Whether the target's probe runs in one call of its function; the call is judged as well. */
export async function probeHit(record: SessionRecord, functions: FunctionCalls, f: FunctionName): Promise<void> {
  const what = `hits of the probe in ${f.name}`;
  const file = await probeFile(record, f.object);
  const before = await readProbe(record, f.object);
  await functions.observe(f);
  record.doing = what;
  const after = await readProbe(record, f.object);
  const rise = after.hits - before.hits;
  if (rise !== 0 && rise !== 1) {
    throw new InfrastructureError(`${file} went from ${before.hits} to ${after.hits} hits with one call of ${f.name}`, {
      hint: 'something else in the guest calls it',
    });
  }
  record.observe(what, `${rise} in one call`, after.span, { kind: 'probe-hit', function: f, hit: rise === 1 });
}

/** What the target says of its probe: how often it has run, and of a kretprobe how many calls have not returned yet. */
export async function readProbe(
  record: SessionRecord,
  target: string,
): Promise<{ readonly hits: number; readonly inside: number; readonly span: Span }> {
  const file = `/proc/${target}/probe`;
  const outcome = await record.guest.readText(file);
  const [hits = NaN, inside = NaN] = must(outcome, file).trim().split(' ').map(Number);
  return { hits, inside, span: outcome.span };
}

async function probeFile(record: SessionRecord, target: string): Promise<string> {
  const file = `/proc/${target}/probe`;
  await record.require(file, `the target module ${target} is not loaded`);
  return file;
}

/** Writes the sysctl kernel.ftrace_enabled. */
export async function ftraceEnabled(record: SessionRecord, on: boolean): Promise<void> {
  const file = '/proc/sys/kernel/ftrace_enabled';
  await record.require(file, 'the kernel lacks CONFIG_FUNCTION_TRACER, or sysctls (CONFIG_SYSCTL, CONFIG_PROC_SYSCTL)');
  const text = on ? '1' : '0';
  await record.operate({ kind: 'switch-ftrace', on }, `write ${text} to kernel.ftrace_enabled`, () => record.guest.write(file, text));
}

/** Sets a tracer to one function. */
export async function trace(record: SessionRecord, tracer: Tracer, f: FunctionName): Promise<void> {
  const { guest } = record;
  const what = `${tracer} tracer on ${functionKey(f)}`;
  record.doing = what;
  if (f.position !== undefined || targetKeyOf(f) === 'common') {
    throw new SituationError(`${what}: a tracer's filter does not tell functions of one name apart`);
  }
  if (!(await availableTracers(guest)).includes(tracer)) {
    const option = tracer === 'function' ? 'CONFIG_FUNCTION_TRACER' : 'CONFIG_FUNCTION_GRAPH_TRACER';
    throw new SituationError(`${what}: the kernel has no such tracer (${option})`);
  }
  // Replacements of several patches have one name.
  const isReplacement = record.model.states.some((s) => s.patches.some((p) => p.description.name === f.object));
  const filtered = await filterFunctions(guest, isReplacement ? `${f.name}:mod:${f.object}` : f.name);
  if (!filtered.ok) throw new SituationError(`${what}: ftrace does not know the function: ${filtered.name}`);
  await record.operate({ kind: 'trace', tracer, function: f }, what, () => setTracer(guest, tracer));
}

/** Sets no tracer. */
export async function untrace(record: SessionRecord): Promise<void> {
  const { guest } = record;
  await record.operate({ kind: 'untrace' }, 'no tracer', () => setTracer(guest, 'nop'));
  must(await filterFunctions(guest), "the tracers' filter");
}

/** Whether the tracer that is set records one call of the function; the call is judged as well. */
export async function traced(record: SessionRecord, functions: FunctionCalls, f: FunctionName): Promise<void> {
  const { guest } = record;
  await clearTrace(guest);
  await functions.observe(f);
  const what = `trace of one call of ${f.name}`;
  record.doing = what;
  const outcome = await readTrace(guest);
  const times = timesTraced(must(outcome, what), (record.model.states[0]?.tracing?.function ?? f).name);
  record.observe(what, times === 0 ? 'absent' : 'recorded', outcome.span, { kind: 'traced', function: f, seen: times > 0 });
}
