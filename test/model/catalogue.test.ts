// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { writeSpecification } from '../../harness/cli/spec.js';
import { UsageError } from '../../harness/errors.js';
import {
  catalogueVersion,
  clause,
  clausePrefixes,
  clauses,
  documentLength,
  isClauseId,
  renderSpecification,
  sections,
  textsFor,
  UnknownClauseError,
} from '../../harness/model/catalogue/index.js';
import { code, escapeCell, escapeMarkdown } from '../../harness/model/catalogue/markdown.js';

/** Ids are never reused and never renumbered: a change here is a change of catalogueVersion. */
const expected = {
  REG: 24,
  ENA: 14,
  DIS: 7,
  UNR: 5,
  SYS: 5,
  TRN: 16,
  CHK: 9,
  IMM: 6,
  MOD: 8,
  FTR: 6,
  ELF: 18,
  REP: 5,
  FRC: 4,
  CBK: 7,
  SHD: 10,
  STA: 3,
  SIG: 2,
};

const contradicts =
  'REG-13 REG-23 ENA-5 ENA-6 ENA-14 DIS-3 UNR-3 UNR-5 TRN-4 CHK-4 IMM-4 MOD-8 FTR-2 FTR-3 ' +
  'ELF-2 ELF-3 ELF-4 ELF-6 ELF-10 ELF-11 ELF-12';
const contradictsLater =
  'REG-13 REG-23 ENA-13 MOD-8 FTR-2 FTR-3 ELF-1 ELF-2 ELF-3 ELF-4 ELF-6 ELF-10 ELF-11 ELF-12 ELF-13 FRC-3 CBK-7';
const undocumentedLater =
  'REG-3 REG-4 REG-7 REG-8 REG-11 REG-21 REG-22 REG-24 ENA-8 SYS-3 TRN-3 TRN-6 TRN-7 TRN-12 MOD-3 FTR-5 ' +
  'ELF-5 ELF-9 ELF-17 ELF-18 SHD-6';
/** Nothing is registered or unregistered, no order is kept, and there are no immediate flags and no `.klp.arch`. */
const notThereLater =
  'REG-20 ENA-1 ENA-5 ENA-6 DIS-3 UNR-1 UNR-2 UNR-3 UNR-4 UNR-5 IMM-1 IMM-2 IMM-3 IMM-4 IMM-5 IMM-6 MOD-2 ELF-14';
const undocumented =
  'REG-3 REG-4 REG-5 REG-7 REG-8 REG-11 REG-21 REG-22 REG-24 ENA-8 SYS-3 TRN-3 TRN-6 TRN-7 TRN-12 TRN-16 ' +
  'IMM-3 IMM-5 IMM-6 MOD-3 FTR-5 ELF-5 ELF-9 ELF-14 ELF-17 ELF-18';

const ids = (some: readonly { id: string }[]) => some.map((each) => each.id).join(' ');

void t.test('every clause is there, once, in order', (t) => {
  const all = Object.entries(expected).flatMap(([prefix, count]) =>
    Array.from({ length: count }, (_, index) => `${prefix}-${index + 1}`),
  );
  t.equal(all.length, 149);
  t.same(
    clauses.map((each) => each.id),
    all,
  );
  t.equal(catalogueVersion, 5);
  t.end();
});

void t.test('the grammar of ids', (t) => {
  t.ok(clauses.every((each) => isClauseId(each.id)));
  for (const id of ['REP-1', 'CBK-2', 'SHD-3', 'STA-4', 'FRC-5', 'SIG-6', 'EF-01', 'EF-10', 'EF-53']) {
    t.ok(isClauseId(id), id);
  }
  for (const id of ['', 'REG', 'REG-', 'REG-0', 'REG-01', 'reg-1', 'REG-1 ', ' REG-1', 'REG-1000', 'XYZ-1']) {
    t.notOk(isClauseId(id), id);
  }
  for (const id of ['EF-0', 'EF-00', 'EF-1', 'EF-54', 'EF-60', 'EF-001', 'REG-1\n']) {
    t.notOk(isClauseId(id), id);
  }
  fc.assert(
    fc.property(fc.constantFrom(...clausePrefixes), fc.integer({ min: 1, max: 999 }), (prefix, number) =>
      isClauseId(`${prefix}-${number}`),
    ),
  );
  t.end();
});

void t.test('a clause by its id', (t) => {
  const form = 'which is not the form of an id (REG-1, EF-07)';
  for (const each of clauses) t.equal(clause(each.id), each);
  t.throws(() => clause('reg-1'), {
    name: 'UnknownClauseError',
    message: `there is no clause 'reg-1', ${form}; the nearest is REG-1`,
  });
  t.throws(() => clause('TRN-17'), { message: "there is no clause 'TRN-17'; the nearest is TRN-1" });
  t.throws(() => clause('EMA-14'), {
    message: `there is no clause 'EMA-14', ${form}; the nearest is ENA-14`,
  });
  t.ok(new UnknownClauseError('REG-25', []) instanceof RangeError);
  fc.assert(
    fc.property(fc.string(), (text) => {
      if (clauses.some((each) => each.id === text)) return;
      try {
        clause(text);
      } catch (error) {
        return error instanceof UnknownClauseError && clauses.some((each) => each.id === error.nearest);
      }
      return false;
    }),
  );
  t.same(new UnknownClauseError('REG-1', []).message, "there is no clause 'REG-1'");
  t.end();
});

void t.test('sections', (t) => {
  t.same(
    sections.map((section) => section.id),
    [...new Set(clauses.map((each) => each.section))],
  );
  for (const section of sections) {
    t.match(section.title, /^[A-Z]/);
    t.match(section.introduction, /\.$/);
  }
  // One prefix is in one section.
  for (const prefix of Object.keys(expected)) {
    const own = clauses.filter((each) => each.id.startsWith(`${prefix}-`));
    t.equal(new Set(own.map((each) => each.section)).size, 1, prefix);
  }
  t.end();
});

void t.test('references to the documents', (t) => {
  t.same(documentLength, {
    'livepatch.txt': 505,
    'module-elf-format.txt': 323,
    'livepatch.rst': 448,
    'cumulative-patches.rst': 102,
    'callbacks.rst': 133,
    'system-state.rst': 167,
    'shadow-vars.rst': 226,
    'module-elf-format.rst': 305,
    'reliable-stacktrace.rst': 309,
    'sysfs-kernel-livepatch': 95,
  });
  for (const each of clauses) {
    for (const { documents } of [each, ...(each.later ? [each.later] : [])]) {
      for (const { document, lines } of documents) {
        const range = /^([1-9][0-9]*)(?:-([1-9][0-9]*))?$/.exec(lines);
        t.ok(range, `${each.id}: ${lines}`);
        const first = Number(range?.[1]);
        const last = Number(range?.[2] ?? range?.[1]);
        t.ok(range?.[2] === undefined || first < last, `${each.id}: ${lines} goes up`);
        t.ok(last <= documentLength[document], `${each.id}: ${lines} is within ${document}`);
        t.ok(last - first < 16, `${each.id}: ${lines} is a passage, not a chapter`);
      }
      const keys = documents.map((passage) => `${passage.document}:${passage.lines}`);
      t.equal(new Set(keys).size, keys.length, `${each.id}: no passage twice`);
    }
    t.ok(each.documents.every(({ document }) => document.endsWith('.txt')), `${each.id}: the documents of 4.14`);
    t.notOk(each.later?.documents.some(({ document }) => document.endsWith('.txt')), `${each.id}: later documents`);
  }
  t.end();
});

void t.test('the documents of a kernel of its own generation', (t) => {
  const registers = ['livepatch', 'registration'] as const;
  t.equal(textsFor('ENA-13', new Set(registers)).documents[0]?.document, 'livepatch.txt');
  t.equal(textsFor('ENA-13', new Set(registers)).deviation, undefined);
  t.equal(textsFor('ENA-13', new Set()).documents[0]?.document, 'livepatch.txt', 'without livepatch');
  t.equal(textsFor('ENA-13', new Set(['livepatch'])).documents[0]?.document, 'sysfs-kernel-livepatch');
  t.equal(textsFor('ENA-13', new Set(['livepatch'])).deviation?.kind, 'contradicts');
  t.equal(textsFor('ENA-5', new Set(registers)).deviation?.kind, 'contradicts');
  t.same(textsFor('ENA-5', new Set(['livepatch'])), { documents: [] }, 'the question does not arise');
  t.throws(() => textsFor('REG-25', new Set()), UnknownClauseError);
  t.end();
});

void t.test('references to the code', (t) => {
  const place = /^[a-z0-9_/-]+(?:\.[ch]|\/Kconfig):[1-9][0-9]*(?:-[1-9][0-9]*)? \((?:4\.14\.177|5\.10\.262|6\.1\.192|6\.12\.117|7\.3\.4)\)$/;
  for (const each of clauses) {
    t.ok(each.code.length > 0, `${each.id} says where`);
    for (const text of each.code) t.match(text, place, each.id);
  }
  t.end();
});

void t.test('deviations', (t) => {
  t.equal(ids(clauses.filter((each) => each.deviation?.kind === 'contradicts')), contradicts);
  t.equal(ids(clauses.filter((each) => each.deviation?.kind === 'undocumented')), undocumented);
  t.equal(ids(clauses.filter((each) => each.later?.deviation?.kind === 'contradicts')), contradictsLater);
  t.equal(ids(clauses.filter((each) => each.later?.deviation?.kind === 'undocumented')), undocumentedLater);
  t.equal(ids(clauses.filter((each) => !each.later)), notThereLater);
  for (const each of clauses) {
    for (const texts of [each, each.later]) {
      if (texts?.deviation?.kind === 'contradicts') t.ok(texts.documents.length > 0, `${each.id}: a document to contradict`);
    }
  }
  t.equal(ids(clauses.filter((each) => !each.confirmed)), '');
  t.end();
});

void t.test('texts', (t) => {
  for (const each of clauses) {
    const texts = [
      each.statement,
      each.mainline,
      ...[...each.documents, ...(each.later?.documents ?? [])].map((passage) => passage.statement),
      ...(each.notes ?? []),
      ...[each.deviation, each.later?.deviation].flatMap((deviation) => (deviation ? [deviation.note] : [])),
    ];
    for (const text of texts) {
      t.match(text, /^[A-Z`0-9].*[.`]$/s, `${each.id} is made of sentences`);
      t.notMatch(text, /\s\s|\n/, `${each.id} has single spaces`);
      t.equal(text.split('`').length % 2, 1, `${each.id}: backticks come in pairs`);
    }
    t.ok(each.statement.length >= 30, `${each.id} says something`);
  }
  t.equal(new Set(clauses.map((each) => each.statement)).size, clauses.length);
  t.end();
});

void t.test('notes on what may be seen in the middle', (t) => {
  const noted = 'REG-19 ENA-3 ENA-4 DIS-6 DIS-7 UNR-4 TRN-1 TRN-2 TRN-5 TRN-7 IMM-1 MOD-1 ELF-1 ELF-12';
  for (const id of noted.split(' ')) {
    t.ok((clause(id).notes ?? []).length > 0, id);
  }
  t.end();
});

void t.test('rendering', (t) => {
  const coverage = new Map([
    ['REG-1', ['register-null']],
    ['ELF-4', ['elf-names', 'a`b|c']],
  ]);
  const pages = renderSpecification(clauses, coverage);
  const all = [...pages.values()].join('\n');

  t.same([...pages.keys()], ['README.md', ...sections.map((section) => `${section.id}.md`)]);
  for (const each of clauses) {
    const page = pages.get(`${each.section}.md`) ?? '';
    const head = `<a id="${each.id.toLowerCase()}"></a>\n\n## ${each.id}\n`;
    t.equal(page.split(head).length, 2, `${each.id} on its page`);
    t.equal(all.split(`\n## ${each.id}\n`).length, 2, `${each.id} nowhere else`);
    t.ok(page.includes(escapeMarkdown(each.statement)));
  }
  t.equal(all.split('no scenario yet').length - 1, clauses.length - 2);
  t.match(pages.get('registration.md'), '- **Scenarios:** `register-null`\n\n<a id="reg-2"></a>\n');
  t.match(pages.get('registration.md'), '- **Documents, up to 5.0:** silent\n- **Documents, 5.1 and later:** silent\n');
  t.match(pages.get('immediate.md'), '- **Documents, 5.1 and later:** none: there the question does not arise\n');
  t.match(pages.get('registration.md'), '- **Documents, 5.1 and later:** silent\n  - **Undocumented:** as before\n');
  t.match(pages.get('sysfs.md'), '- **Documents, 5.1 and later:**\n  - `sysfs-kernel-livepatch`, lines 24-26: ');
  t.match(pages.get('registration.md'), '\n  - `module-elf-format.txt`, line 83: A livepatch module');
  t.match(pages.get('elf.md'), '- **Scenarios:** `elf-names`, ``a`b|c``\n');
  t.match(pages.get('elf.md'), '\n  - **Documented deviation:** ');
  t.match(pages.get('elf.md'), '\n  - **Undocumented:** ');

  const index = pages.get('README.md') ?? '';
  t.match(index, '| [Registration](registration.md) | 24 | 1 | 2 | 9 | 2 | 8 |\n');
  t.match(index, '| **All** | 149 | 2 | 21 | 26 | 17 | 21 |\n');
  t.match(index, '| [ENA-5](life-cycle.md#ena-5) | ');
  t.notMatch(index, /## To be confirmed/);
  for (const [, file, anchor] of index.matchAll(/\]\(([a-z-]+\.md)(?:#([a-z]+-[0-9]+))?\)/g)) {
    const target = anchor === undefined ? '# ' : `<a id="${anchor}"></a>`;
    t.ok(pages.get(file ?? '')?.includes(target), `${file}#${anchor}`);
  }

  for (const [name, page] of pages) {
    t.match(page, /^<!-- Generated [^\n]+ -->\n\n# [^]*[^\n]\n$/, `${name} begins and ends as a file should`);
    t.notMatch(page, /\n\n\n|[ \t]\n|undefined/, `${name} is clean`);
    const widths = new Set<number>();
    for (const row of page.split('\n').filter((line) => line.startsWith('|'))) {
      widths.add(row.split(/(?<!\\)\|/).length);
    }
    t.ok([...widths].every((width) => width === 9 || width === 5), `${name}: rows are whole`);
  }
  t.end();
});

void t.test('rendering a part', (t) => {
  const pages = renderSpecification([clause('SYS-4')], new Map([['SYS-4', []]]));
  t.same([...pages.keys()], ['README.md', 'sysfs.md']);
  t.notMatch(pages.get('README.md'), /## Documented deviations|## To be confirmed/);
  const doubtful = renderSpecification([{ ...clause('CHK-4'), confirmed: false }], new Map());
  t.match(doubtful.get('stack-check.md'), '- **To be confirmed** on a running kernel\n');
  t.match(doubtful.get('README.md'), 'seen on a kernel: [CHK-4](stack-check.md#chk-4).');
  t.match(pages.get('sysfs.md'), 'no scenario yet');
  t.throws(() => renderSpecification(clauses, new Map([['REG-99', ['some']]])), {
    message: "there is no clause 'REG-99'; the nearest is REG-9",
  });
  t.end();
});

void t.test('escaping', (t) => {
  t.equal(escapeMarkdown('a|b <c> `d|e` _f_'), 'a\\|b \\<c\\> `d|e` \\_f\\_');
  t.equal(escapeCell('a|b `c|d` \\|'), 'a\\|b `c\\|d` \\\\\\|');
  t.equal(escapeMarkdown('- one\ntwo'), '\\- one two');
  t.equal(escapeMarkdown('1. one'), '1\\. one');
  t.equal(escapeMarkdown('4.14: one'), '4.14: one');
  t.equal(escapeMarkdown('a ` b'), 'a \\` b');
  t.equal(code('a'), '`a`');
  t.equal(code('`a``'), '``` `a`` ```');

  const unit = fc.constantFrom(...Array.from('ab `|\\*_[]<>#~&-1.\n'));
  const anything = fc.string({ unit, maxLength: 30 });
  const prose = anything.map((text) => text.replaceAll('`', ''));
  const unescape = (text: string) => text.replace(/\\([!-/:-@[-`{-~])/g, '$1');
  const flat = (text: string) => text.replace(/\s*\n\s*/g, ' ');

  fc.assert(fc.property(prose, (text) => unescape(escapeMarkdown(text)) === flat(text)));
  fc.assert(fc.property(prose, (text) => !/[|<>*_[\]`#~&]/.test(escapeMarkdown(text).replace(/\\./g, ''))));
  fc.assert(
    fc.property(prose, prose, (before, inside) => {
      const between = flat(`x${inside}x`);
      return escapeMarkdown(`${before}\`${between}\``).endsWith(`\`${between}\``);
    }),
  );
  fc.assert(fc.property(anything, (text) => !/(?<!\\)(?:\\\\)*\||\n/.test(escapeCell(text))));
  fc.assert(
    fc.property(anything, (text) => {
      const [, fence, inside] = /^(`+) ?([^]*?) ?\1$/.exec(code(text)) ?? [];
      return fence !== undefined && !(inside ?? '').split(/[^`]+/).includes(fence);
    }),
  );
  t.end();
});

void t.test('writing', async (t) => {
  const directory = join(t.testdir({ file: '' }), 'docs', 'spec');
  const coverage = new Map([['REG-1', ['register-null']]]);
  const written = await writeSpecification(directory, coverage);
  const pages = renderSpecification(clauses, coverage);
  t.same(
    written,
    [...pages.keys()].map((name) => join(directory, name)),
  );
  for (const [name, page] of pages) t.equal(await readFile(join(directory, name), 'utf8'), page);
  t.same(await writeSpecification(directory, coverage), written, 'again, over the same files');

  const blocked = join(directory, 'README.md', 'below');
  await t.rejects(writeSpecification(blocked, new Map()), UsageError);
  await t.rejects(writeSpecification(blocked, new Map()), {
    message: `cannot write the specification to ${blocked}: ENOTDIR: not a directory, mkdir '${blocked}'`,
  });
});
