// SPDX-License-Identifier: MIT
import { Socket } from 'node:net';
import { say } from './say.js';

/** Milliseconds for what ends by itself: connections that are being closed, files that are being removed. */
const grace = 5000;

/**
 * Has the process end with a status now that its command is done. Node itself waits for whatever is open, and what somebody
 * forgot (a connection, a child, a timer) would keep a CI job for hours. So after a while the process says what it is that
 * keeps it, and ends. Text that has not been read yet is waited for, however long that takes (`klp run | less`).
 */
export function endWith(status: number, milliseconds = grace): void {
  process.exitCode = status;
  // It keeps nobody itself.
  setTimeout(() => void leave(status, milliseconds), milliseconds).unref();
}

async function leave(status: number, milliseconds: number): Promise<void> {
  const unread = [process.stdout, process.stderr].filter((stream) => stream.writableLength > 0 && !stream.destroyed);
  if (unread.length > 0) {
    await Promise.all(unread.map(written));
    // Perhaps it was only that.
    endWith(status, milliseconds);
    return;
  }
  say(`klp: done, but kept from ending by what is still open, a fault of klp's: ${stillOpen().join(', ')}`);
  await written(process.stderr);
  process.exit(status);
}

/** Settled when all that was written before has been read, or nobody reads any more. */
function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => void stream.write('', () => resolve()));
}

/** What Node says is open (`TCPSocketWrap`, `ProcessWrap`, `Timeout`), without our own output. */
function stillOpen(): readonly string[] {
  const open = process.getActiveResourcesInfo();
  for (const stream of [process.stdout, process.stderr]) {
    const at = stream instanceof Socket ? open.indexOf(stream.isTTY ? 'TTYWrap' : 'PipeWrap') : -1;
    if (at >= 0) open.splice(at, 1);
  }
  return open;
}
