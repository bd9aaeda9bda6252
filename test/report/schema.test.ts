// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import t from 'tap';
import { z } from 'zod';
import { eventsJsonSchema } from '../../harness/events/json-schema.js';
import { packagePath } from '../../harness/package-root.js';
import { resultsJsonSchema } from '../../harness/report/json-schema.js';
import { resultsSchema } from '../../harness/report/results-schema.js';
import { jsonText } from '../../harness/report/text.js';
import { readJournal } from '../../harness/runner/journal-reader.js';
import { report } from './forms.js';
import { host, runArb, started, stream } from './runs.js';

const fixture = packagePath('test/report/fixtures/real.ndjson');
const published = (name: string): string => readFileSync(packagePath('docs/schema', name), 'utf8');
// Counts are a record: their names are required without standing among the properties.
const compile = (schema: unknown): ValidateFunction => new Ajv2020({ strict: true, strictRequired: false, allErrors: true }).compile(schema as object);

const results = compile(JSON.parse(published('results-1.json')));
const event = compile(JSON.parse(published('events-1.json')));

/** Fails with what the schema takes exception to. */
function holds(validate: ValidateFunction, data: unknown): void {
  assert.ok(validate(data), JSON.stringify(validate.errors));
}

void t.test('what is published is what the code says', (t) => {
  t.equal(published('results-1.json'), `${jsonText(resultsJsonSchema(), 2)}\n`, 'make spec');
  t.equal(published('events-1.json'), `${jsonText(eventsJsonSchema(), 2)}\n`, 'make spec');
  t.end();
});

void t.test('results', async (t) => {
  // Written by this version, they have no field that the schema does not know either.
  const exactly = compile(z.toJSONSchema(resultsSchema));
  const check = (text: string): void => {
    holds(results, JSON.parse(text));
    holds(exactly, JSON.parse(text));
  };
  const { events } = await readJournal(fixture);
  check(report('json', events));
  check(report('json', []));
  const make = stream();
  const runs = [{ run: 'a', harness: '0.1.0', wall: '2026-11-22T10:00:00.000Z', durationMs: 1, finished: true, host }];
  check(report('json', [make('run.started', { ...started(['k'], ['a']), combined: { runs, executions: [] } })]));
  const part = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(fc.property(runArb, part, (run, of) => check(report('json', run.events.slice(0, Math.ceil(of * run.events.length))))), { numRuns: 80 });

  const good = JSON.parse(report('json', events)) as { v: number; scenarios: { verdict: string }[]; counts: { scenarios: Record<string, number> } };
  t.ok(results({ ...good, laterField: 1 }), 'a field of a later version');
  t.notOk(results({ ...good, v: 2 }), 'another version');
  t.notOk(results({ ...good, counts: { ...good.counts, scenarios: { fail: 0 } } }), 'a count that is missing');
  t.notOk(results({ ...good, scenarios: [{ ...good.scenarios[0], verdict: 'skipped' }] }), 'a verdict that is none');
});

void t.test('events', async (t) => {
  const { events } = await readJournal(fixture);
  for (const e of events) holds(event, e);
  fc.assert(fc.property(runArb, (run) => run.events.forEach((e) => holds(event, JSON.parse(JSON.stringify(e))))), { numRuns: 40 });
  const [first] = events;
  t.ok(event({ ...first, later: true }), 'a field of a later version');
  t.ok(event({ ...first, type: 'moon.risen' }), 'a type of a later version');
  t.notOk(event({ ...first, profile: 'mine' }), 'a field of another kind');
  t.notOk(event({ ...first, seq: undefined, kernels: undefined }), 'fields that are missing');
});
