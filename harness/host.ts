// SPDX-License-Identifier: MIT
import { $ } from 'zx/core';
import { InfrastructureError } from './errors.js';

/** What `make e2e ARCH=arm64` and a kernel developer's shell export, and kbuild must not inherit. */
const leaky = /^(ARCH|CROSS_COMPILE|SUBARCH|MAKEFLAGS|MAKELEVEL|MFLAGS|MAKEOVERRIDES|CC|LD|AR|NM|HOSTCC|LLVM|LLVM_IAS|O|M|V|W|C|CFLAGS|LDFLAGS|CPPFLAGS|KERNEL|SCENARIO|KBUILD_.*|KCFLAGS|KCONFIG_.*)$/;

/** The environment of every host command: ours without build settings, messages in English. */
export function scrubbedEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !leaky.test(entry[0]),
  );
  return { ...Object.fromEntries(kept), LC_ALL: 'C.UTF-8', ...extra };
}

export interface HostResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout and stderr as they came. */
  readonly all: string;
}

export interface HostOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds; the command is killed after it. */
  readonly timeout?: number;
  /** Called with each line of output as it comes. */
  readonly onLine?: (line: string) => void;
  readonly input?: string;
  readonly signal?: AbortSignal;
  /** stderr goes where stdout goes, so that `all` has both in the order they were written; `stderr` stays empty. */
  readonly inOrder?: boolean;
}

/**
 * Runs a host command to its end, whatever its exit status.
 * @throws InfrastructureError when it cannot be started or its time is up
 */
export async function tryHost(command: string, args: readonly string[], options: HostOptions = {}): Promise<HostResult> {
  const words = commandLine(command, args, options);
  const child = $({
    nothrow: true,
    quiet: true,
    env: scrubbedEnvironment(options.env),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.input === undefined ? {} : { input: options.input }),
  })`${words}`;
  const { onLine } = options;
  if (onLine) {
    for (const stream of [child.stdout, child.stderr]) {
      let rest = '';
      stream.on('data', (chunk: Buffer) => {
        const lines = (rest + chunk.toString()).split('\n');
        rest = lines.pop() ?? '';
        lines.forEach(onLine);
      });
    }
  }
  const result = await child;
  if (result.exitCode === 127) {
    throw new InfrastructureError(`${command} is not installed`, { hint: 'npx klp doctor says which package has it' });
  }
  if (result.exitCode === null) {
    options.signal?.throwIfAborted();
    throw new InfrastructureError(`${command} was ended by ${result.signal ?? 'a signal'}`, {
      details: lastLines(result.stdall, 10),
    });
  }
  return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr, all: result.stdall };
}

/** The words that start a command, as `inOrder` asks for it. */
export function commandLine(command: string, args: readonly string[], { inOrder }: HostOptions): readonly [string, ...string[]] {
  return inOrder === true ? ['sh', '-c', 'exec "$@" 2>&1', 'sh', command, ...args] : [command, ...args];
}

/**
 * Runs a host command that must succeed.
 * @returns its standard output
 * @throws InfrastructureError with its last lines when it ends with another status than 0
 */
export async function host(command: string, args: readonly string[], options: HostOptions = {}): Promise<string> {
  const result = await tryHost(command, args, options);
  if (result.exitCode !== 0) {
    throw new InfrastructureError(`${command} ended with status ${result.exitCode}`, {
      details: lastLines(result.all, 20),
    });
  }
  return result.stdout;
}

/** The last `count` lines of a text, without empty ones at its end. */
export function lastLines(text: string, count: number): string[] {
  return text.trimEnd().split('\n').slice(-count);
}
