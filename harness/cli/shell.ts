// SPDX-License-Identifier: MIT
import { Command } from 'commander';
import { type GuestOptions, withGuest } from './one-guest.js';
import { withKernelOptions } from './run.js';
import { say } from './say.js';

/** `klp shell [K]`: an interactive shell in a fresh guest. */
export function shellCommand(done: (status: number) => void): Command {
  const command = new Command('shell')
    .description('an SSH shell in a fresh guest, which ends with the shell')
    .argument('[kernel]', 'name in the catalogue');
  withKernelOptions(command);
  return command.action((word: string | undefined, options: GuestOptions) =>
    withGuest(word, options, async ({ guest }, { release }) => {
      say(`${release}: exit or Ctrl-D ends the guest`);
      done(await guest.shell(process.stdin, process.stdout));
    }),
  );
}
