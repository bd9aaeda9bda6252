// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { KlpEvent } from '../../harness/events/schema.js';
import { packagePath } from '../../harness/package-root.js';
import { readJournal } from '../../harness/runner/journal-reader.js';
import { type Python, counters, junitTally, listCounts, parseXml, report, tally, xmlParser } from './forms.js';
import { runArb } from './runs.js';

/** Fails where two forms of the same events differ in a count, or one of them is not what it says. */
async function allAgree(xml: Python, events: readonly KlpEvent[]): Promise<void> {
  const wanted = tally(events.filter((e) => e.type === 'scenario.finished'));
  for (const [form, count] of Object.entries(counters)) assert.deepEqual(count(report(form, events)), wanted, form);
  assert.deepEqual(listCounts(report('list', events)).lines, wanted.verdicts, 'lines of list');
  assert.deepEqual(junitTally(await parseXml(xml, report('junit', events))), wanted, 'junit');
}

void t.test('every form of one run agrees on every count', async (t) => {
  await using xml = xmlParser();
  await fc.assert(fc.asyncProperty(runArb, (run) => allAgree(xml, run.events)), { numRuns: 150 });
  t.pass('for arbitrary runs');
});

void t.test('also of a run that was killed', async (t) => {
  await using xml = xmlParser();
  const part = fc.double({ min: 0, max: 1, noNaN: true });
  const beginning = fc.asyncProperty(runArb, part, ({ events }, of) => allAgree(xml, events.slice(0, Math.floor(of * events.length))));
  await fc.assert(beginning, { numRuns: 80 });
  t.pass('for arbitrary beginnings of runs');
});

void t.test('and of a real one, with every verdict', async (t) => {
  await using xml = xmlParser();
  const { events } = await readJournal(packagePath('test/report/fixtures/real.ndjson'));
  await allAgree(xml, events);
  t.match(tally(events.filter((e) => e.type === 'scenario.finished')), {
    verdicts: { fail: 1, error: 1, deviates: 1, pass: 2, 'n/a': 1 },
    expected: 1,
  });
});
