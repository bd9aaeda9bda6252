// SPDX-License-Identifier: MIT
import { closeSync, createReadStream, fsyncSync, ftruncateSync, openSync, writeFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { InfrastructureError, messageOf, UsageError } from '../errors.js';
import { eventVersion, parseEvent } from '../events/schema.js';
import type { EventOf, EventType, KlpEvent, Payload } from '../events/schema.js';
import type { Reporter } from '../report/reporter.js';
import { jsonText } from '../report/text.js';

/** A reporter and the place its text goes to. */
export interface Output {
  readonly name: string;
  readonly reporter: Reporter;
  write(text: string): void;
}

export interface JournalOptions {
  readonly outputs?: readonly Output[];
  /** Milliseconds of a clock that never goes back; the first value read is the run's zero. */
  readonly monotonic?: () => number;
  readonly wall?: () => Date;
}

/** After these a killed run must not lose what it had: see docs/events.md. */
const durable = (type: EventType): boolean => type === 'scenario.finished' || type.startsWith('run.');

/**
 * Writer of a run's journal: one JSON object a line, only ever appended. Each event goes to the file first,
 * then to the reporters, exactly as a reader of the file would get it.
 */
export class Journal {
  readonly path: string;
  readonly run: string;
  readonly #outputs: Set<Output>;
  readonly #monotonic: () => number;
  readonly #wall: () => Date;
  readonly #begin: number;
  readonly #problems: string[] = [];
  #fd: number | undefined;
  #seq = 0;
  #bytes = 0;

  /**
   * @param path file to create; its folder exists
   * @param run  identifier of the run
   * @throws InfrastructureError when the file exists already or can't be created
   */
  constructor(path: string, run: string, options: JournalOptions = {}) {
    this.path = path;
    this.run = run;
    this.#outputs = new Set(options.outputs);
    this.#monotonic = options.monotonic ?? (() => performance.now());
    this.#wall = options.wall ?? (() => new Date());
    this.#begin = this.#monotonic();
    try {
      this.#fd = openSync(path, 'ax');
    } catch (cause) {
      throw new InfrastructureError(`can't create the journal ${path}: ${messageOf(cause)}`, { cause });
    }
  }

  /**
   * Writes one event. On `scenario.finished` and `run.*` it is on the disk when this returns.
   * @returns the event as a reader of the journal gets it
   * @throws Error when the payload is not what the schema says (a fault of ours); InfrastructureError when it
   *   can't be written, and then the journal still ends with its last whole line
   */
  emit<T extends EventType>(type: T, payload: Payload<T>): EventOf<T> {
    if (this.#fd === undefined) throw new Error(`the journal ${this.path} is closed: ${type} came too late`);
    const mono = this.#now();
    const head = {
      v: eventVersion,
      seq: this.#seq,
      run: this.run,
      type,
      mono,
      wall: this.#wall().toISOString(),
    };
    const line = jsonText({ ...head, ...payload });
    const event = parseEvent(line);
    this.#append(this.#fd, `${line}\n`, durable(type));
    this.#seq += 1;
    this.#tell((reporter) => reporter.event(event));
    return event as unknown as EventOf<T>;
  }

  /** Lets live reporters show the time that has passed; call it about once a second. */
  tick(): void {
    const mono = this.#now();
    this.#tell((reporter) => reporter.tick?.(mono) ?? '');
  }

  /**
   * Lets the reporters write their end and closes the file. A second call does nothing.
   * @returns what went wrong with reporters on the way; one that failed got no more events
   */
  close(): readonly string[] {
    if (this.#fd === undefined) return this.#problems;
    this.#tell((reporter) => reporter.end());
    fsyncSync(this.#fd);
    closeSync(this.#fd);
    this.#fd = undefined;
    return this.#problems;
  }

  #now(): number {
    return Math.round((this.#monotonic() - this.#begin) * 1000) / 1000;
  }

  #append(fd: number, line: string, sync: boolean): void {
    const bytes = Buffer.from(line);
    try {
      writeFileSync(fd, bytes);
      if (sync) fsyncSync(fd);
    } catch (cause) {
      try {
        ftruncateSync(fd, this.#bytes);
      } catch {
        // The reader copes with a last line that is cut short.
      }
      const hint = 'free some space, or choose another place with --output';
      throw new InfrastructureError(`can't write the journal ${this.path}: ${messageOf(cause)}`, {
        cause,
        hint,
      });
    }
    this.#bytes += bytes.length;
  }

  /**
   * A fault in one reporter costs its report, never the run: the report can be made again from the journal.
   */
  #tell(ask: (reporter: Reporter) => string): void {
    for (const output of this.#outputs) {
      try {
        const text = ask(output.reporter);
        if (text !== '') output.write(text);
      } catch (error) {
        this.#outputs.delete(output);
        this.#problems.push(
          `reporter ${output.name} failed and was left out from then on: ${messageOf(error)}`,
        );
      }
    }
  }
}

export interface JournalContent {
  readonly events: readonly KlpEvent[];
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
  const events: KlpEvent[] = [];
  let number = 0;
  let pending: Buffer[] = [];
  const take = (line: string): void => {
    events.push(readLine(line, `${path}:${number}`, events.at(-1)));
  };
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      let from = 0;
      // Split on the byte, not with readline: that takes U+2028 for the end of a line too.
      for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
        number += 1;
        take(Buffer.concat([...pending, chunk.subarray(from, at)]).toString('utf8'));
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
    const rest = Buffer.concat(pending).toString('utf8');
    if (isJson(rest)) take(rest);
    else cut = true;
  }
  const finished = events.at(-1)?.type === 'run.finished';
  const kept = `${events.length} ${events.length === 1 ? 'event' : 'events'} before it`;
  if (cut)
    return {
      events,
      finished,
      notice: `${path}:${number}: the last line is cut short: the run was killed; ${kept} were read`,
    };
  if (!finished)
    return {
      events,
      finished,
      notice: `${path}: the run did not finish: there is no run.finished at its end`,
    };
  return { events, finished };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function readLine(line: string, where: string, previous: KlpEvent | undefined): KlpEvent {
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
  let event: KlpEvent;
  try {
    event = parseEvent(line);
  } catch (cause) {
    throw new UsageError(`${where}: not an event of a journal`, {
      cause,
      details: messageOf(cause).split('\n'),
    });
  }
  const expected = previous === undefined ? 0 : previous.seq + 1;
  if (event.seq !== expected) {
    throw new UsageError(
      `${where}: event ${event.seq} stands where ${expected} should: the journal is incomplete`,
    );
  }
  if (previous !== undefined && event.run !== previous.run) {
    throw new UsageError(`${where}: event of run ${event.run} in the journal of run ${previous.run}`);
  }
  return event;
}
