// SPDX-License-Identifier: MIT
import { InfrastructureError } from '../errors.js';
import { type Guest, type Outcome, must } from './guest.js';
import { writeFlags } from './protocol.js';

const folders = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'];

/**
 * Where tracefs is mounted, or debugfs with it inside.
 * @throws InfrastructureError when it is nowhere
 */
export async function tracefs(guest: Guest): Promise<string> {
  for (const folder of folders) {
    const outcome = await guest.tree(`${folder}/tracing_on`, 0);
    if (outcome.ok) return folder;
  }
  throw new InfrastructureError(`no tracefs in ${folders.join(' or ')}`, {
    hint: 'is it mounted in the guest, and has its kernel CONFIG_FTRACE and a tracer?',
  });
}

/** Names of the tracers that the kernel has. */
export async function availableTracers(guest: Guest): Promise<readonly string[]> {
  const file = `${await tracefs(guest)}/available_tracers`;
  return must(await guest.readText(file), file).trim().split(/\s+/);
}

/** Restricts tracers to some functions; to none when there is none given. Fails with EINVAL when ftrace does not know one of them. */
export async function filterFunctions(guest: Guest, ...names: readonly string[]): Promise<Outcome<unknown>> {
  const file = `${await tracefs(guest)}/set_ftrace_filter`;
  const [first, ...others] = names;
  let outcome = await guest.write(file, first === undefined ? '' : `${first}\n`, writeFlags.truncate);
  // One write is one name.
  for (const name of others) if (outcome.ok) outcome = await guest.write(file, `${name}\n`, writeFlags.append);
  return outcome;
}

/** Sets one of the {@link availableTracers}; `nop` for none. */
export async function setTracer(guest: Guest, tracer: string): Promise<Outcome<unknown>> {
  return guest.write(`${await tracefs(guest)}/current_tracer`, `${tracer}\n`);
}

export async function clearTrace(guest: Guest): Promise<void> {
  const file = `${await tracefs(guest)}/trace`;
  must(await guest.write(file, '', writeFlags.truncate), file);
}

export async function readTrace(guest: Guest): Promise<Outcome<string>> {
  return guest.readText(`${await tracefs(guest)}/trace`);
}

/** How often the function or function_graph tracer recorded that a function was entered (`| f();`, `| f() {`, `f <-caller`). */
export function timesTraced(trace: string, name: string): number {
  const entry = new RegExp(`(?:^|[\\s|])${name.replace(/[^\w]/g, '\\$&')}(?: \\[[^\\]]+\\])?(?:\\(\\)(?: \\{|;)| <-)`);
  return trace.split('\n').filter((line) => !line.startsWith('#') && entry.test(line)).length;
}
