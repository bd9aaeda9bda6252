// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { parseEvent, parseLine } from '../../harness/events/schema.js';
import type { EventType, Payload } from '../../harness/events/schema.js';
import { verdicts } from '../../harness/model/verdict.js';
import { hostileText as text, stream } from './runs.js';

const texts = fc.array(text, { maxLength: 3 });
const verdict = fc.constantFrom(...verdicts);
const number = fc.integer({ min: 0 });
const nanoseconds = fc.bigInt({ min: 0n, max: 2n ** 64n }).map(String);
const span = fc.record({ begin: nanoseconds, end: nanoseconds });
const kind = fc.constantFrom(
  'assertion',
  'panic',
  'oops',
  'hang',
  'silence',
  'connection lost',
  'boot failed',
  'infrastructure',
);
const failure = fc.record(
  { kind, message: text, during: text, hint: text, details: texts },
  { requiredKeys: ['kind', 'message'] },
);
const counts = fc.record({ fail: number, error: number, deviates: number, pass: number, 'n/a': number });
const host = fc.record({ system: text, cpus: number, memoryMiB: number, node: text });
const jobs = fc.oneof(fc.constant('auto'), number);
const at = { kernel: text, scenario: text };

/** An arbitrary payload of each type; the type makes sure that none is forgotten. */
const payloads: Readonly<Record<EventType, fc.Arbitrary<unknown>>> = {
  'run.started': fc.record(
    {
      harness: text,
      catalogue: number,
      command: texts,
      profile: fc.constantFrom('mainline', 'documents'),
      strict: fc.boolean(),
      host,
      kernels: texts,
      scenarios: fc.array(fc.record({ id: text, title: text, clauses: texts })),
      jobs,
      cwd: text,
    },
    { requiredKeys: ['harness', 'catalogue', 'command', 'profile', 'strict', 'host', 'kernels', 'scenarios'] },
  ),
  'run.resumed': fc.record(
    { harness: text, catalogue: number, command: texts, host, jobs },
    { requiredKeys: ['harness', 'catalogue', 'command', 'host'] },
  ),
  progress: fc.record({ topic: text, text }),
  'kernel.estimated': fc.record({ kernel: text, milliseconds: fc.dictionary(text, number) }),
  'kernel.acquired': fc.record({
    kernel: text,
    arch: fc.constantFrom('x86_64', 'arm64'),
    origin: fc.constantFrom('stock', 'built', 'brought'),
    release: text,
    version: text,
    fingerprint: text,
    packages: fc.array(fc.record({ name: text, version: text, arch: text, sha256: text })),
    toolchain: text,
    config: text,
  }),
  'kernel.booted': fc.record({
    kernel: text,
    accel: text,
    qemu: text,
    argv: texts,
    commandLine: text,
    bootMs: number,
    capabilities: texts,
  }),
  'kernel.probed': fc.record({
    kernel: text,
    findings: fc.array(fc.record({ capability: text, has: fc.boolean(), evidence: text })),
    promised: texts,
  }),
  'kernel.resumed': fc.record({ kernel: text, kept: texts, superseded: fc.array(fc.record({ scenario: text, why: text })) }),
  'kernel.failed': fc.record({ kernel: text, failure }),
  'scenario.started': fc.record(
    { ...at, title: text, clauses: texts, attempt: number, guest: number },
    { requiredKeys: ['kernel', 'scenario', 'title', 'clauses', 'attempt'] },
  ),
  operation: fc.record(
    { ...at, what: text, result: text, span },
    { requiredKeys: ['kernel', 'scenario', 'what', 'result'] },
  ),
  observation: fc.record(
    { ...at, what: text, seen: text, span },
    { requiredKeys: ['kernel', 'scenario', 'what', 'seen'] },
  ),
  witness: fc.record(
    { ...at, situation: text, proof: texts, span },
    { requiredKeys: ['kernel', 'scenario', 'situation', 'proof'] },
  ),
  judgement: fc.record(
    {
      ...at,
      clause: text,
      what: text,
      seen: text,
      mainline: fc.record({ allowed: text, does: fc.boolean() }),
      documents: fc.record(
        { stance: fc.constantFrom('allow', 'forbid', 'silent'), reference: text },
        { requiredKeys: ['stance'] },
      ),
      verdict,
      note: text,
    },
    { requiredKeys: ['kernel', 'scenario', 'clause', 'what', 'seen', 'mainline', 'documents', 'verdict'] },
  ),
  splat: fc.record({ ...at, kind: text, lines: texts, declared: fc.boolean() }),
  'scenario.finished': fc.record(
    {
      ...at,
      verdict,
      reason: text,
      failure,
      durationMs: number,
      attempts: number,
      flaky: fc.boolean(),
      expected: text,
      repeat: text,
      log: texts,
      fingerprint: text,
      clauseVerdicts: fc.array(
        fc.record({ clause: text, verdict, note: text }, { requiredKeys: ['clause', 'verdict'] }),
      ),
    },
    { requiredKeys: ['kernel', 'scenario', 'verdict', 'durationMs', 'attempts', 'flaky', 'repeat'] },
  ),
  'clause.judged': fc.record(
    { kernel: text, clause: text, statement: text, verdict, scenarios: texts, note: text },
    { requiredKeys: ['kernel', 'clause', 'statement', 'verdict', 'scenarios'] },
  ),
  'run.finished': fc.record({
    exit: number,
    interrupted: fc.boolean(),
    durationMs: number,
    counts,
    clauses: counts,
    expected: number,
    staleExpectations: texts,
  }),
};

for (const [type, payload] of Object.entries(payloads) as [EventType, fc.Arbitrary<unknown>][]) {
  void t.test(`${type} round-trips`, (t) => {
    fc.assert(
      fc.property(payload, (body) => {
        const event = stream()(type, body as Payload<EventType>);
        assert.deepEqual(parseEvent(JSON.stringify(event)), JSON.parse(JSON.stringify(event)));
        // A field of a later version stays; a field that must be there is missed.
        const more = { ...event, later: 1 };
        assert.deepEqual(parseEvent(JSON.stringify(more)), JSON.parse(JSON.stringify(more)));
        assert.throws(() => parseEvent(JSON.stringify({ ...event, type: 'unknown' })), /unknown event type unknown/);
        const { head, event: none } = parseLine(JSON.stringify({ ...event, type: 'unknown' }));
        assert.equal(head.type, 'unknown');
        assert.equal(none, undefined, 'of a later version: there, but of no use to this one');
        assert.throws(() => parseEvent(JSON.stringify({ ...event, v: 2 })));
        assert.throws(() => parseEvent(JSON.stringify({ ...event, seq: undefined })));
      }),
      { numRuns: 40 },
    );
    t.pass('for arbitrary payloads');
    t.end();
  });
}
