// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import t from 'tap';
import type { EventOf } from '../../harness/events/schema.js';
import type { PageData } from '../../harness/report/html/data.js';
import { clauseText, sectionsOf } from '../../harness/report/html/clauses.js';
import type { Evidence } from '../../harness/report/html/evidence.js';
import { Pool, bytesOf, cut, cutLines, embedded, escaped } from '../../harness/report/html/pool.js';
import { timelineOf } from '../../harness/report/html/timeline.js';
import { catalogueVersion, clauses } from '../../harness/model/catalogue/index.js';
import { heldTransition, largeRun, pageOf, variedRun } from './html-run.js';
import { hostileText, runArb, stream } from './runs.js';

const limit = 10_000_000;

/** The data that the page's script reads; what stands in the page is checked to hold no other script. */
function dataOf(page: string): PageData {
  const [, json = ''] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page) ?? [];
  return JSON.parse(json) as PageData;
}

void t.test('every result of any run is in the page, with the verdict it had', (t) => {
  fc.assert(
    fc.property(runArb, ({ events, clauses: judged }) => {
      const page = pageOf(events);
      const data = dataOf(page);
      const verdicts = ['fail', 'error', 'deviates', 'pass', 'n/a'];
      const shown = data.cells.flatMap((cells, c) => cells.map(([k, v]) => `${data.kernels[k] ?? ''} ${data.clauses[c]?.id ?? ''} ${verdicts[v] ?? ''}`));
      const wanted = judged.map(({ kernel, clause, verdict }) => `${kernel} ${clause} ${verdict}`);
      const finished = new Set(events.filter((e) => e.type === 'scenario.finished').map(({ kernel, scenario }) => `${kernel} ${scenario}`));
      return (
        JSON.stringify(shown.sort()) === JSON.stringify(wanted.sort()) &&
        data.executions.length === finished.size &&
        page.match(/<script/g)?.length === 2 &&
        page.match(/<\/script>/g)?.length === 2
      );
    }),
    { numRuns: 60 },
  );
  t.end();
});

void t.test('the line that repeats an execution comes out as it went in', (t) => {
  fc.assert(
    fc.property(runArb, ({ events, results }) => {
      const data = dataOf(pageOf(events));
      return data.executions.every((e) => {
        const [kernel, scenario] = [data.kernels[e.k] ?? '', data.scenarios[e.s]?.id ?? ''];
        const line = (data.strings[e.repeat] ?? '').replaceAll('\x02', scenario).replaceAll('\x01', kernel);
        return results.some((r) => r.kernel === kernel && r.scenario === scenario && r.repeat === line);
      });
    }),
    { numRuns: 40 },
  );
  t.end();
});

void t.test('foreign text', (t) => {
  fc.assert(
    fc.property(hostileText, (text) => {
      const html = escaped(text);
      const json = embedded({ text });
      // Half a character cannot be written in UTF-8.
      const wellFormed = text.replace(/\p{Cs}/gu, '\ufffd');
      return !/[<>"']|[\p{Cc}\p{Cf}\p{Cs}]/u.test(html) && !json.includes('<') && (JSON.parse(json) as { text: string }).text === wellFormed;
    }),
    { numRuns: 500 },
  );
  t.equal(escaped('</script><b a="x">&'), '&lt;/script&gt;&lt;b a=&quot;x&quot;&gt;&amp;');
  t.equal(escaped('a\0b\x1b[31m'), 'a\\u{0}b\\u{1b}[31m');
  t.match(cut('x'.repeat(1 << 20)), /^x{2000}… \(cut: 1048576 characters\)$/);
  t.same(cutLines(['a', 'b', 'c'], 2), ['a', 'b', '… (cut: 3 lines)']);
  t.same(cutLines(['a', 'b', 'c'], 2, 'last'), ['… (cut: 3 lines)', 'b', 'c']);
  t.same(cutLines(['a', 'b'], 2), ['a', 'b']);
  t.end();
});

void t.test('a pool gives equal values one place, and counts what they take', (t) => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 })), (values) => {
      const pool = new Pool<readonly number[]>();
      const places = values.map((v) => pool.add(v));
      const different = new Set(values.map((v) => JSON.stringify(v)));
      return (
        pool.items.length === different.size &&
        places.every((place, i) => JSON.stringify(pool.items[place]) === JSON.stringify(values[i])) &&
        pool.bytes === pool.items.reduce((sum, item) => sum + bytesOf(item) + 1, 0)
      );
    })
  );
  t.end();
});

/** Steps as the collector keeps them. */
function stepsOf(of: readonly [string, object][]): Evidence['steps'] {
  const make = stream();
  return of.map(([type, payload]) => make(type as 'operation', payload as never) as EventOf<'operation'>);
}

void t.test('a held transition as a picture', (t) => {
  const timeline = timelineOf(stepsOf(heldTransition('k', 's')));
  t.match(timeline, {
    length: 2304,
    rows: [
      { kind: 'file', of: ['klp_alpha/transition'], count: 1, readings: [[300, 301, '1'], [2200, 2201, '0']] },
      { kind: 'threads', of: ['124 klp-sleeper'], count: 1, readings: [[200, 204, '0'], [2300, 2304, '-1']] },
      { kind: 'threads', of: ['1 init', '2 [kthreadd]', '9 [kworker/0:1]'], count: 3, readings: [[200, 204, '1'], [2300, 2304, '-1']] },
    ],
    left: 0,
    operations: [
      { from: 0, to: 100, what: 'insmod klp_alpha', result: 'OK' },
      { from: 2000, to: 2050, what: 'release thread 124' },
    ],
    witnesses: [{ at: 350, threads: ['124'], proof: [/sleep_here/, /klp_target_alpha/] }],
  });
  t.equal(timelineOf(stepsOf(heldTransition('k', 's').slice(0, 1))), undefined, 'an operation alone is no picture');
  t.equal(timelineOf(stepsOf(heldTransition('k', 's').slice(0, 2))), undefined, 'one look is no picture');
  t.equal(timelineOf([]), undefined);
  t.end();
});

void t.test('every thread that was read is in one row of the picture, or counted', (t) => {
  const value = fc.constantFrom('-1', '0', '1', 'gone');
  const reading = fc.record({ at: fc.integer({ min: 0, max: 5000 }), states: fc.array(value, { minLength: 1, maxLength: 40 }) });
  fc.assert(
    fc.property(fc.uniqueArray(reading, { selector: (r) => r.at, minLength: 2, maxLength: 8 }), (sweeps) => {
      const steps = sweeps.map(({ at, states }): [string, object] => {
        const tracks = states.map((v, i) => ({ kind: 'threads', of: [`${i} task`], values: [{ value: v, from: 0, to: 2 }] }));
        const begin = String(1_000_000 * (at + 1));
        return ['observation', { kernel: 'k', scenario: 's', what: 'sweep', seen: '', span: { begin, end: begin }, samples: { tracks, left: 0 } }];
      });
      const timeline = timelineOf(stepsOf(steps));
      const most = Math.max(...sweeps.map((s) => s.states.length));
      if (!timeline) return false;
      const ordered = timeline.rows.every((r) => r.readings.every(([from, to], i) => from <= to && from >= (r.readings[i - 1]?.[0] ?? 0) && to <= timeline.length));
      return ordered && timeline.rows.reduce((sum, r) => sum + r.count, 0) + timeline.left === most;
    }),
    { numRuns: 100 },
  );
  t.end();
});

void t.test('the headline counts what could not be judged beside what failed', (t) => {
  const events = variedRun().map((e) => (e.type === 'scenario.finished' && e.scenario === 'holds' ? { ...e, verdict: 'error' as const, reason: 'the guest is gone' } : e));
  const errors = events.filter((e) => e.type === 'scenario.finished' && e.verdict === 'error').length;
  t.match(pageOf(events), new RegExp(`1 scenario not as expected, ${errors} could not be judged<`));
  t.match(pageOf(variedRun()), /1 scenario not as expected</);
  t.end();
});

void t.test('texts of clauses come from the catalogue, with its version where the run had another', (t) => {
  for (const { id, statement } of clauses) t.match(clauseText(id, statement, catalogueVersion), { id, statement, texts: [{ generation: 'up to 5.0' }] });
  t.equal(clauseText('REG-5', 'as the journal has it', catalogueVersion - 1).catalogue, catalogueVersion);
  t.equal(clauseText('REG-5', 'as the journal has it', catalogueVersion - 1).statement, 'as the journal has it');
  t.equal(clauseText('REG-5', '', catalogueVersion).catalogue, undefined);
  t.same(clauseText('XYZ-1', 'new', 99), { id: 'XYZ-1', section: 'XYZ', statement: 'new' });
  t.same(sectionsOf([clauseText('XYZ-1', '', 1), clauseText('TRN-1', '', 1), clauseText('REG-1', '', 1)]).map((s) => s.id), ['registration', 'transition', 'XYZ']);
  t.end();
});

void t.test('what a run was, and what needs a look, stands in the page without a script', (t) => {
  const page = pageOf(variedRun()).replace(/<script[\s\S]*/, '');
  for (const text of ['1 scenario not as expected', '20261124-120000-abcd', 'Linux version 6.1.0', 'f'.repeat(64), 'console=ttyS0', 'QEMU 7.2', 'bug 4711', 'entry 3: no such scenario'])
    t.ok(page.includes(text), text);
  const block = (id: string): string => new RegExp(`id="${id}"[\\s\\S]*?</details>`).exec(page)?.[0] ?? '';
  t.match(block('new'), /#stock\/fails/);
  t.notMatch(block('new'), /known|deviates|wobbles/);
  t.match(block('known'), /#stock\/known[\s\S]*bug 4711/);
  t.match(block('deviations'), /#stock\/ENA-13/);
  t.match(block('flaky'), /wobbles/);
  t.equal(page.match(/<td class="v-/g)?.length, 18, 'six clauses on three kernels');
  t.end();
});

void t.test('the results of a second attempt, and of a part that was superseded', (t) => {
  const make = stream();
  const base = { kernel: 'k', scenario: 's' };
  const begin = { ...base, title: 't', clauses: [] };
  const done = { ...base, verdict: 'fail', durationMs: 1, attempts: 2, flaky: false, repeat: 'again' } as const;
  const operation = (what: string): object => ({ ...base, what, result: 'OK' });
  const told = (events: Parameters<typeof pageOf>[0]): string => JSON.stringify(dataOf(pageOf(events)).strings);
  const events = [
    make('scenario.started', { ...begin, attempt: 1 }),
    make('operation', operation('first') as never),
    make('scenario.started', { ...begin, attempt: 2 }),
    make('operation', operation('second') as never),
    make('scenario.finished', done),
  ];
  t.match(told(events), /second/);
  t.notMatch(told(events), /first/);
  const resumed = [...events, make('run.resumed', { harness: '', catalogue: 1, command: [], host: { system: '', cpus: 1, memoryMiB: 1, node: '' } })];
  resumed.push(make('kernel.resumed', { kernel: 'k', kept: [], superseded: [{ scenario: 's', why: 'changed' }] }));
  t.equal(dataOf(pageOf(resumed)).executions.length, 0);
  t.end();
});

void t.test('50 kernels × 250 clauses stay below 10 MB', (t) => {
  const page = pageOf(largeRun(50, 250));
  const bytes = Buffer.byteLength(page);
  t.ok(bytes < limit, `${(bytes / 1e6).toFixed(2)} MB`);
  t.comment(`${(bytes / 1e6).toFixed(2)} MB`);
  const data = dataOf(page);
  t.equal(data.executions.length, 12_500);
  t.ok(data.executions.every((e) => e.v !== 0 || e.evidence >= 0), 'every failure with its evidence');
  t.end();
});

for (const [what, words] of Object.entries({ letters: 'x'.repeat(1 << 20), markup: '<'.repeat(1 << 20), 'three bytes each': '漢'.repeat(1 << 20), escapes: '\x1b'.repeat(1 << 20) })) {
  void t.test(`a mebibyte of ${what} in a line is cut, with a note`, (t) => {
    const page = pageOf(variedRun(words));
    t.ok(Buffer.byteLength(page) < 500_000, `${Buffer.byteLength(page)} bytes`);
    t.match(page, /cut: 1048576 characters/);
    t.end();
  });
}
