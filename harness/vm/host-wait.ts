// SPDX-License-Identifier: MIT
import { readFile, readdir } from 'node:fs/promises';

/**
 * Milliseconds that the threads of a process have waited for a CPU of this host, taken together: run_delay of
 * Documentation/scheduler/sched-stats.rst. 0 where the host's kernel does not count it (CONFIG_SCHED_INFO), or the process is gone.
 */
export async function hostWait(pid: number): Promise<number> {
  const folder = `/proc/${pid}/task`;
  const tids = await readdir(folder).catch(() => []);
  const texts = await Promise.all(tids.map((tid) => readFile(`${folder}/${tid}/schedstat`, 'utf8').catch(() => '')));
  return texts.reduce((sum, text) => sum + (Number(text.split(' ')[1]) || 0), 0) / 1e6;
}
