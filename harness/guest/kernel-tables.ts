// SPDX-License-Identifier: MIT
import { InfrastructureError } from '../errors.js';
import { ProtocolError } from './errors.js';
import type { Guest } from './guest.js';
import { tracefs } from './tracefs.js';

/*
 * Two tables of a running kernel: its symbols, and the functions that ftrace redirects.
 */

/** A line of /proc/kallsyms. */
export interface KernelSymbol {
  readonly address: bigint;
  /** Letter as of nm(1). */
  readonly type: string;
  readonly name: string;
  /** undefined for one of the kernel itself. */
  readonly module: string | undefined;
}

/**
 * Lines of /proc/kallsyms, in their order, which is what sympos counts. Names may have blanks in them, of malformed modules.
 * @throws ProtocolError for a line that is none
 */
export function parseKallsyms(text: string): readonly KernelSymbol[] {
  return lines(text).map((line) => {
    const match = /^([0-9a-f]+) (\S) (\S[^\t]*?)(?:\s+\[([^\]]+)\])?$/.exec(line);
    if (!match) throw new ProtocolError(`no line of /proc/kallsyms: ${JSON.stringify(line)}`);
    const [, address = '', type = '', name = '', module] = match;
    return { address: BigInt(`0x${address}`), type, name, module };
  });
}

/**
 * Lines of /proc/kallsyms that contain one of the texts (all of them together are more than one reply holds).
 * @param texts parts of a line: ` printk`, `[mymodule]`, `.klp.sym.`
 */
export async function readKallsyms(guest: Guest, ...texts: readonly string[]): Promise<readonly KernelSymbol[]> {
  const patterns = texts.map((text) => `-e '${text.replaceAll("'", "'\\''")}'`).join(' ');
  const { code, stdout, stderr } = await guest.run(`grep -F ${patterns} /proc/kallsyms`);
  if (code > 1) throw new InfrastructureError(`reading /proc/kallsyms: ${stderr.trim()}`);
  return parseKallsyms(stdout);
}

/** A line of tracefs' enabled_functions (kernel/trace/ftrace.c, t_show). */
export interface EnabledFunction {
  readonly name: string;
  readonly module: string | undefined;
  /** ftrace operations attached. */
  readonly users: number;
  /** Letters, such as `RI`: R saved registers, I changes the instruction pointer, D direct call, … */
  readonly flags: string;
}

/** @throws ProtocolError for a line that is none */
export function parseEnabledFunctions(text: string): readonly EnabledFunction[] {
  return lines(text)
    .filter((line) => !/^\s/.test(line)) // a further operation of the function above
    .map((line) => {
      const match = /^(\S+)(?: \[([^\]]+)\])? \((\d+)\)((?: [A-Z ])*)/.exec(line);
      if (!match) throw new ProtocolError(`no line of enabled_functions: ${JSON.stringify(line)}`);
      const [, name = '', module, users, flags = ''] = match;
      return { name, module, users: Number(users), flags: flags.replaceAll(' ', '') };
    });
}

/** Functions that ftrace redirects. Tracefs must be mounted, at /sys/kernel/tracing or below debugfs. */
export async function readEnabledFunctions(guest: Guest): Promise<readonly EnabledFunction[]> {
  const file = `${await tracefs(guest)}/enabled_functions`;
  const outcome = await guest.readText(file);
  if (outcome.ok) return parseEnabledFunctions(outcome.value);
  throw new InfrastructureError(`reading ${file}: ${outcome.name}`, { hint: 'has the kernel CONFIG_DYNAMIC_FTRACE?' });
}

function lines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '');
}
