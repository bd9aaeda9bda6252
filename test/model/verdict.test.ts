// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import t from 'tap';
import { exitStatus, profiles, rule, verdicts, worst } from '../../harness/model/verdict.js';
import type { Counted, Profile, Stance, Verdict } from '../../harness/model/verdict.js';

const anyVerdict = fc.constantFrom(...verdicts);
const counted = fc.record({ verdict: anyVerdict, expected: fc.boolean() });

void t.test('the whole verdict table', (t) => {
  const table: [Stance, boolean, Profile, Verdict, string | undefined][] = [
    ['allow', true, 'mainline', 'pass', undefined],
    ['silent', true, 'mainline', 'pass', undefined],
    ['forbid', true, 'mainline', 'deviates', 'the documents forbid it; mainline does the same'],
    ['allow', false, 'mainline', 'pass', 'differs from mainline; the documents allow it'],
    ['silent', false, 'mainline', 'fail', 'differs from mainline; the documents are silent'],
    ['forbid', false, 'mainline', 'fail', undefined],
    ['allow', true, 'documents', 'pass', undefined],
    ['silent', true, 'documents', 'pass', undefined],
    ['forbid', true, 'documents', 'deviates', 'the documents forbid it; mainline does the same'],
    ['allow', false, 'documents', 'pass', 'differs from mainline; the documents allow it'],
    ['silent', false, 'documents', 'pass', 'differs from mainline; the documents are silent'],
    ['forbid', false, 'documents', 'fail', undefined],
  ];
  t.equal(
    new Set(table.map(([d, m, p]) => `${d} ${m} ${p}`)).size,
    3 * 2 * profiles.length,
    'no row is missing',
  );
  for (const [documents, mainline, profile, verdict, note] of table) {
    const ruling = rule(documents, mainline, profile);
    t.strictSame(
      [ruling.verdict, ruling.note],
      [verdict, note],
      `${documents}, mainline ${mainline}, ${profile}`,
    );
    if (profile === 'mainline') t.strictSame(rule(documents, mainline), ruling, 'mainline is the default');
  }
  t.end();
});

void t.test('worst', (t) => {
  t.equal(worst([]), 'n/a');
  t.equal(worst(['n/a', 'pass']), 'pass');
  t.equal(worst(['pass', 'deviates', 'error']), 'error');
  t.equal(worst(['error', 'fail']), 'fail');
  fc.assert(
    fc.property(fc.array(anyVerdict), fc.array(anyVerdict), fc.array(anyVerdict), (a, b, c) => {
      if (worst([...a, ...b]) !== worst([...b, ...a])) return false;
      if (worst([worst([...a, ...b]), ...c]) !== worst([...a, worst([...b, ...c])])) return false;
      if (worst([...a, ...a]) !== worst(a) || worst([worst(a)]) !== worst(a)) return false;
      if (worst([...a, 'n/a']) !== worst(a)) return false;
      return a.length === 0 || a.includes(worst(a));
    }),
    { numRuns: 200 },
  );
  t.end();
});

void t.test('exit status by example', (t) => {
  const one = (verdict: Verdict, expected = false): Counted => ({ verdict, expected });
  t.equal(exitStatus([]), 3, 'nothing ran');
  t.equal(exitStatus([one('n/a')]), 3, 'nothing was judged');
  t.equal(exitStatus([one('pass')]), 0);
  t.equal(exitStatus([one('deviates')]), 0);
  t.equal(exitStatus([one('deviates')], true), 1);
  t.equal(exitStatus([one('deviates', true)], true), 0);
  t.equal(exitStatus([one('fail')]), 1);
  t.equal(exitStatus([one('fail', true)]), 0, 'an expected failure was judged');
  t.equal(exitStatus([one('error'), one('pass')]), 3);
  t.equal(exitStatus([one('error', true), one('pass')]), 0);
  t.equal(exitStatus([one('error', true)]), 3, 'an expected error judges nothing');
  t.equal(exitStatus([one('error'), one('fail')]), 1, 'a failure outranks an error');
  t.end();
});

void t.test('exit status rules', (t) => {
  const isNews = (r: Counted, strict: boolean): boolean =>
    !r.expected && (r.verdict === 'fail' || (strict && r.verdict === 'deviates'));
  fc.assert(
    fc.property(fc.array(counted), fc.boolean(), counted, (results, strict, extra) => {
      const status = exitStatus(results, strict);
      if ((status === 1) !== results.some((r) => isNews(r, strict))) return false;
      if (status !== exitStatus([...results].reverse(), strict)) return false;
      // Once failed, a run stays failed whatever else is in it.
      if (status === 1 && exitStatus([...results, extra], strict) !== 1) return false;
      // Without strict nothing gets worse.
      if (status === 0 && exitStatus(results, false) !== 0) return false;
      const judged = results.some((r) => r.verdict !== 'n/a' && r.verdict !== 'error');
      const errors = results.some((r) => r.verdict === 'error' && !r.expected);
      return status === 1 || (status === 0) === (judged && !errors);
    }),
  );
  t.pass('holds for arbitrary results');
  t.end();
});
