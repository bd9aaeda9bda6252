// SPDX-License-Identifier: MIT
import { ProtocolError } from './errors.js';

/** A record of the kernel log: Documentation/ABI/testing/dev-kmsg. */
export interface LogRecord {
  /** 0 (emergency) to 7 (debug). */
  readonly level: number;
  readonly facility: number;
  readonly sequence: bigint;
  /** Microseconds of the guest's log clock (local_clock, close to CLOCK_MONOTONIC). */
  readonly microseconds: bigint;
  /** The message: of several lines, all of them. */
  readonly text: string;
  /** Dictionary lines: SUBSYSTEM, DEVICE, … */
  readonly dictionary: Readonly<Record<string, string>>;
}

/**
 * One record as a read(2) of /dev/kmsg gives it: `6,339,5140900,-;text` and then dictionary lines that begin with a
 * space. Bytes that are no text come as `\x1b`, as the kernel writes them, and are turned back.
 *
 * @throws ProtocolError when it is no such record
 */
export function parseLogRecord(raw: string): LogRecord {
  const match = /^(\d+),(\d+),(\d+),[^;]*;([^\n]*)(?:\n|$)/.exec(raw);
  if (!match) throw new ProtocolError(`no record of the kernel log: ${JSON.stringify(raw.slice(0, 80))}`);
  const [head, priority, sequence, microseconds, text = ''] = match;
  const dictionary = raw
    .slice(head.length)
    .split('\n')
    .filter((line) => line.startsWith(' ') && line.includes('='))
    .map((line) => [line.slice(1, line.indexOf('=')), unescape(line.slice(line.indexOf('=') + 1))] as const);
  return {
    level: Number(priority) & 7,
    facility: Number(priority) >> 3,
    sequence: BigInt(sequence ?? 0),
    microseconds: BigInt(microseconds ?? 0),
    text: unescape(text),
    dictionary: Object.fromEntries(dictionary),
  };
}

/** Undoes the kernel's `\xNN` of unprintable bytes, its own backslash among them; UTF-8 comes out whole. */
function unescape(text: string): string {
  if (!text.includes('\\x')) return text;
  const parts = text.split(/\\x([0-9a-f]{2})/);
  return Buffer.concat(parts.map((part, i) => Buffer.from(part, i % 2 ? 'hex' : 'utf8'))).toString('utf8');
}
