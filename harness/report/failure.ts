// SPDX-License-Identifier: MIT
import type { Failure } from '../events/schema.js';
import type { Paint } from './paint.js';
import { verdictColour } from './paint.js';
import type { Judgement, ScenarioResult } from './results-schema.js';
import { clean, cleanLines } from './text.js';

const operationsShown = 8;
const splatLinesShown = 20;
const logLinesShown = 30;
const detailsShown = 20;

/** Log lines stand behind a bar: a line that begins with `::` would be a command to GitHub's runner. */
const barred = (line: string): string => `    | ${clean(line)}`;

/** `label    text`, the text's further lines below its first. */
function field(label: string, text: string): string[] {
  const [first = '', ...rest] = cleanLines(text);
  return [`    ${label.padEnd(10)} ${first}`, ...rest.map((line) => `${' '.repeat(15)}${line}`)];
}

/** A judgement that is not a pass: what was done, what was allowed, what was seen. */
function judgementLines(judgement: Judgement, paint: Paint): string[] {
  const { clause, verdict, note, what, seen, mainline, documents } = judgement;
  const name = paint(verdictColour[verdict], `${clean(clause)} ${verdict}`);
  const head = note === undefined ? name : `${name}: ${clean(note)}`;
  const stance = documents.reference ? `${documents.stance}, ${documents.reference}` : documents.stance;
  return [
    `  ${head}`,
    ...field('checked', what),
    ...field('mainline', mainline.does ? `${mainline.allowed} (does what was seen)` : mainline.allowed),
    ...field('documents', stance),
    ...field('seen', seen),
  ];
}

/** The lines that sum up; the whole dump is in the journal. */
function registerLines(registers: readonly string[]): string[] {
  return registers.filter((line) => /^CPU \d+: /.test(line)).map(barred);
}

/** Kind, message, the operation it happened in, details and what to do about it. */
export function failureLines(failure: Failure, paint: Paint): string[] {
  const during = failure.during === undefined ? '' : ` during ${clean(failure.during)}`;
  const [first = '', ...rest] = cleanLines(failure.message);
  const all = failure.details ?? [];
  // QEMU's command line is what a person tries next, however long the rest is.
  const command = all.filter((line) => line.startsWith('command: '));
  const details = all.filter((line) => !line.startsWith('command: '));
  const more = details.length - detailsShown;
  return [
    `  ${paint('red', failure.kind)}${during}: ${first}`,
    ...rest.map((line) => `    ${line}`),
    ...registerLines(failure.registers ?? []),
    ...details.slice(0, detailsShown).map(barred),
    ...(more > 0 ? [`    … and ${more} more in the journal`] : []),
    ...command.map((line) => `    | ${clean(line, 4000)}`),
    ...(failure.hint === undefined
      ? []
      : cleanLines(failure.hint).map((line, i) => `    ${i === 0 ? 'hint: ' : '      '}${line}`)),
  ];
}

/** The lines that explain a result which is not as it should be, from the operations to how to repeat it. */
export function explain(result: ScenarioResult, operations: readonly string[], paint: Paint): string[] {
  const lines: string[] = [];
  if (result.reason !== undefined) lines.push(...cleanLines(result.reason).map((line) => `  ${line}`));
  if (operations.length > 0) {
    const left = operations.length - operationsShown;
    lines.push(left > 0 ? `  done (last ${operationsShown} of ${operations.length} operations):` : '  done:');
    lines.push(...operations.slice(-operationsShown).map((line) => `    ${clean(line)}`));
  }
  for (const judgement of result.judgements) {
    if (judgement.verdict !== 'pass' && judgement.verdict !== 'n/a')
      lines.push(...judgementLines(judgement, paint));
  }
  if (result.failure) lines.push(...failureLines(result.failure, paint));
  for (const splat of result.splats.filter((s) => !s.declared)) {
    const during = splat.during === undefined ? '' : ` during ${clean(splat.during)},`;
    lines.push(`  ${paint('red', clean(splat.kind))}${during} that the scenario does not declare:`);
    lines.push(...splat.lines.slice(0, splatLinesShown).map(barred));
    if (splat.lines.length > splatLinesShown) lines.push(`    | … ${splat.lines.length} lines`);
  }
  const log = result.log ?? [];
  if (log.length > 0) {
    lines.push(
      log.length > logLinesShown
        ? `  kernel log (last ${logLinesShown} of ${log.length} lines):`
        : '  kernel log:',
    );
    lines.push(...log.slice(-logLinesShown).map(barred));
  }
  lines.push(`  ${paint('bold', 'repeat:')} ${clean(result.repeat, 4000)}`);
  return lines;
}
