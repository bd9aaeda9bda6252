// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import type { EventType, KlpEvent, Payload } from '../../harness/events/schema.js';
import { verdicts, worst } from '../../harness/model/verdict.js';
import type { Verdict } from '../../harness/model/verdict.js';

/** Makes events with what every event has; `mono` is 100 ms more each time unless it is given. */
export function stream(
  run = 'r1',
): <T extends EventType>(type: T, payload: Payload<T>, mono?: number) => KlpEvent {
  let seq = -1;
  return (type, payload, mono) => {
    seq += 1;
    const wall = '2026-11-22T10:00:00.000Z';
    return { v: 1, seq, run, type, mono: mono ?? seq * 100, wall, ...payload } as unknown as KlpEvent;
  };
}

export const host = { system: 'Debian 12', cpus: 8, memoryMiB: 16000, node: 'v20.19.0' };

export function started(kernels: string[], scenarios: string[], strict = false): Payload<'run.started'> {
  return {
    harness: '0.1.0',
    catalogue: 3,
    command: ['klp', 'run'],
    profile: 'mainline',
    strict,
    host,
    kernels,
    scenarios: scenarios.map((id) => ({ id, title: `Title of ${id}`, clauses: ['REG-1'] })),
  };
}

export function finished(
  kernel: string,
  scenario: string,
  verdict: Verdict,
  more: Partial<Payload<'scenario.finished'>> = {},
): Payload<'scenario.finished'> {
  const repeat = `npx klp run ${scenario} --kernel ${kernel}`;
  return { kernel, scenario, verdict, durationMs: 1234, attempts: 1, flaky: false, repeat, ...more };
}

export function judgement(
  kernel: string,
  scenario: string,
  clause: string,
  verdict: Verdict,
  more: Partial<Payload<'judgement'>> = {},
): Payload<'judgement'> {
  const mainline = { allowed: '-EBUSY', does: verdict === 'pass' || verdict === 'deviates' };
  const documents = { stance: 'forbid', reference: 'livepatch.txt:393' } as const;
  return {
    kernel,
    scenario,
    clause,
    what: 'write 1 to enabled',
    seen: '0',
    mainline,
    documents,
    verdict,
    ...more,
  };
}

/** Payload of run.finished for what a list of scenario results and clause results came to. */
export function ending(
  results: readonly { verdict: Verdict; expected?: string | undefined }[],
  clauses: readonly { verdict: Verdict }[],
  more: Partial<Payload<'run.finished'>> = {},
): Payload<'run.finished'> {
  const count = (some: readonly { verdict: Verdict }[]): Record<Verdict, number> =>
    Object.fromEntries(verdicts.map((v) => [v, some.filter((r) => r.verdict === v).length])) as Record<
      Verdict,
      number
    >;
  const expected = results.filter((r) => r.expected !== undefined).length;
  const base = { exit: 0, interrupted: false, durationMs: 60_000, staleExpectations: [] };
  return { ...base, counts: count(results), clauses: count(clauses), expected, ...more };
}

/** What a hostile guest might say. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((codes) => String.fromCharCode(...codes)),
  fc.constantFrom(
    '\x1b[2J\x1b]0;owned\x07',
    '\u009b31m',
    'ok 1 - all is well\nBail out!\n1..0',
    '::error::x\n##[group]x\n##vso[task.complete]x',
    '  ...\n  ---\nnot ok',
    '# TODO later',
    'see @someone, #12, https://example.org and www.example.org',
    'x # SKIP y',
    'brace {',
    '\\',
    '\\#',
    '\u202egnp.exe',
    '\ud800',
    'a\0b',
    'line\u2028break',
    '\r\rback',
    '',
    ' ',
  ),
);

const verdictArb = fc.constantFrom(...verdicts);
const kinds = [
  'assertion',
  'panic',
  'oops',
  'hang',
  'silence',
  'connection lost',
  'boot failed',
  'infrastructure',
] as const;
const failureArb = fc.record(
  {
    kind: fc.constantFrom(...kinds),
    message: hostileText,
    during: hostileText,
    hint: hostileText,
    details: fc.array(hostileText, { maxLength: 3 }),
  },
  { requiredKeys: ['kind', 'message'] },
);
const clauseIds = ['REG-1', 'REG-2', 'ENA-10', 'EF-01'];

const resultArb = fc.record({
  verdict: verdictArb,
  expected: fc.option(hostileText, { nil: undefined }),
  reason: fc.option(hostileText, { nil: undefined }),
  failure: fc.option(failureArb, { nil: undefined }),
  flaky: fc.boolean(),
  earlier: fc.boolean(),
  begun: fc.boolean(),
  log: fc.option(fc.array(hostileText, { maxLength: 4 }), { nil: undefined }),
  judgements: fc.array(
    fc.record({
      clause: fc.constantFrom(...clauseIds),
      verdict: verdictArb,
      seen: hostileText,
      what: hostileText,
    }),
    {
      maxLength: 3,
    },
  ),
  operations: fc.array(hostileText, { maxLength: 2 }),
  title: hostileText,
});

export interface GeneratedRun {
  readonly events: readonly KlpEvent[];
  readonly strict: boolean;
  /** One for each scenario.finished, in order. */
  readonly results: readonly Payload<'scenario.finished'>[];
  readonly clauses: readonly Payload<'clause.judged'>[];
}

/** Any run whose events could come from a runner; kernels take turns, so their events are interleaved. */
export const runArb: fc.Arbitrary<GeneratedRun> = fc
  .record({
    strict: fc.boolean(),
    interrupted: fc.boolean(),
    kernels: fc.array(fc.array(resultArb, { maxLength: 4 }), { minLength: 1, maxLength: 3 }),
    progress: hostileText,
  })
  .map(({ strict, interrupted, kernels, progress }) => {
    const make = stream();
    const names = kernels.map((_, i) => `kernel-${i}`);
    const results: Payload<'scenario.finished'>[] = [];
    const judged = new Map<string, Payload<'clause.judged'>>();
    const queues = kernels.map((of, k) =>
      of.map((r, s) => (): KlpEvent[] => {
        const [kernel, scenario] = [`kernel-${k}`, `scenario-${s}`];
        const events: KlpEvent[] = [];
        const head = { kernel, scenario, title: r.title, clauses: clauseIds };
        if (r.earlier) {
          events.push(make('scenario.started', { ...head, attempt: 1 }));
          events.push(make('judgement', judgement(kernel, scenario, 'REG-1', 'fail')));
        }
        if (r.begun || r.earlier)
          events.push(make('scenario.started', { ...head, attempt: r.earlier ? 2 : 1 }));
        events.push(make('progress', { topic: 'build', text: progress }));
        for (const what of r.operations)
          events.push(make('operation', { kernel, scenario, what, result: what }));
        for (const j of r.judgements) {
          events.push(
            make(
              'judgement',
              judgement(kernel, scenario, j.clause, j.verdict, { seen: j.seen, what: j.what }),
            ),
          );
          const known = judged.get(`${kernel} ${j.clause}`);
          judged.set(`${kernel} ${j.clause}`, {
            kernel,
            clause: j.clause,
            statement: j.what,
            verdict: worst([j.verdict, known?.verdict ?? 'n/a']),
            scenarios: [...new Set([...(known?.scenarios ?? []), scenario])],
          });
        }
        const expected = r.verdict === 'pass' || r.verdict === 'n/a' ? undefined : r.expected;
        const payload = finished(kernel, scenario, r.verdict, {
          ...(r.reason !== undefined && { reason: r.reason }),
          ...(expected !== undefined && { expected }),
          ...(r.failure !== undefined && { failure: r.failure }),
          ...(r.log !== undefined && { log: r.log }),
          flaky: r.flaky,
          attempts: r.earlier ? 2 : 1,
        });
        results.push(payload);
        events.push(make('scenario.finished', payload));
        return events;
      }),
    );
    const events = [
      make('run.started', started(names, ['scenario-0', 'scenario-1', 'scenario-2', 'scenario-3'], strict)),
    ];
    for (let turn = 0; turn < 4; turn += 1) {
      // Interleave the events of the scenarios of one turn, keeping each scenario's own order.
      const batches = queues.map((queue) => queue[turn]?.() ?? []);
      for (let i = 0; batches.some((b) => i < b.length); i += 1)
        events.push(...batches.flatMap((b) => b.slice(i, i + 1)));
    }
    const clauses = [...judged.values()];
    events.push(...clauses.map((c) => make('clause.judged', c)));
    events.push(make('run.finished', ending(results, clauses, { interrupted })));
    const ordered = events.map((event, seq) => ({ ...event, seq, mono: seq * 100 }));
    return {
      events: ordered,
      strict,
      results: ordered.filter((e) => e.type === 'scenario.finished'),
      clauses,
    };
  });
