// SPDX-License-Identifier: MIT
import type { KlpEvent } from '../events/schema.js';
import { Collector, executions } from './collect.js';
import { explain, failureLines } from './failure.js';
import { painter, verdictColour } from './paint.js';
import type { Paint } from './paint.js';
import type { Display, Reporter } from './reporter.js';
import type { ScenarioResult } from './results-schema.js';
import { countsText, isBad, partOf, summarise } from './summary.js';
import { clean, duration, fit, plural, width } from './text.js';

const eraseLine = '\r\x1b[2K';
/** Between two plain lines of the same topic, in milliseconds of the run. */
const plainProgressEvery = 10_000;
const widestKernel = 24;
const widestScenario = 32;

/**
 * The `list` reporter, for a person: a line for each scenario as it finishes (what takes long is not to hide what is
 * done; the summary is in the order of the plan), an explanation of each failure, a summary by clause. On a live terminal
 * the last line says what is under way and is rewritten; elsewhere nothing is, and progress comes as a line when its topic
 * is new, then every 10 s at most for each topic. What a resumed run had before is one line.
 */
export class ListReporter implements Reporter {
  readonly #display: Display;
  readonly #paint: Paint;
  readonly #collector = new Collector();
  /** `mono` of the last plain line of each topic. */
  readonly #topics = new Map<string, number>();
  #progress: string | undefined;
  /** What stands on the terminal's last line. */
  #status = '';
  #strict = false;
  #total = 0;
  #kernelWidth = 0;
  #scenarioWidth = 0;

  constructor(display: Display) {
    this.#display = display;
    this.#paint = painter(display.colour);
  }

  event(event: KlpEvent): string {
    const finished = this.#collector.add(event);
    const lines = this.#lines(event);
    if (finished) lines.push(...this.#finished(finished.result, finished.operations));
    if (event.type !== 'progress' && /^(?:kernel|scenario|run)\./.test(event.type))
      this.#progress = undefined;
    return this.#permanent(lines) + this.#rewrite(event.mono);
  }

  past(event: KlpEvent): void {
    this.#collector.add(event);
    if (event.type === 'run.started') this.#begin(event);
  }

  /** Brings the elapsed time of a live terminal's status line up to `mono`; '' elsewhere. */
  tick(mono: number): string {
    return this.#rewrite(mono);
  }

  end(): string {
    const clear = this.#status === '' ? '' : eraseLine;
    this.#status = '';
    return clear + summarise(this.#collector.results(), this.#display, this.#paint);
  }

  #lines(event: KlpEvent): string[] {
    if (event.type === 'run.started') return this.#begin(event);
    if (event.type === 'run.resumed') return [this.#resume(event)];
    if (event.type === 'kernel.resumed')
      return event.superseded.map(({ scenario, why }) => {
        const head = this.#paint('yellow', 'again   ');
        return `${head} ${this.#padKernel(event.kernel)} ${clean(scenario).padEnd(this.#scenarioWidth)} ${clean(why)}`;
      });
    if (event.type === 'progress') return this.#advance(event);
    if (event.type === 'kernel.booted') {
      const took = `${event.restored === true ? 'restored' : 'booted'} in ${duration(event.bootMs)} (${clean(event.accel)})`;
      return [this.#paint('dim', `kernel   ${this.#padKernel(event.kernel)} ${took}`)];
    }
    if (event.type === 'kernel.failed') {
      const what = `${clean(event.kernel)}: no scenario can run on this kernel`;
      const head = `${this.#paint('magenta', 'ERROR   ')} ${what}`;
      return [head, ...failureLines(event.failure, this.#paint)];
    }
    return [];
  }

  #begin(event: Extract<KlpEvent, { type: 'run.started' }>): string[] {
    const ids = event.scenarios.map((s) => s.id);
    this.#strict = event.strict;
    this.#total = executions(event).reduce((sum, p) => sum + p.scenarios.length, 0);
    this.#kernelWidth = widest(event.kernels, widestKernel);
    this.#scenarioWidth = widest(ids, widestScenario);
    const part = partOf({ ...event, combined: event.combined?.runs });
    const what = `${plural(ids.length, 'scenario')} on ${plural(event.kernels.length, 'kernel')}${part}`;
    return [
      `klp ${clean(event.harness)}, clause catalogue ${event.catalogue}, run ${clean(event.run)}: ${what}`,
    ];
  }

  #resume(event: Extract<KlpEvent, { type: 'run.resumed' }>): string {
    const { counts } = this.#collector.results();
    const there = `${this.#collector.done} of ${this.#total} results are there: ${countsText(counts.scenarios)}`;
    return `klp ${clean(event.harness)}, clause catalogue ${event.catalogue}, run ${clean(event.run)} goes on: ${there}`;
  }

  #advance(event: Extract<KlpEvent, { type: 'progress' }>): string[] {
    this.#progress = `${clean(event.topic)}: ${clean(event.text)}`;
    if (this.#display.live) return [];
    const last = this.#topics.get(event.topic);
    if (last !== undefined && event.mono - last < plainProgressEvery) return [];
    this.#topics.set(event.topic, event.mono);
    return [`         ${this.#progress}`];
  }

  #finished(result: ScenarioResult, operations: readonly string[]): string[] {
    const bad = isBad(result.verdict, this.#strict);
    const news = bad && result.expected === undefined;
    const mark = this.#paint(
      verdictColour[result.verdict],
      (news ? result.verdict.toUpperCase() : result.verdict).padEnd(8),
    );
    const names = `${this.#padKernel(result.kernel)} ${clean(result.scenario).padEnd(this.#scenarioWidth)}`;
    const flaky = result.flaky ? `, flaky: attempt ${result.attempts}` : '';
    const took = `(${duration(result.durationMs)}${flaky})`;
    let about = clean(result.title);
    if (result.expected !== undefined) about += ` - expected: ${clean(result.expected)}`;
    else if (!bad && result.reason !== undefined) about += ` - ${clean(result.reason)}`;
    if (this.#display.live)
      about = fit(about, Math.max(0, this.#display.columns - 9 - width(names) - 2 - width(took)));
    const line = `${mark} ${names} ${about === '' ? '' : `${about} `}${this.#paint('dim', took)}`;
    return news ? [line, ...explain(result, operations, this.#paint), ''] : [line];
  }

  #padKernel(kernel: string): string {
    return clean(kernel).padEnd(this.#kernelWidth);
  }

  /** Lines that stay, in place of the status line. */
  #permanent(lines: readonly string[]): string {
    if (lines.length === 0) return '';
    const clear = this.#status === '' ? '' : eraseLine;
    this.#status = '';
    return `${clear}${lines.join('\n')}\n`;
  }

  #rewrite(mono: number): string {
    if (!this.#display.live) return '';
    const { done, running } = this.#collector;
    // The kernel is named where it is not the one just named.
    const guests = running.map((r, i) => {
      const kernel = running[i - 1]?.kernel === r.kernel ? '' : `${clean(r.kernel)} `;
      return `${kernel}${clean(r.scenario)} ${seconds(mono - r.since)}`;
    });
    const parts = guests.length > 0 ? [guests.join(', ')] : [];
    if (this.#progress !== undefined) parts.push(this.#progress);
    const counter = this.#total > 0 ? `[${done}/${this.#total}] ` : '';
    // One column stays free: some terminals wrap as soon as the last one is written.
    const status = parts.length === 0 ? '' : fit(`${counter}${parts.join(' ')}`, this.#display.columns - 1);
    if (status === this.#status) return '';
    const clear = this.#status === '' ? '' : eraseLine;
    this.#status = status;
    return clear + status;
  }
}

/** Whole seconds, so that the line is not rewritten for each event. */
function seconds(milliseconds: number): string {
  const whole = Math.floor(Math.max(0, milliseconds) / 1000);
  return whole < 60 ? `${whole} s` : duration(whole * 1000);
}

function widest(names: readonly string[], limit: number): number {
  return Math.min(limit, Math.max(0, ...names.map((name) => width(clean(name)))));
}
