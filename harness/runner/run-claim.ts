// SPDX-License-Identifier: MIT
import { readFileSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InfrastructureError, UsageError, messageOf } from '../errors.js';

const prefix = '.running-';

/**
 * Marks a run's folder as ours: a file in it that is named after this process. Pid alone would not do, since it may belong
 * to someone else by the time it is looked at; so the name has the boot and the process's start time too, and a claim
 * whose process is gone counts for nothing. The claim is made first and the others are looked at then: of two that come at
 * once, both may step back, but never do both go on.
 *
 * @returns a function that gives the folder up
 * @throws UsageError when a process that lives has it; InfrastructureError when the folder can't be written to
 */
export async function claim(directory: string): Promise<() => Promise<void>> {
  const own = `${prefix}${identity(process.pid)}`;
  const file = join(directory, own);
  await writeFile(file, '', { flag: 'wx' }).catch((cause: unknown) => {
    throw new InfrastructureError(`can't write into ${directory}: ${messageOf(cause)}`, { cause });
  });
  const release = (): Promise<void> => rm(file, { force: true });
  for (const name of await readdir(directory)) {
    if (!name.startsWith(prefix) || name === own) continue;
    const pid = Number(name.split('-')[2]);
    if (name === `${prefix}${identity(pid)}`) {
      await release();
      throw new UsageError(`the run in ${directory} is under way: process ${pid} works on it`);
    }
    await rm(join(directory, name), { force: true });
  }
  return release;
}

/** `<boot>-<pid>-<start time>`; `''` for the start time of a process that is gone. */
function identity(pid: number): string {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8);
  let start = '';
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Fields are counted behind the name, which may hold anything: the 22nd of all is the 20th there.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // One that has died and was not collected yet works on nothing.
    start = fields[0] === 'Z' ? '' : (fields[19] ?? '');
  } catch {
    // Gone.
  }
  return `${boot}-${pid}-${start}`;
}
