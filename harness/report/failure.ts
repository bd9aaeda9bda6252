// SPDX-License-Identifier: MIT
import type { Failure } from '../events/schema.js';
import type { Finished, Place } from './collect.js';
import { type LogRange, logPlace } from './log-place.js';
import type { Paint } from './paint.js';
import { verdictColour } from './paint.js';
import type { Judgement } from './results-schema.js';
import { clean, cleanLines, plural } from './text.js';

const operationsShown = 8;
const splatLinesShown = 20;
const logLinesShown = 30;
const detailsShown = 20;

/** Log lines stand behind a bar: a line that begins with `::` would be a command to GitHub's runner. */
const barred = (line: string): string => `    | ${clean(line)}`;

/** Before what a person is to paste, which is therefore never broken. */
const repeatLabel = 'repeat:';
const commandLabel = 'command: ';

/** Whether a line, with or without colours, holds something to paste. */
export function isPasted(line: string): boolean {
  const plain = line.replace(/\x1b\[[0-9;]*m/g, ''); // eslint-disable-line no-control-regex
  return plain.startsWith(`  ${repeatLabel} `) || plain.startsWith(`    | ${commandLabel}`) || /^ {2}\S+ +npx klp run /.test(plain);
}

/** `label    text`, the text's further lines below its first. */
function field(label: string, text: string): string[] {
  const [first = '', ...rest] = cleanLines(text);
  return [`    ${label.padEnd(10)} ${first}`, ...rest.map((line) => `${' '.repeat(15)}${line}`)];
}

/** A judgement that is not a pass: what was done, what was allowed, what was seen, and where that is written. */
function judgementLines(judgement: Judgement, line: number | undefined, log: LogRange | undefined, paint: Paint): string[] {
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
    ...(line === undefined ? [] : field('journal', `line ${line}`)),
    ...(log ? field('log', `${plural(log.end - log.begin, 'line')}, at > below`) : []),
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
  const command = all.filter((line) => line.startsWith(commandLabel));
  const details = all.filter((line) => !line.startsWith(commandLabel));
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

/** A result, with where it stands in the journal if that is known. */
export type Explained = Pick<Finished, 'result'> & Partial<Finished>;

/** The lines that explain a result which is not as it should be, from the operations to how to repeat it. */
export function explain({ result, operations = [], places = [], lines: range }: Explained, paint: Paint): string[] {
  const lines: string[] = [];
  if (result.reason !== undefined) lines.push(...cleanLines(result.reason).map((line) => `  ${line}`));
  if (operations.length > 0) {
    const left = operations.length - operationsShown;
    lines.push(left > 0 ? `  done (last ${operationsShown} of ${operations.length} operations):` : '  done:');
    lines.push(...operations.slice(-operationsShown).map((line) => `    ${clean(line)}`));
  }
  const log = result.log ?? [];
  const marked: LogRange[] = [];
  for (const [i, judgement] of result.judgements.entries()) {
    if (judgement.verdict === 'pass' || judgement.verdict === 'n/a') continue;
    const place: Place | undefined = places[i];
    const about = place && logPlace(log, operations, place.operations, judgement.what);
    if (about) marked.push(about);
    lines.push(...judgementLines(judgement, place?.line, about, paint));
  }
  if (result.failure) lines.push(...failureLines(result.failure, paint));
  for (const splat of result.splats.filter((s) => !s.declared)) {
    const during = splat.during === undefined ? '' : ` during ${clean(splat.during)},`;
    lines.push(`  ${paint('red', clean(splat.kind))}${during} that the scenario does not declare:`);
    lines.push(...splat.lines.slice(0, splatLinesShown).map(barred));
    if (splat.lines.length > splatLinesShown) lines.push(`    | … ${splat.lines.length} lines`);
  }
  lines.push(...logLines(log, marked, paint));
  if (range) lines.push(`  journal: lines ${range[0]} to ${range[1]} of journal.ndjson`);
  lines.push(`  ${paint('bold', repeatLabel)} ${clean(result.repeat, 4000)}`);
  return lines;
}

/** The end of the log, or where something was judged, if that is before. */
function logLines(log: readonly string[], marked: readonly LogRange[], paint: Paint): string[] {
  if (log.length === 0) return [];
  const end = Math.max(0, log.length - logLinesShown);
  const begin = Math.min(end, ...marked.map((range) => range.begin));
  const shown = log.slice(begin, begin + logLinesShown);
  const part =
    shown.length === log.length
      ? ''
      : begin === end
        ? ` (last ${logLinesShown} of ${log.length} lines)`
        : ` (lines ${begin + 1} to ${begin + shown.length} of ${log.length})`;
  const here = (line: number): boolean => marked.some((range) => line >= range.begin && line < range.end);
  return [
    `  kernel log${part}:`,
    ...shown.map((line, i) => (here(begin + i) ? `    ${paint('red', '>')} ${clean(line)}` : barred(line))),
  ];
}
