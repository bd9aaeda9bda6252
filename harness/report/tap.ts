// SPDX-License-Identifier: MIT
import type { KlpEvent } from '../events/schema.js';
import { Collector } from './collect.js';
import type { Reporter } from './reporter.js';
import type { ScenarioResult } from './results-schema.js';
import { isBad, notWhole } from './summary.js';
import { clean, jsonText } from './text.js';

const textLimit = 2000;
const logLimit = 100;

/**
 * The `tap` reporter: TAP version 14, one test point for each scenario execution (kernel / scenario).
 *
 * n/a is `ok # SKIP`; a deviation is ok with a comment, under `--strict` not ok; error is not ok with the
 * failure's kind; what the expectations file names is `# TODO` with its reason. A run that judged nothing,
 * was interrupted or did not finish bails out in place of the plan, since its exit status is not 0 either.
 *
 * Test points come in the order of run.started, so that two runs can be compared line by line: a result waits for those
 * before it. What a resumed run had before waits until its kernel has said which of it holds.
 * https://testanything.org/tap-version-14-specification.html
 */
export class TapReporter implements Reporter {
  readonly #collector = new Collector();
  #strict = false;
  #begun = false;
  #points = 0;
  readonly #printed = new Set<ScenarioResult>();
  /** The place in the plan that is next. */
  #next = 0;
  /** Kernels whose results may still be superseded. */
  #unsettled = new Set<string>();

  event(event: KlpEvent): string {
    const finished = this.#collector.add(event);
    let text = this.#version() + this.#comments(event);
    if (finished && !this.#collector.planned(finished.result)) text += this.#point(finished.result);
    return text + this.#ready();
  }

  past(event: KlpEvent): void {
    this.#collector.add(event);
    if (event.type === 'run.started') this.#strict = event.strict;
  }

  end(): string {
    const results = this.#collector.results();
    let text = this.#version() + this.#rest();
    for (const stale of results.staleExpectations)
      text += comment(`expectation that no longer holds: ${stale}`);
    for (const missing of results.missing ?? []) text += comment(`missing: ${missing}`);
    const why = notWhole(results);
    return why === undefined ? `${text}1..${this.#points}\n` : `${text}Bail out! ${why}\n`;
  }

  #comments(event: KlpEvent): string {
    if (event.type === 'run.started' || event.type === 'run.resumed') {
      if (event.type === 'run.started') this.#strict = event.strict;
      else this.#unsettled = new Set(this.#collector.results().kernels.map((k) => k.kernel));
      const resumed = event.type === 'run.resumed' ? ', resumed' : '';
      return comment(`klp ${event.harness}, clause catalogue ${event.catalogue}, run ${event.run}${resumed}`);
    }
    if (event.type === 'kernel.resumed') {
      this.#unsettled.delete(event.kernel);
      return event.superseded.map(({ scenario, why }) => comment(`${event.kernel} / ${scenario} is run again: ${why}`)).join('');
    }
    if (event.type === 'kernel.failed')
      return comment(`kernel ${event.kernel}: ${event.failure.kind}: ${event.failure.message}`);
    return '';
  }

  /** The test points that wait for nothing any more. */
  #ready(): string {
    let text = '';
    for (;;) {
      const result = this.#collector.at(this.#next);
      if (!result || this.#unsettled.has(result.kernel)) return text;
      this.#next += 1;
      text += this.#point(result);
    }
  }

  /** At the end: what waited for a result that never came. */
  #rest(): string {
    const left = this.#collector.scenarios.filter((result) => !this.#printed.has(result));
    return left.map((result) => this.#point(result)).join('');
  }

  #version(): string {
    if (this.#begun) return '';
    this.#begun = true;
    return 'TAP version 14\n';
  }

  #point(result: ScenarioResult): string {
    this.#points += 1;
    this.#printed.add(result);
    const { verdict, expected, reason } = result;
    const ok = !isBad(verdict, this.#strict);
    const title = result.title === '' ? '' : `: ${result.title}`;
    const description = escaped(`${result.kernel} / ${result.scenario}${title}`);
    let line = `${ok ? 'ok' : 'not ok'} ${this.#points} - ${description}`;
    if (verdict === 'n/a') line += ` # SKIP ${escaped(reason ?? 'not applicable')}`;
    else if (!ok && expected !== undefined) line += ` # TODO ${escaped(expected)}`;
    // A brace at the end would open a buffered subtest.
    line = `${line.replace(/\{\s*$/, '{.')}\n`;
    if (!ok || verdict === 'deviates') line += diagnostics(result);
    if (ok && verdict === 'deviates') line += comment(`deviates${reason === undefined ? '' : `: ${reason}`}`);
    return result.flaky ? line + comment(`flaky: passed on attempt ${result.attempts}`) : line;
  }
}

/** Text inside a test point or a comment: one line, without a character that means something to TAP. */
function escaped(text: string): string {
  return clean(text).replaceAll('\\', '\\\\').replaceAll('#', '\\#').trim();
}

function comment(text: string): string {
  return `# ${clean(text)}\n`;
}

/** The YAML block of a test point. Its scalars are JSON strings, which YAML reads with the same meaning. */
function diagnostics(result: ScenarioResult): string {
  const lines: string[] = [];
  const scalar = (value: string | number | boolean): string =>
    typeof value === 'string' ? jsonText(cut(value)) : String(value);
  const put = (indent: string, name: string, value: string | number | boolean | undefined): void => {
    if (value !== undefined) lines.push(`${indent}${name}: ${scalar(value)}`);
  };
  const list = (indent: string, name: string, items: readonly string[] | undefined): void => {
    if (!items || items.length === 0) return;
    lines.push(`${indent}${name}:`, ...items.slice(-logLimit).map((item) => `${indent}  - ${scalar(item)}`));
  };
  put('  ', 'verdict', result.verdict);
  put('  ', 'reason', result.reason);
  put('  ', 'expected', result.expected);
  put('  ', 'duration_ms', result.durationMs);
  put('  ', 'attempts', result.attempts);
  if (result.failure) {
    lines.push('  failure:');
    put('    ', 'kind', result.failure.kind);
    put('    ', 'message', result.failure.message);
    put('    ', 'during', result.failure.during);
    put('    ', 'hint', result.failure.hint);
    list('    ', 'details', result.failure.details);
  }
  const judgements = result.judgements.filter((j) => j.verdict !== 'n/a');
  if (judgements.length > 0) lines.push('  judgements:');
  for (const { clause, verdict, what, seen, mainline, documents, note } of judgements) {
    lines.push(`    - clause: ${scalar(clause)}`);
    put('      ', 'verdict', verdict);
    put('      ', 'what', what);
    put('      ', 'seen', seen);
    put('      ', 'mainline', mainline.allowed);
    put('      ', 'mainline_does', mainline.does);
    put('      ', 'documents', documents.stance);
    put('      ', 'reference', documents.reference);
    put('      ', 'note', note);
  }
  list('  ', 'log', result.log);
  put('  ', 'repeat', result.repeat);
  return `  ---\n${lines.join('\n')}\n  ...\n`;
}

function cut(text: string): string {
  return text.length <= textLimit ? text : `${text.slice(0, textLimit)}… (${text.length} characters)`;
}
