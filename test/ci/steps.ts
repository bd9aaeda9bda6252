// SPDX-License-Identifier: MIT
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packagePath } from '../../harness/package-root.js';

export interface Step {
  readonly status: number | null;
  readonly output: string;
}

/**
 * A folder for PATH in which `npx klp` is this working copy's, and what would change the host is only written down, into
 * `calls`.
 */
export function stubs(folder: string): string {
  const bin = join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  const script = (name: string, text: string): void => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(bin, name), 0o755);
  };
  const main = packagePath('dist/harness/cli/main.js');
  // klp itself finds the host's own programs.
  const path = process.env.PATH ?? '';
  script('npx', `[ "$1" = klp ] || exit 99\nshift\nPATH='${path}' exec '${process.execPath}' '${main}' "$@"`);
  for (const name of ['apt-get', 'make']) script(name, `echo "${name} $*" >> '${join(folder, 'calls')}'`);
  return bin;
}

/** Runs one script as a runner would: `bash -e`, in a job's folder, with the variables of the job. */
export function runStep(shell: readonly string[], script: string, cwd: string, env: Readonly<Record<string, string>>): Promise<Step> {
  const [command = '', ...args] = shell;
  const child = spawn(command, [...args, script], { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const timer = setTimeout(() => child.kill('SIGKILL'), 600_000);
  return new Promise((resolve) => {
    child.on('close', (status) => {
      clearTimeout(timer);
      resolve({ status, output });
    });
  });
}
