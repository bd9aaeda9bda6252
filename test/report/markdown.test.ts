// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { KlpEvent } from '../../harness/events/schema.js';
import { MarkdownReporter } from '../../harness/report/markdown.js';
import { ending, finished, hostileText, runArb, started, stream } from './runs.js';

function page(events: readonly KlpEvent[]): string {
  const reporter = new MarkdownReporter();
  assert.ok(events.every((e) => reporter.event(e) === ''), 'a page is written at the end');
  return reporter.end();
}

void t.test('kernels by verdict, what to repeat, what is missing', (t) => {
  const make = stream();
  const bad = finished('k', 'a', 'fail', { reason: 'ENA-1: 0; allowed: 1' });
  const known = finished('k', 'b', 'fail', { expected: 'bug 12' });
  const text = page([
    make('run.started', started(['k'], ['a', 'b', 'c'])),
    ...[bad, known, finished('k', 'c', 'pass')].map((r) => make('scenario.finished', r)),
    make('run.finished', ending([bad, known], [], { exit: 1, missing: ['shard 2 of 2 has no blob'], staleExpectations: ['scenario x: expired'] })),
  ]);
  t.match(text, /^## klp: failures, and shards are missing \(exit status 1\)$/m);
  t.ok(text.includes('| k |  | 2 (1 expected) |  |  | 1 |  |\n'), text);
  t.match(text, /^- \*\*fail\*\* k a: ENA-1: 0; allowed: 1$/m);
  t.ok(text.includes('```sh\n  npx klp run a --kernel k\n  ```'));
  t.notMatch(text, /\*\*fail\*\* k b/, 'expected');
  t.match(text, /### Missing\n\n- shard 2 of 2 has no blob\n/);
  t.match(text, /### Expectations that no longer hold\n\n- scenario x: expired\n/);
  t.end();
});

/** The page's own lines: whatever a run holds, no other line may come of it. */
const ours = [
  /^$/,
  /^## klp: [a-z, ]+( \(exit status \d+\))?$/,
  /^### [A-Z][a-z ]+$/,
  /^klp \S/,
  /^\|( .* \||---).*$/,
  /^- \*\*(fail|error|deviates)\*\* /,
  /^- \S/,
  /^- $/,
  /^ {2}`{3,}(sh)?$/,
  /^ {2}\S?.*$/,
  /^… and \d+ more$/,
];

void t.test('whatever a guest says, the page keeps its form', (t) => {
  fc.assert(
    fc.property(runArb, ({ events }) => {
      for (const line of page(events).split('\n')) assert.ok(ours.some((form) => form.test(line)), JSON.stringify(line));
    }),
  );
  fc.assert(
    fc.property(hostileText, (hostile) => {
      const make = stream();
      const result = finished('k', 's', 'fail', { reason: `x ${hostile}`, repeat: `npx ${hostile}` });
      const text = page([make('run.started', started(['k'], ['s'])), make('scenario.finished', result), make('run.finished', ending([result], []))]);
      const [, reason = ''] = /^- \*\*fail\*\* k s: (.*)$/m.exec(text) ?? [];
      assert.doesNotMatch(reason, /(?<!\\)[`*_[\]|~#$]|[<>@]|:\/\//, 'no markup');
      assert.doesNotMatch(text, /\p{Cc}(?<!\n)|^::|##\[/u, 'nothing that a terminal or a runner obeys');
      assert.equal(text.split('\n').filter((l) => /^ {2}`{3,}/.test(l)).length, 2, 'one block, and it is closed');
    }),
    { numRuns: 500 },
  );
  t.end();
});
