// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { xmlLeaf, xmlText } from '../../harness/report/xml.js';
import { type XmlElement, junitCases, parseXml, property, report, xmlParser } from './forms.js';
import { ending, finished, hostileText, judgement, runArb, started, stream } from './runs.js';

/** What becomes of each scenario: none, or the element that says that it did not pass. */
function outcomes(root: XmlElement): Record<string, string> {
  const said = (c: XmlElement): string => {
    const [element] = c.children.filter((e) => ['failure', 'error', 'skipped'].includes(e.tag));
    return element ? `${element.tag}: ${element.attributes.message ?? ''}` : '';
  };
  return Object.fromEntries(junitCases(root).map((c) => [c.attributes.name ?? '', said(c)]));
}

const results = [
  finished('k', 'passes', 'pass', { flaky: true, attempts: 2 }),
  finished('k', 'fails', 'fail', { reason: 'REG-1: <bad> & "worse"', failure: { kind: 'panic', message: 'm' }, log: ['l1', '[[ATTACHMENT|/etc/passwd]]'] }),
  finished('k', 'known', 'fail', { reason: 'r', expected: 'bug 12' }),
  finished('k', 'deviates', 'deviates', { reason: 'as mainline does' }),
  finished('k', 'errs', 'error'),
  finished('k', 'not-here', 'n/a', { reason: 'the kernel lacks: livepatch' }),
] as const;

function events(strict = false): ReturnType<ReturnType<typeof stream>>[] {
  const make = stream();
  return [
    make('run.started', started(['k'], results.map((r) => r.scenario), strict)),
    make('judgement', judgement('k', 'fails', 'REG-1', 'fail')),
    make('witness', { kernel: 'k', scenario: 'fails', situation: 'asleep', proof: ['schedule+0x1'] }),
    ...results.map((r) => make('scenario.finished', r)),
    make('run.finished', ending(results, [], { exit: 1 })),
  ];
}

void t.test('what becomes of each verdict', async (t) => {
  await using parser = xmlParser();
  const root = await parseXml(parser, report('junit', events()));
  t.equal(root.tag, 'testsuites');
  t.match(root.attributes, { name: 'klp r1', tests: '6', failures: '1', errors: '1', skipped: '2', time: '60.000' });
  t.strictSame(outcomes(root), {
    passes: '',
    fails: 'failure: REG-1: <bad> & "worse"',
    known: 'skipped: expected fail: bug 12',
    deviates: '',
    errs: 'error: error',
    'not-here': 'skipped: the kernel lacks: livepatch',
  });
  const [suite] = root.children;
  t.match(suite?.attributes, { name: 'k', tests: '6', failures: '1', errors: '1', skipped: '2', time: '7.404', timestamp: '2026-11-22T10:00:00' });
  const cases = junitCases(root);
  const find = (name: string): XmlElement => cases.find((c) => c.attributes.name === name) ?? assert.fail(name);
  t.equal(property(find('passes'), 'flaky'), 'passed on attempt 2');
  t.equal(property(find('deviates'), 'verdict'), 'deviates');
  t.equal(property(find('known'), 'expected'), 'bug 12');
  t.match(find('passes').attributes, { classname: 'k', time: '1.234' });
  const fails = find('fails');
  const [failure, out] = fails.children.slice(1);
  t.equal(failure?.attributes.type, 'panic');
  t.match(failure?.text, /REG-1 fail\n {4}checked {4}write 1 to enabled/);
  t.match(failure?.text, /repeat: npx klp run fails --kernel k/);
  t.equal(out?.text, 'witness: asleep\n  schedule+0x1\nkernel log:\n  l1\n  [ [ATTACHMENT|/etc/passwd]]', 'a guest attaches no file of the CI job');
});

void t.test('--strict: a deviation is a failure', async (t) => {
  await using parser = xmlParser();
  const root = await parseXml(parser, report('junit', events(true)));
  t.equal(outcomes(root).deviates, 'failure: as mainline does');
  t.equal(root.attributes.failures, '2');
});

void t.test('a run that is no whole result is red, though no scenario is', async (t) => {
  await using parser = xmlParser();
  const make = stream();
  const begun = [make('run.started', started(['k'], ['a', 'b'])), make('scenario.finished', finished('k', 'a', 'pass'))];
  const last = async (more: typeof begun): Promise<unknown> => {
    const root = await parseXml(parser, report('junit', [...begun, ...more]));
    return [root.attributes.errors, root.children.at(-1)?.attributes.name, root.children.at(-1)?.children[0]?.children[0]];
  };
  const error = (message: string, text = ''): unknown => ['1', 'klp', { tag: 'error', attributes: { type: 'incomplete', message }, text, children: [] }];
  t.strictSame(await last([]), error('the run did not finish'));
  t.strictSame(await last([make('run.finished', ending([], [], { interrupted: true }))]), error('the run was interrupted'));
  t.strictSame(await last([make('run.finished', ending([], [], { missing: ['shard 2'] }))]), error('shards are missing', 'shard 2'));
});

void t.test('evidence is cut, and says so', async (t) => {
  await using parser = xmlParser();
  const make = stream();
  const log = Array.from({ length: 5000 }, (_, i) => `line ${i} ${'x'.repeat(100)}`);
  const text = report('junit', [make('run.started', started(['k'], ['a'])), make('scenario.finished', finished('k', 'a', 'fail', { log }))]);
  t.ok(text.length < 80_000, `${text.length} characters`);
  const [testCase] = junitCases(await parseXml(parser, text));
  t.match(testCase?.children.at(-1)?.text, /… \d+ of 5001 lines are left out here; the journal has them$/);
});

void t.test('whatever a guest says, it is XML, and its totals are those of its test cases', async (t) => {
  await using parser = xmlParser();
  const property = fc.asyncProperty(runArb, async (run) => {
    const root = await parseXml(parser, report('junit', run.events));
    for (const suite of root.children) {
      const cases = suite.children.filter((c) => c.tag === 'testcase');
      const count = (tag: string): string => String(cases.filter((c) => c.children.some((e) => e.tag === tag)).length);
      const { tests, failures, errors, skipped } = suite.attributes;
      assert.deepEqual({ tests, failures, errors, skipped }, { tests: String(cases.length), failures: count('failure'), errors: count('error'), skipped: count('skipped') });
    }
    const sum = (name: string): string => String(root.children.reduce((n, s) => n + Number(s.attributes[name]), 0));
    for (const name of ['tests', 'failures', 'errors', 'skipped']) assert.equal(root.attributes[name], sum(name), name);
  });
  await fc.assert(property, { numRuns: 100 });
  t.pass('for arbitrary runs');
});

void t.test('text of any kind comes back, but for what XML forbids', async (t) => {
  await using parser = xmlParser();
  const kept = (s: string): string => s.replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd');
  const property = fc.asyncProperty(hostileText, async (s) => {
    const element = await parseXml(parser, xmlLeaf('a', { b: s }, s));
    assert.deepEqual([element.text, element.attributes.b], [kept(s), kept(s)]);
  });
  await fc.assert(property, { numRuns: 300 });
  t.equal(xmlText('a\u0000b\ud800c\uffffd'), 'a\ufffdb\ufffdc\ufffdd');
});
