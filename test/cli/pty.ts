// SPDX-License-Identifier: MIT
import { type ChildProcess, spawn } from 'node:child_process';
import { packagePath } from '../../harness/package-root.js';

export interface PtyOptions {
  readonly cwd: string;
  readonly columns: number;
  readonly rows?: number;
  readonly timeout: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly onOutput?: (text: string, script: ChildProcess) => void;
}

/**
 * Runs the real command line in a pseudo-terminal, by script(1), which every Debian has (bsdutils is essential). What is written
 * to `script.stdin` is typed there.
 *
 * @returns its exit status, null when it had to be killed, and all that the terminal got
 */
export function klpInPty(args: readonly string[], options: PtyOptions): Promise<{ readonly status: number | null; readonly text: string }> {
  const { cwd, columns, rows = 24, timeout, env, onOutput } = options;
  const quoted = [process.execPath, packagePath('dist/harness/cli/main.js'), ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  const line = `stty cols ${columns} rows ${rows}; ${quoted.join(' ')}`;
  const child = spawn('script', ['-qec', line, '/dev/null'], {
    cwd,
    // As at a desk, wherever the test runs.
    env: { ...process.env, CI: '', NO_COLOR: '', FORCE_COLOR: '', TERM: 'xterm', SHELL: '/bin/sh', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    onOutput?.(text, child);
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
  return new Promise((resolve) => {
    child.on('close', (status) => {
      clearTimeout(timer);
      resolve({ status, text });
    });
  });
}
