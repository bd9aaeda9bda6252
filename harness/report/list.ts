// SPDX-License-Identifier: MIT
import type { KlpEvent } from '../events/schema.js';
import { Collector, executions } from './collect.js';
import type { Finished } from './collect.js';
import { explain, failureLines, isPasted } from './failure.js';
import { fold } from './fold.js';
import { LiveLines } from './live.js';
import { painter, verdictColour } from './paint.js';
import type { Paint } from './paint.js';
import { Remaining } from './remaining.js';
import type { Display, Reporter } from './reporter.js';
import type { ScenarioResult } from './results-schema.js';
import { type Status, heartbeat, liveLines } from './status.js';
import { countsText, isBad, partOf, summarise } from './summary.js';
import { clean, duration, fit, plural, width } from './text.js';

/** Between two plain lines of the same topic, in milliseconds of the run. */
const plainProgressEvery = 10_000;
/** Without a line for so long, in milliseconds, a log gets one that says what is under way; a minute with what comes on top. */
const heartbeatAfter = 50_000;
const widestKernel = 24;
const widestScenario = 32;
/** Of a finished line: the verdict, and what is kept for the title at the least. */
const markWidth = 9;
const leastTitle = 4;

/**
 * The `list` reporter, for a person: a line for each scenario as it finishes (what takes long is not to hide what is
 * done; the summary is in the order of the plan), an explanation of each failure, a summary by clause. On a live terminal
 * the last lines say what is under way and are rewritten; elsewhere nothing is, progress comes as a line when its topic is
 * new, then every 10 s at most for each topic, and after a minute of silence a line says what is under way. Quiet, there are
 * failures and the summary only. What a resumed run had before is one line.
 */
export class ListReporter implements Reporter {
  readonly #display: Display;
  readonly #paint: Paint;
  readonly #collector = new Collector();
  readonly #remaining = new Remaining();
  readonly #live = new LiveLines();
  /** `mono` of the last plain line of each topic. */
  readonly #topics = new Map<string, number>();
  /** How many were not run, by kernel, and why; told once something else happens. */
  readonly #notRun = new Map<string, { count: number; readonly reason: string }>();
  #progress: string | undefined;
  /** Live lines are kept away. */
  #hidden = false;
  /** `mono` of the last line that stayed. */
  #lastLine = 0;
  #strict = false;
  #total = 0;
  #failed = 0;
  #kernelWidth = 0;
  #scenarioWidth = 0;
  /** The last one named on a terminal too narrow to name it on each line. */
  #kernel = '';

  constructor(display: Display) {
    this.#display = display;
    this.#paint = painter(display.colour);
  }

  event(event: KlpEvent): string {
    const finished = this.#collector.add(event);
    this.#remaining.add(event, this.#collector);
    const lines = finished?.result.notRun === true ? this.#leftOut(finished.result) : [...this.#toldLeftOut(), ...this.#lines(event)];
    if (finished && finished.result.notRun !== true) lines.push(...this.#finished(finished));
    const moved = /^(?:kernel|scenario|run)\./.test(event.type);
    if (moved) this.#progress = undefined;
    // Most events are a scenario's own, and change nothing of what is shown.
    return lines.length > 0 || moved || event.type === 'progress' ? this.#write(lines, event.mono) : '';
  }

  past(event: KlpEvent): void {
    this.#collector.add(event);
    if (event.type === 'run.started') this.#begin(event);
  }

  /** Brings the live lines' times up to `mono`; elsewhere says what is under way, when nothing was said for long. */
  tick(mono: number): string {
    const { live, quiet } = this.#display;
    if (live || quiet === true) return this.#write([], mono);
    if (mono - this.#lastLine < heartbeatAfter) return '';
    return this.#write([`         ${heartbeat(this.#status(mono))}`], mono);
  }

  hide(): string {
    this.#hidden = true;
    return this.#live.hide();
  }

  show(): void {
    this.#hidden = false;
  }

  end(): string {
    const summary = summarise(this.#collector.results(), this.#display, this.#paint).replace(/\n$/, '').split('\n');
    return this.#live.draw(this.#fitted([...this.#toldLeftOut(), ...summary]), [], this.#display.columns);
  }

  #lines(event: KlpEvent): string[] {
    if (event.type === 'run.started') {
      const begun = this.#begin(event);
      return this.#display.quiet === true ? [] : [begun];
    }
    if (event.type === 'kernel.failed') {
      const what = `${clean(event.kernel)}: no scenario can run on this kernel`;
      const head = `${this.#paint('magenta', 'ERROR   ')} ${what}`;
      return [head, ...failureLines(event.failure, this.#paint)];
    }
    return this.#display.quiet === true ? [] : this.#news(event);
  }

  /** Lines of what is neither a failure nor a result. */
  #news(event: KlpEvent): string[] {
    if (event.type === 'run.resumed') return [this.#resume(event)];
    if (event.type === 'kernel.resumed')
      return event.superseded.map(({ scenario, why }) => {
        const head = this.#paint('yellow', 'again   ');
        return `${head} ${this.#padKernel(event.kernel)} ${clean(scenario).padEnd(this.#scenarioWidth)} ${clean(why)}`;
      });
    if (event.type === 'progress') return this.#advance(event);
    if (event.type === 'kernel.booted') {
      const took = `${event.restored === true ? 'restored' : 'booted'} in ${duration(event.bootMs)} (${clean(event.accel)})`;
      this.#kernel = event.kernel;
      return [this.#paint('dim', `kernel   ${this.#padKernel(event.kernel)} ${took}`)];
    }
    return [];
  }

  #begin(event: Extract<KlpEvent, { type: 'run.started' }>): string {
    const ids = event.scenarios.map((s) => s.id);
    this.#strict = event.strict;
    this.#total = executions(event).reduce((sum, p) => sum + p.scenarios.length, 0);
    this.#kernelWidth = widest(event.kernels, widestKernel);
    this.#scenarioWidth = widest(ids, widestScenario);
    const part = partOf({ ...event, combined: event.combined?.runs });
    const some = event.executions ? `, of these ${plural(this.#total, 'execution')}` : '';
    const what = `${plural(ids.length, 'scenario')} on ${plural(event.kernels.length, 'kernel')}${part}${some}`;
    return `klp ${clean(event.harness)}, clause catalogue ${event.catalogue}, run ${clean(event.run)}: ${what}`;
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

  #finished(finished: Finished): string[] {
    const { result } = finished;
    const bad = isBad(result.verdict, this.#strict);
    const news = bad && result.expected === undefined;
    if (news) this.#failed += 1;
    if (this.#display.quiet === true && !news) return [];
    const mark = this.#paint(
      verdictColour[result.verdict],
      (news ? result.verdict.toUpperCase() : result.verdict).padEnd(markWidth - 1),
    );
    const flaky = result.flaky ? `, flaky: attempt ${result.attempts}` : '';
    const took = this.#paint('dim', `(${duration(result.durationMs)}${flaky})`);
    let about = clean(result.title);
    if (result.expected !== undefined) about += ` - expected: ${clean(result.expected)}`;
    else if (!bad && result.reason !== undefined) about += ` - ${clean(result.reason)}`;
    const lines = this.#resultLines(result, about, mark, took);
    return news ? [...lines, ...explain(finished, this.#paint), ''] : lines;
  }

  /** On a terminal one line, cut; where it is too narrow for the kernel, that one is named when it is another. */
  #resultLines(result: ScenarioResult, about: string, mark: string, took: string): string[] {
    const names = `${this.#padKernel(result.kernel)} ${clean(result.scenario).padEnd(this.#scenarioWidth)}`;
    const { live, columns } = this.#display;
    const tookWidth = width(took.replace(/\x1b\[[0-9;]*m/g, '')); // eslint-disable-line no-control-regex
    const room = columns - markWidth - width(names) - 2 - tookWidth;
    if (!live || room >= leastTitle) {
      const title = live ? fit(about, room) : about;
      return [`${mark} ${names} ${title === '' ? '' : `${title} `}${took}`];
    }
    const scenario = fit(clean(result.scenario), Math.max(1, columns - markWidth - 1 - tookWidth));
    const line = `${mark} ${scenario} ${took}`;
    if (this.#kernel === result.kernel) return [line];
    this.#kernel = result.kernel;
    return [this.#paint('dim', `kernel   ${clean(result.kernel)}`), line];
  }

  #leftOut({ kernel, reason = '' }: ScenarioResult): string[] {
    const known = this.#notRun.get(kernel) ?? { count: 0, reason };
    known.count += 1;
    this.#notRun.set(kernel, known);
    return [];
  }

  #toldLeftOut(): string[] {
    const told = [...this.#notRun].map(([kernel, { count, reason }]) => {
      const head = this.#paint(verdictColour.error, 'not run '.padEnd(markWidth - 1));
      return `${head} ${this.#padKernel(kernel)} ${plural(count, 'scenario')}: ${clean(reason.replace(/^not run: /, ''))}`;
    });
    this.#notRun.clear();
    return told;
  }

  #padKernel(kernel: string): string {
    return clean(kernel).padEnd(this.#kernelWidth);
  }

  #status(mono: number): Status {
    const { done, running } = this.#collector;
    const remaining = this.#remaining.at(mono, this.#collector);
    return { mono, done, total: this.#total, failed: this.#failed, running, remaining, progress: this.#progress };
  }

  /** On a terminal a line that is too wide becomes several; what is to be pasted stays whole. */
  #fitted(lines: readonly string[]): string[] {
    const { live, columns } = this.#display;
    return live ? lines.flatMap((line) => (isPasted(line) ? [line] : fold(line, columns))) : [...lines];
  }

  /** Lines that stay, above the live ones. */
  #write(lines: readonly string[], mono: number): string {
    if (lines.length > 0) this.#lastLine = mono;
    const { live, quiet, columns, rows = 24 } = this.#display;
    const shown = live && quiet !== true && !this.#hidden ? liveLines(this.#status(mono), columns, rows) : [];
    return this.#live.draw(this.#fitted(lines), shown, columns);
  }
}

function widest(names: readonly string[], limit: number): number {
  return Math.min(limit, Math.max(0, ...names.map((name) => width(clean(name)))));
}
