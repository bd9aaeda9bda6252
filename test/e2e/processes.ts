// SPDX-License-Identifier: MIT
import { readFileSync, readdirSync, readlinkSync, realpathSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** QEMUs among the direct children of a process, by /proc. */
export function qemusOf(pid: number): number[] {
  return childrenOf(pid).filter((p) => {
    try {
      return readFileSync(`/proc/${p}/cmdline`, 'utf8').includes('qemu-system');
    } catch {
      return false; // gone meanwhile
    }
  });
}

/** Processes, script(1) apart, whose command line has a word, in a folder. */
export function processesWith(word: string, cwd: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const [program = '', ...words] = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
        return program.endsWith('node') && words.some((w) => w.endsWith(word)) && readlinkSync(`/proc/${name}/cwd`) === realpathSync(cwd);
      } catch {
        return false; // gone meanwhile
      }
    })
    .map(Number);
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]) === pid ? [Number(name)] : [];
      } catch {
        return []; // gone meanwhile
      }
    });
}

/** Whether a process is there; a zombie no longer is. */
export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/**
 * Waits for what must come.
 * @throws Error after `limit` milliseconds
 */
export async function until(condition: () => boolean | Promise<boolean>, limit = 600_000): Promise<void> {
  const deadline = Date.now() + limit;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited ${limit} ms in vain`);
    await sleep(50);
  }
}
