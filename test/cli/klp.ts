// SPDX-License-Identifier: MIT
import { type ChildProcess, spawn } from 'node:child_process';
import { packagePath } from '../../harness/package-root.js';

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface KlpOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds after which it is killed and the status is null. */
  readonly timeout?: number;
  /** Without tap's module loader, which every child inherits otherwise: as a user's own process. */
  readonly bare?: boolean;
  readonly onStart?: (child: ChildProcess) => void;
  /** Called with all of stdout so far. */
  readonly onOutput?: (text: string) => void;
}

/** Runs the real command line, as `npx klp` would. */
export function klp(args: readonly string[], options: KlpOptions = {}): Promise<Ended> {
  const words = [process.execPath, packagePath('dist/harness/cli/main.js'), ...args];
  // tap puts the variable back into any environment that is given to spawn.
  const [command = '', ...rest] = options.bare === true ? ['env', '-u', 'NODE_OPTIONS', ...words] : words;
  const child = spawn(command, rest, {
    cwd: options.cwd ?? process.cwd(),
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  options.onStart?.(child);
  let stdout = '';
  let stderr = '';
  // A character may be cut where a chunk ends.
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
    options.onOutput?.(stdout);
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeout ?? 60_000);
  return new Promise((resolve) => {
    child.on('close', (status) => {
      clearTimeout(timer);
      resolve({ status, stdout, stderr });
    });
  });
}
