#!/usr/bin/env node
// SPDX-License-Identifier: MIT
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { ExitStatus, KlpError, messageOf } from '../errors.js';
import { packagePath } from '../package-root.js';
import { benchCommand } from './bench.js';
import { abortsBisect, bisectCommand } from './bisect.js';
import { doctorCommand } from './doctor.js';
import { endWith } from './ending.js';
import { kernelsCommand } from './kernels.js';
import { lintCommand } from './lint.js';
import { mergeCommand } from './merge.js';
import { modelCommand } from './model.js';
import { planCommand } from './plan.js';
import { reportCommand } from './report.js';
import { runCommand } from './run.js';
import { say } from './say.js';
import { shellCommand } from './shell.js';
import { specCommand } from './spec.js';
import { tryCommand } from './try.js';

/** Version of the package, as package.json has it. */
export function version(): string {
  const { version: text } = JSON.parse(readFileSync(packagePath('package.json'), 'utf8')) as { version: string };
  return text;
}

/**
 * Runs one command line.
 * @param argv words behind `klp`
 * @returns the exit status: see docs/verdicts.md
 */
async function main(argv: readonly string[]): Promise<number> {
  let status: number = ExitStatus.ok;
  const done = (code: number): void => {
    status = code;
  };
  const program = new Command('klp')
    .description('End-to-end conformance tests of Linux livepatch on real kernels under QEMU')
    .version(version(), '-V, --version')
    .showHelpAfterError('(klp --help shows every command)')
    // Else a command with subcommands takes their options for its own.
    .enablePositionalOptions()
    .exitOverride();
  const commands = [
    runCommand(done, version()),
    planCommand(version()),
    mergeCommand(done, version()),
    reportCommand(done),
    bisectCommand(done),
    kernelsCommand(),
    doctorCommand(done),
    lintCommand(done, version()),
    tryCommand(done, version()),
    shellCommand(done),
    specCommand(done),
    modelCommand(done),
    benchCommand(done),
  ];
  for (const command of commands) {
    command.exitOverride();
    for (const sub of command.commands) sub.exitOverride();
    program.addCommand(command);
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitStatus.ok : ExitStatus.usage;
    return complain(error);
  }
}

/** What went wrong, where, and what to do; a stack trace only for faults of ours. */
function complain(error: unknown): number {
  say(`klp: ${messageOf(error)}`);
  if (!(error instanceof KlpError)) {
    if (error instanceof Error) (error.stack ?? '').split('\n').forEach(say);
    return ExitStatus.infrastructure;
  }
  for (const line of error.details) say(`  ${line}`);
  if (error.hint !== undefined) say(`  → ${error.hint}`);
  return error.exitStatus;
}

// Node's own status for what nobody caught is 1, which says here that a kernel failed.
process.on('uncaughtException', (error) => process.exit(abortsBisect(process.argv.slice(2), complain(error))));
// A reader that went away (`klp run | head`) costs what it would have read, not the run and its results.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
const words = process.argv.slice(2);
endWith(abortsBisect(words, await main(words)));
