// SPDX-License-Identifier: MIT
import { EventEmitter } from 'node:events';
import { StringDecoder } from 'node:string_decoder';
import { startsReport, severity, type ReportKind } from './splats.js';

/** One line of the guest's console. */
export interface ConsoleLine {
  /** Counts from 0 over the guest's whole life, lines that have left the ring included. */
  readonly seq: number;
  /** When its first character came: milliseconds of `performance.now()`. */
  readonly at: number;
  /** Control characters written out as `\x1b`. */
  readonly text: string;
}

/** A panic, an Oops, a warning, a stall: the whole text, from its first line to "end trace" or until silence. */
export interface ConsoleReport {
  readonly kind: ReportKind;
  /** The line that says what it is, without the kernel's time stamp. */
  readonly title: string;
  readonly at: number;
  readonly lines: readonly ConsoleLine[];
}

interface ConsoleEvents {
  line: [ConsoleLine];
  /** A report begins, or turns out worse than it began; its text is still to come. */
  complaint: [ReportKind];
  /** A report is complete. */
  report: [ConsoleReport];
  /** `klp-guest: …` by `images/init/init.sh`: `ready`, `failed: …`, `note: …`. */
  guest: [string];
}

export interface ConsoleOptions {
  /** Lines kept. */
  readonly capacity?: number;
  /** A report is complete when the console has been silent for so many milliseconds. */
  readonly quiet?: number;
}

const longestLine = 4096;
const longestReport = 400;

/** Watches a guest's console from the first character to the last. */
export class Console {
  readonly emitter = new EventEmitter<ConsoleEvents>();
  private readonly decoder = new StringDecoder('utf8');
  private readonly capacity: number;
  private readonly quiet: number;
  private ring: ConsoleLine[] = [];
  private next = 0;
  private partial = '';
  private partialAt = 0;
  private open: { kind: ReportKind; title: string | undefined; lines: ConsoleLine[] } | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(options: ConsoleOptions = {}) {
    this.capacity = options.capacity ?? 20_000;
    this.quiet = options.quiet ?? 1500;
  }

  /** What the serial port gave. */
  feed(chunk: Buffer): void {
    const parts = this.decoder.write(chunk).split('\n');
    for (const [index, part] of parts.entries()) {
      if (this.partial === '') this.partialAt = performance.now();
      this.partial += part;
      if (index < parts.length - 1 || this.partial.length > longestLine) this.endLine();
    }
  }

  /** Where the console stands now, for `since`. */
  mark(): number {
    return this.next;
  }

  /** The lines from `mark` on, as far as the ring still has them. */
  since(mark: number): readonly ConsoleLine[] {
    const first = this.ring[0]?.seq ?? 0;
    return this.ring.slice(Math.max(0, mark - first));
  }

  /** The last lines, an unfinished one included, as text. */
  tail(count: number): string[] {
    const texts = this.ring.slice(-count).map((line) => line.text);
    return (this.partial === '' ? texts : [...texts, readable(this.partial)]).slice(-count);
  }

  /** Whether anything but blank lines was ever shown. */
  get silent(): boolean {
    return this.next === 0 && this.partial.trim() === '';
  }

  /** Takes an unfinished line and an unfinished report for complete: the guest was reset, restored or is gone. */
  settle(): void {
    if (this.partial !== '') this.endLine();
    this.closeReport();
  }

  private endLine(): void {
    const text = readable(this.partial.replace(/\r+$/, '').slice(0, longestLine));
    const line = { seq: this.next++, at: this.partialAt, text };
    this.partial = '';
    this.ring.push(line);
    // In bulk, since shifting one by one would copy the ring for every line.
    if (this.ring.length > this.capacity * 1.25) this.ring = this.ring.slice(-this.capacity);
    this.emitter.emit('line', line);
    const message = withoutStamp(text);
    if (message.startsWith('klp-guest: ')) this.emitter.emit('guest', message.slice('klp-guest: '.length));
    else this.watch(line, message);
  }

  private watch(line: ConsoleLine, message: string): void {
    const kind = startsReport(message);
    const cutHere = message.startsWith('------------[ cut here ]');
    if (this.open && cutHere) this.closeReport();
    if (!this.open) {
      if (kind === undefined && !cutHere) return;
      this.open = { kind: kind ?? 'warning', title: undefined, lines: [] };
    }
    this.open.lines.push(line);
    // What comes later in the same report may be worse and then names it: a BUG line, its Oops, the panic it ends in.
    if (kind !== undefined && (this.open.title === undefined || severity(kind) > severity(this.open.kind))) {
      this.open.kind = kind;
      this.open.title = message;
      this.emitter.emit('complaint', kind);
    }
    clearTimeout(this.timer);
    if (/^(---\[ end |Rebooting in )/.test(message) || this.open.lines.length >= longestReport) this.closeReport();
    else this.timer = setTimeout(() => this.closeReport(), this.quiet).unref();
  }

  private closeReport(): void {
    clearTimeout(this.timer);
    const { open } = this;
    this.open = undefined;
    if (!open) return;
    const [first] = open.lines;
    const title = open.title ?? withoutStamp((open.lines[1] ?? first)?.text ?? '');
    this.emitter.emit('report', { kind: open.kind, title, at: first?.at ?? 0, lines: open.lines });
  }
}

/** Without `[   12.345678]` and, with CONFIG_PRINTK_CALLER, `[    T1]`. */
function withoutStamp(text: string): string {
  return text.replace(/^(<\d+>)?\[\s*\d+\.\d+\](\[\s*[TC]\d+\])? /, '');
}

/** Nothing a guest prints moves the cursor or recolours the terminal of whoever reads it. */
function readable(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (c) => {
    const code = c.codePointAt(0) ?? 0;
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
  });
}
