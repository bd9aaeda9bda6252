// SPDX-License-Identifier: MIT
import { explain } from './failure.js';
import { FoldedReporter } from './folded.js';
import { painter } from './paint.js';
import type { KernelResult, Results, ScenarioResult } from './results-schema.js';
import { isBad, notWhole } from './summary.js';
import { clean } from './text.js';
import { xmlLeaf, xmlTree } from './xml.js';

/** Characters of evidence that a test case may hold: GitLab refuses a report that is too big as a whole. */
const evidenceLimit = 32_000;
const plain = painter(false);

/** What a test case comes to in the dialect: at most one of these. */
type Outcome = 'passed' | 'skipped' | 'failures' | 'errors';

/**
 * The `junit` reporter: JUnit XML as GitLab and Jenkins read it. A suite is a kernel, a test case a scenario; n/a is skipped,
 * and so is what the expectations file names, since the dialect knows no other way of not being red. The exact verdict stands in the
 * properties. A run that is no whole result has an error of its own in a suite `klp`.
 *
 * There is no specification; what is read is in GitLab's `lib/gitlab/ci/parsers/test/junit.rb` and in Jenkins' junit-plugin.
 */
export class JunitReporter extends FoldedReporter {
  protected document(results: Results): string {
    const why = notWhole(results);
    const suites = results.kernels.map((kernel) => suite(results, kernel));
    const own = results.scenarios.map((s) => outcome(s, results.strict));
    const all = why === undefined ? own : [...own, 'errors' as const];
    const head = { name: `klp ${clean(results.run)}`, ...totals(all), time: seconds(results.durationMs) };
    return ['<?xml version="1.0" encoding="UTF-8"?>', xmlTree('testsuites', head, why === undefined ? suites : [...suites, incomplete(results, why)])].join('\n');
  }
}

function suite(results: Results, kernel: KernelResult): string {
  const own = results.scenarios.filter((s) => s.kernel === kernel.kernel);
  const name = clean(kernel.kernel);
  const time = seconds(own.reduce((sum, s) => sum + s.durationMs, 0));
  const head = { name, ...totals(own.map((s) => outcome(s, results.strict))), time, timestamp: timestamp(results.started) };
  const { acquired, booted, failure } = kernel;
  const about = properties({
    run: results.run,
    harness: results.harness,
    catalogue: String(results.catalogue),
    profile: `${results.profile}${results.strict ? ', strict' : ''}`,
    release: acquired?.release,
    arch: acquired?.arch,
    version: acquired?.version,
    toolchain: acquired?.toolchain,
    accelerator: booted?.accel,
    qemu: booted?.qemu,
    machine: booted?.machine,
    failure: failure && `${failure.kind}: ${failure.message}`,
  });
  return xmlTree('testsuite', head, [about, ...own.map((s) => testCase(s, results.strict))]);
}

function testCase(result: ScenarioResult, strict: boolean): string {
  const { verdict, expected, flaky, attempts, title, clauses, repeat } = result;
  const about = properties({
    verdict,
    title: title === '' ? undefined : title,
    expected,
    flaky: flaky ? `passed on attempt ${attempts}` : undefined,
    clauses: clauses.length === 0 ? undefined : clauses.join(' '),
    repeat: verdict === 'pass' || verdict === 'n/a' ? undefined : repeat,
  });
  const came = outcome(result, strict);
  const evidence = cut(evidenceLines(result, came)).replaceAll('[[ATTACHMENT|', '[ [ATTACHMENT|');
  const out = evidence === '' ? [] : [xmlLeaf('system-out', {}, evidence)];
  const head = { name: clean(result.scenario), classname: clean(result.kernel), time: seconds(result.durationMs) };
  return xmlTree('testcase', head, [about, ...status(result, came), ...out]);
}

/** The element that says that it did not pass; none for what did. */
function status(result: ScenarioResult, came: Outcome): readonly string[] {
  const { verdict, failure, expected } = result;
  const reason = clean(result.reason ?? failure?.message ?? '');
  if (came === 'passed') return [];
  if (came === 'skipped') {
    const why = expected === undefined ? reason : `expected ${verdict}: ${clean(expected)}`;
    return [xmlLeaf('skipped', { message: why === '' ? 'not applicable' : why })];
  }
  const head = { type: failure?.kind ?? verdict, message: reason === '' ? verdict : reason };
  return [xmlLeaf(came === 'failures' ? 'failure' : 'error', head, cut(explain({ result }, plain)))];
}

/** What supports the result and does not stand with its failure: proofs of situations, the whole kernel log. */
function evidenceLines(result: ScenarioResult, came: Outcome): string[] {
  const { verdict, witnesses, log = [] } = result;
  if (verdict === 'pass' || verdict === 'n/a') return [];
  const told = came === 'failures' || came === 'errors';
  return [
    ...(told ? [] : explain({ result: { ...result, log: [] } }, plain)),
    ...witnesses.flatMap((w) => [`witness: ${clean(w.situation)}`, ...w.proof.map((line) => `  ${clean(line)}`)]),
    ...(log.length === 0 ? [] : ['kernel log:', ...log.map((line) => `  ${clean(line)}`)]),
  ];
}

function outcome({ verdict, expected }: ScenarioResult, strict: boolean): Outcome {
  if (verdict === 'n/a') return 'skipped';
  if (!isBad(verdict, strict)) return 'passed';
  if (expected !== undefined) return 'skipped';
  return verdict === 'error' ? 'errors' : 'failures';
}

function totals(all: readonly Outcome[]): Record<'tests' | 'failures' | 'errors' | 'skipped', number> {
  const count = (of: Outcome): number => all.filter((o) => o === of).length;
  return { tests: all.length, failures: count('failures'), errors: count('errors'), skipped: count('skipped') };
}

function incomplete(results: Results, why: string): string {
  const head = { name: 'klp', ...totals(['errors']), time: '0.000' };
  const text = (results.missing ?? []).map((line) => clean(line));
  return xmlTree('testsuite', head, [
    xmlTree('testcase', { name: 'the run as a whole', classname: 'klp', time: '0.000' }, [xmlLeaf('error', { type: 'incomplete', message: why }, cut(text))]),
  ]);
}

function properties(of: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(of).filter(([, value]) => value !== undefined);
  return xmlTree('properties', {}, given.map(([name, value]) => xmlLeaf('property', { name: `klp.${name}`, value: clean(value ?? '', 4000) })));
}

/** Lines as one text, with as many of the first as fit. */
function cut(lines: readonly string[]): string {
  let size = 0;
  const kept = lines.filter((line) => (size += line.length + 1) <= evidenceLimit);
  const left = lines.length - kept.length;
  return [...kept, ...(left > 0 ? [`… ${left} of ${lines.length} lines are left out here; the journal has them`] : [])].join('\n');
}

/** Seconds, as the dialect has them. */
function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(3);
}

/** Without fractions and zone, as ant's schema has it; UTC. */
function timestamp(wall: string): string | undefined {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.exec(wall)?.[0];
}
