// SPDX-License-Identifier: MIT
import { closeSync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { performance } from 'node:perf_hooks';
import { InfrastructureError, messageOf } from '../errors.js';
import { eventVersion, parseEvent } from '../events/schema.js';
import type { EventOf, EventType, KlpEvent, Payload } from '../events/schema.js';
import type { Reporter } from '../report/reporter.js';
import { jsonText } from '../report/text.js';
import type { JournalEnd } from './journal-reader.js';

export { type JournalContent, type JournalEnd, readJournal } from './journal-reader.js';

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
  /** The journal is there, and goes on: what it holds, as {@link readJournal} gives it. */
  readonly past?: { readonly events: readonly KlpEvent[]; readonly end: JournalEnd };
  /** Called once, when an event could not be written: nothing more will be. */
  readonly onBroken?: (error: InfrastructureError) => void;
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
  readonly #onBroken: JournalOptions['onBroken'];
  readonly #problems: string[] = [];
  #fd: number | undefined;
  #seq: number;
  #bytes: number;
  #broken: InfrastructureError | undefined;

  /**
   * @param path file to create, or with `past` to go on with: a line that was cut short is cut off. Its folder exists
   * @param run  identifier of the run
   * @throws InfrastructureError when the file can't be created or opened; without `past` when it exists already
   */
  constructor(path: string, run: string, options: JournalOptions = {}) {
    this.path = path;
    this.run = run;
    this.#outputs = new Set(options.outputs);
    this.#monotonic = options.monotonic ?? (() => performance.now());
    this.#wall = options.wall ?? (() => new Date());
    this.#onBroken = options.onBroken;
    const { seq, mono, bytes, open } = options.past?.end ?? { seq: 0, mono: 0, bytes: 0, open: false };
    // The run's clock stood still since its last event.
    this.#begin = this.#monotonic() - mono;
    this.#seq = seq;
    this.#bytes = bytes;
    try {
      this.#fd = openSync(path, options.past ? 'r+' : 'wx');
      if (options.past) {
        ftruncateSync(this.#fd, bytes);
        if (open) this.#bytes += writeAt(this.#fd, Buffer.from('\n'), bytes);
      }
      fsyncSync(this.#fd);
      syncFolder(dirname(path));
    } catch (cause) {
      const what = options.past ? 'go on with' : 'create';
      throw new InfrastructureError(`can't ${what} the journal ${path}: ${messageOf(cause)}`, { cause });
    }
    for (const event of options.past?.events ?? []) {
      this.#tell((reporter) => {
        if (!reporter.past) return reporter.event(event);
        reporter.past(event);
        return '';
      });
    }
  }

  /** Why nothing can be written any more. */
  get broken(): InfrastructureError | undefined {
    return this.#broken;
  }

  /** Milliseconds that the run has taken so far, all its parts together. */
  get elapsed(): number {
    return this.#now();
  }

  /**
   * Writes one event. On `scenario.finished` and `run.*` it is on the disk when this returns.
   * @returns the event as a reader of the journal gets it
   * @throws Error when the payload is not what the schema says (a fault of ours); InfrastructureError when it
   *   can't be written, and then the journal still ends with its last whole line, and no later event is taken: what
   *   stands in it has no gaps
   */
  emit<T extends EventType>(type: T, payload: Payload<T>): EventOf<T> {
    if (this.#broken) throw this.#broken;
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
    try {
      // What must last is on the disk already.
      fsyncSync(this.#fd);
    } catch (error) {
      if (!this.#broken) this.#problems.push(`the journal's end may not be on the disk: ${messageOf(error)}`);
    }
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
      writeAt(fd, bytes, this.#bytes);
      if (sync) fsyncSync(fd);
    } catch (cause) {
      try {
        ftruncateSync(fd, this.#bytes);
      } catch {
        // The reader copes with a last line that is cut short.
      }
      this.#broken = new InfrastructureError(`can't write the journal ${this.path}: ${messageOf(cause)}`, {
        cause,
        hint:
          this.#seq === 0
            ? 'free some space, or choose another place with --output'
            : `free some space, then go on: npx klp run --resume ${dirname(this.path)}`,
      });
      this.#onBroken?.(this.#broken);
      throw this.#broken;
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

/** Writes all of it at a place of its own, so that what failed halfway can be written over. */
function writeAt(fd: number, bytes: Buffer, position: number): number {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  return bytes.length;
}

/** Makes a folder's entries last: a file that is synced itself may still lose its name with the power. */
export function syncFolder(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
