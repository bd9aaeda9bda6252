// SPDX-License-Identifier: MIT
import { UnknownClauseError } from './ids.js';
import { code, escapeCell, escapeMarkdown } from './markdown.js';
import { sections } from './sections.js';
import type { Clause, ClauseId, Deviation, DocumentReference, Section, Texts } from './types.js';

/** Scenario ids by the clause they test. */
export type Coverage = ReadonlyMap<ClauseId, readonly string[]>;

const generated =
  '<!-- Generated from harness/model/catalogue by `klp spec`: change that, not this file. -->';

/**
 * The specification as Markdown: `README.md` with the counts, and `<section>.md` for each section that has
 * clauses.
 *
 * @param clauses  what to render; a clause appears on the page of its section, in the given order
 * @param coverage the scenarios of each clause
 * @returns file name → content
 * @throws UnknownClauseError when the coverage names a clause that is not among `clauses`
 */
export function renderSpecification(clauses: readonly Clause[], coverage: Coverage): Map<string, string> {
  const ids = new Set(clauses.map((clause) => clause.id));
  for (const id of coverage.keys()) {
    if (!ids.has(id)) throw new UnknownClauseError(id, ids);
  }
  const pages = sections
    .map((section) => ({ section, clauses: clauses.filter((clause) => clause.section === section.id) }))
    .filter((page) => page.clauses.length > 0);
  return new Map([
    ['README.md', renderIndex(pages, coverage)],
    ...pages.map((page): [string, string] => [fileName(page.section), renderPage(page, coverage)]),
  ]);
}

interface Page {
  readonly section: Section;
  readonly clauses: readonly Clause[];
}

function fileName(section: Section): string {
  return `${section.id}.md`;
}

const introduction = [
  'What `klp` judges a kernel by. Each clause is one statement that can be tested from user space; it ' +
    'comes with what the documents say of it, by line, and with what mainline does. Up to 5.0 the documents ' +
    'are `livepatch.txt` and `module-elf-format.txt` of `Documentation/livepatch` in Linux 4.14. From 5.1 on, where ' +
    'nothing is registered any more, they are the `.rst` files there and ' +
    '`Documentation/ABI/testing/sysfs-kernel-livepatch`, with the lines of 7.3.4; 6.1 says the same.',
  'Mainline was read in the source of 4.14.177 and 7.3.4 and, in parts, of 5.10.262, 6.1.192 and 6.12.117. Where a ' +
    'clause gives another version as the one from which something holds, that boundary was not read in the source ' +
    'of that version. Where an unmodified kernel disagrees with a clause, the kernel is right and the clause has to ' +
    'be corrected.',
  'The statement of a clause is what the documents of 4.14 say, even if mainline contradicts them; where ' +
    'they are silent it is what mainline does.',
];

const legend =
  'A *documented deviation* is a clause where mainline contradicts the documents: a kernel that does ' +
  'as mainline does is reported as `deviates`, neither as a pass nor as a failure. *Undocumented ' +
  'behaviour* is a clause where mainline does something of consequence that the documents do not ' +
  'mention.';

function renderIndex(pages: readonly Page[], coverage: Coverage): string {
  const all = pages.flatMap((page) => page.clauses);
  const rows = pages.map((page) => [
    `[${escapeCell(page.section.title)}](${fileName(page.section)})`,
    ...counts(page.clauses, coverage),
  ]);
  const head = ['Section', 'Clauses', 'With a scenario', ...kindsByGeneration];
  return paragraphs(
    generated,
    '# Specification',
    ...introduction,
    '## Counts',
    table(head, [...rows, ['**All**', ...counts(all, coverage)]]),
    legend,
    ...renderDeviations(all.filter((clause) => contradicted(clause) || contradicted(clause.later))),
    ...renderUnconfirmed(all.filter((clause) => !clause.confirmed)),
  );
}

function renderDeviations(clauses: readonly Clause[]): string[] {
  if (clauses.length === 0) return [];
  return ['## Documented deviations', table(['Clause', 'Up to 5.0', '5.1 and later'], clauses.map(noted))];
}

function renderUnconfirmed(clauses: readonly Clause[]): string[] {
  if (clauses.length === 0) return [];
  const text =
    'A part of what these clauses say of mainline was neither read in a source tree nor seen on a kernel: ';
  return ['## To be confirmed', `${text}${clauses.map(link).join(', ')}.`];
}

function noted(clause: Clause): string[] {
  const note = (texts: Texts) => (contradicted(texts) ? (texts.deviation?.note ?? '') : 'none');
  const early = note(clause);
  const later = clause.later ? note(clause.later) : 'the question does not arise';
  return [link(clause), escapeCell(early), later === early ? 'the same' : escapeCell(later)];
}

function contradicted(texts?: Texts): boolean {
  return texts?.deviation?.kind === 'contradicts';
}

const kindsByGeneration = [
  'Documented deviations, up to 5.0',
  'Undocumented behaviour, up to 5.0',
  'Documented deviations, 5.1 and later',
  'Undocumented behaviour, 5.1 and later',
] as const;

/** Clauses, with a scenario, and those of {@link kindsByGeneration}. */
function counts(clauses: readonly Clause[], coverage: Coverage): string[] {
  const count = (predicate: (clause: Clause) => boolean) => String(clauses.filter(predicate).length);
  return [
    String(clauses.length),
    count((clause) => scenariosOf(clause, coverage).length > 0),
    count(contradicted),
    count((clause) => clause.deviation?.kind === 'undocumented'),
    count((clause) => contradicted(clause.later)),
    count((clause) => clause.later?.deviation?.kind === 'undocumented'),
  ];
}

function renderPage(page: Page, coverage: Coverage): string {
  return paragraphs(
    generated,
    `# ${escapeMarkdown(page.section.title)}`,
    escapeMarkdown(page.section.introduction),
    '[All sections](README.md)',
    ...page.clauses.map((clause) => renderClause(clause, coverage)),
  );
}

function renderClause(clause: Clause, coverage: Coverage): string {
  const scenarios = scenariosOf(clause, coverage);
  const items = [
    ...renderTexts('up to 5.0', clause),
    ...(clause.later ? renderTexts(generationOfLater, clause.later, clause.deviation) : [notThere]),
    `- **Mainline:** ${escapeMarkdown(clause.mainline)}`,
    ...(clause.notes ?? []).map((note) => `- **Note:** ${escapeMarkdown(note)}`),
    ...(clause.confirmed ? [] : ['- **To be confirmed** on a running kernel']),
    `- **Code:** ${clause.code.map(code).join(', ')}`,
    `- **Scenarios:** ${scenarios.length === 0 ? 'no scenario yet' : scenarios.map(code).join(', ')}`,
  ];
  return paragraphs(
    `<a id="${anchor(clause)}"></a>`,
    `## ${clause.id}`,
    escapeMarkdown(clause.statement),
    items.join('\n'),
  ).trimEnd();
}

const generationOfLater = '5.1 and later';
const notThere = `- **Documents, ${generationOfLater}:** none: there the question does not arise`;

/** @param before the deviation of the generation before, which is not told twice */
function renderTexts(generation: string, { documents, deviation }: Texts, before?: Deviation): string[] {
  return [
    `- **Documents, ${generation}:** ${documents.length === 0 ? 'silent' : ''}`.trimEnd(),
    ...documents.map((passage) => `  - ${renderPassage(passage)}`),
    ...(deviation ? [renderDeviation(deviation, before)] : []),
  ];
}

function renderDeviation({ kind, note }: Deviation, before?: Deviation): string {
  return `  - **${deviationLabel[kind]}:** ${note === before?.note ? 'as before' : escapeMarkdown(note)}`;
}

const deviationLabel = { contradicts: 'Documented deviation', undocumented: 'Undocumented' } as const;

function renderPassage(passage: DocumentReference): string {
  const lines = passage.lines.includes('-') ? 'lines' : 'line';
  return `${code(passage.document)}, ${lines} ${passage.lines}: ${escapeMarkdown(passage.statement)}`;
}

function scenariosOf(clause: Clause, coverage: Coverage): readonly string[] {
  return coverage.get(clause.id) ?? [];
}

function anchor(clause: Clause): string {
  return clause.id.toLowerCase();
}

function link(clause: Clause): string {
  return `[${clause.id}](${clause.section}.md#${anchor(clause)})`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function paragraphs(...blocks: readonly string[]): string {
  return `${blocks.join('\n\n')}\n`;
}
