// SPDX-License-Identifier: MIT
import { createReadStream } from 'node:fs';
import { UsageError, messageOf } from '../errors.js';
import { type EventHead, type KlpEvent, eventVersion, parseLine } from '../events/schema.js';

/** Where a journal ends, for whoever goes on with it. */
export interface JournalEnd {
  /** `seq` of the next event. */
  readonly seq: number;
  /** `mono` of the last event. */
  readonly mono: number;
  /** Length of all whole events; what stands behind is a line that was cut short. */
  readonly bytes: number;
  /** The last whole event lacks its line break. */
  readonly open: boolean;
}

export interface JournalContent {
  /** Those of types that this version knows. */
  readonly events: readonly KlpEvent[];
  readonly end: JournalEnd;
  /** Whether the run came to its end: the last event is run.finished. */
  readonly finished: boolean;
  /** What a reader should be told of a journal that does not end as it should. */
  readonly notice?: string;
}

/**
 * Reads a journal. A last line that is cut short (the run was killed while writing) is left out and
 * mentioned.
 * @throws UsageError with file and line: can't be read, not an event, another version, or events are missing
 */
export async function readJournal(path: string): Promise<JournalContent> {
  return parseJournal(createReadStream(path) as AsyncIterable<Buffer>, path);
}

/** As {@link readJournal}, for text that comes from elsewhere. @param path for messages */
export async function parseJournal(chunks: AsyncIterable<Buffer>, path: string): Promise<JournalContent> {
  const events: KlpEvent[] = [];
  let last: EventHead | undefined;
  let number = 0;
  let bytes = 0;
  let pending: Buffer[] = [];
  const take = (line: Buffer): void => {
    const { head, event } = readLine(line.toString('utf8'), `${path}:${number}`, last);
    last = head;
    if (event) events.push(event);
    bytes += line.length;
  };
  try {
    for await (const chunk of chunks) {
      let from = 0;
      // Split on the byte, not with readline: that takes U+2028 for the end of a line too.
      for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
        number += 1;
        take(Buffer.concat([...pending, chunk.subarray(from, at)]));
        bytes += 1;
        pending = [];
        from = at + 1;
      }
      if (from < chunk.length) pending.push(chunk.subarray(from));
    }
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    throw new UsageError(`can't read the journal ${path}: ${messageOf(cause)}`, { cause });
  }
  let cut = false;
  if (pending.length > 0) {
    number += 1;
    const rest = Buffer.concat(pending);
    if (isJson(rest.toString('utf8'))) take(rest);
    else cut = true;
  }
  const seq = last === undefined ? 0 : last.seq + 1;
  const end = { seq, mono: last?.mono ?? 0, bytes, open: pending.length > 0 && !cut };
  const finished = last?.type === 'run.finished';
  const kept = `${seq} ${seq === 1 ? 'event' : 'events'} before it`;
  if (cut)
    return {
      events,
      end,
      finished,
      notice: `${path}:${number}: the last line is cut short: the run was killed; ${kept} were read`,
    };
  if (!finished)
    return {
      events,
      end,
      finished,
      notice: `${path}: the run did not finish: there is no run.finished at its end`,
    };
  return { events, end, finished };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function readLine(line: string, where: string, previous: EventHead | undefined): ReturnType<typeof parseLine> {
  let raw: unknown;
  try {
    raw = JSON.parse(line);
  } catch (cause) {
    throw new UsageError(`${where}: not JSON: ${messageOf(cause)}`, { cause });
  }
  const v = typeof raw === 'object' && raw !== null && 'v' in raw ? raw.v : undefined;
  if (typeof v === 'number' && v !== eventVersion) {
    throw new UsageError(`${where}: event version ${v}; this klp reads version ${eventVersion}`);
  }
  let parsed: ReturnType<typeof parseLine>;
  try {
    parsed = parseLine(line);
  } catch (cause) {
    throw new UsageError(`${where}: not an event of a journal`, {
      cause,
      details: messageOf(cause).split('\n'),
    });
  }
  const { head } = parsed;
  const expected = previous === undefined ? 0 : previous.seq + 1;
  if (head.seq !== expected) {
    throw new UsageError(
      `${where}: event ${head.seq} stands where ${expected} should: the journal is incomplete`,
    );
  }
  if (previous !== undefined && head.run !== previous.run) {
    throw new UsageError(`${where}: event of run ${head.run} in the journal of run ${previous.run}`);
  }
  return parsed;
}
