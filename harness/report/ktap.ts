// SPDX-License-Identifier: MIT
import { explain } from './failure.js';
import { FoldedReporter } from './folded.js';
import { painter } from './paint.js';
import type { KernelResult, Results, ScenarioResult } from './results-schema.js';
import { isBad, isNews, notWhole } from './summary.js';
import { clean } from './text.js';

const plain = painter(false);

/**
 * The `ktap` reporter: KTAP version 1, a test for each kernel with a subtest for each scenario. n/a is `ok # SKIP`, what the expectations
 * file names `ok # XFAIL` as in kselftest.h, an error `not ok # ERROR`. KTAP knows no bail-out: a run that is no whole
 * result has a failing test of its own at the end.
 * Source: Documentation/dev-tools/ktap.rst
 */
export class KtapReporter extends FoldedReporter {
  protected document(results: Results): string {
    const why = notWhole(results);
    const tests = results.kernels.map((kernel, i) => kernelTest(results, kernel, i + 1));
    if (why !== undefined) {
      const missing = (results.missing ?? []).map((line) => diagnostic(`missing: ${clean(line)}`));
      tests.push([...missing, `not ok ${tests.length + 1} the run as a whole # ERROR ${why}`]);
    }
    const stale = results.staleExpectations.map((text) => diagnostic(`expectation that no longer holds: ${clean(text)}`));
    const head = diagnostic(`klp ${clean(results.harness)}, clause catalogue ${results.catalogue}, run ${clean(results.run)}`);
    return ['KTAP version 1', head, `1..${tests.length}`, ...tests.flat(), ...stale].join('\n');
  }
}

function kernelTest(results: Results, kernel: KernelResult, number: number): string[] {
  const own = results.scenarios.filter((s) => s.kernel === kernel.kernel);
  const name = testName(kernel.kernel);
  const red = own.some((s) => isNews(s, results.strict));
  const subtests = own.flatMap((s, i) => scenarioTest(s, i + 1, results.strict));
  const failure = kernel.failure ? [diagnostic(`${kernel.failure.kind}: ${clean(kernel.failure.message)}`)] : [];
  const skipped = own.every((s) => s.verdict === 'n/a') ? ` # SKIP ${own.length === 0 ? 'no scenario has a result' : 'every scenario is n/a'}` : '';
  return [
    ...['KTAP version 1', `# Subtest: ${name}`, `1..${own.length}`, ...subtests].map((line) => `  ${line}`),
    ...failure,
    `${red ? 'not ok' : 'ok'} ${number} ${name}${skipped}`,
  ];
}

/** Lines about a test stand before its result. */
function scenarioTest(result: ScenarioResult, number: number, strict: boolean): string[] {
  const { verdict, title, flaky, attempts } = result;
  const about = [
    ...(title === '' ? [] : [clean(title)]),
    ...(flaky ? [`flaky: passed on attempt ${attempts}`] : []),
    ...(verdict === 'pass' || verdict === 'n/a' ? [] : explain({ result }, plain)),
  ];
  const line = `${isNews(result, strict) ? 'not ok' : 'ok'} ${number} ${testName(result.scenario)}`;
  const data = diagnosticData(result, strict);
  return [...about.map(diagnostic), data === undefined ? line : `${line} # ${data}`];
}

/** What stands behind the hash sign: a directive, or the verdict that `ok` and `not ok` do not tell. */
function diagnosticData({ verdict, expected, reason, failure }: ScenarioResult, strict: boolean): string | undefined {
  const why = data(reason ?? failure?.message ?? '');
  const because = why === '' ? '' : ` ${why}`;
  if (verdict === 'pass') return undefined;
  if (verdict === 'n/a') return `SKIP${because === '' ? ' not applicable' : because}`;
  if (expected !== undefined) return `${isBad(verdict, strict) ? 'XFAIL ' : ''}${verdict}, expected: ${data(expected)}`;
  return verdict === 'error' ? `ERROR${because}` : `${verdict}:${because}`;
}

/** Parsers look for ` # SKIP` from the end of the line. */
function data(text: string): string {
  return clean(text).replaceAll('# ', '#').trim();
}

/** What the kernel's kunit_parser.py takes for the end of the output, or for a crash, wherever it stands. */
const kunitWords = /List of all partitions:|Kernel panic - not syncing: VFS:|reboot: System halted|kunit test case crashed!/g;

/** One line of diagnosis. Behind the hash sign are never exactly one space and `Subtest:`, which would be a header. */
function diagnostic(text: string): string {
  return `#  ${text.replace(kunitWords, (words) => words.replace(' ', '  '))}`.trimEnd();
}

/** A name may have no hash sign, and parsers take a dash before it for punctuation. */
function testName(name: string): string {
  const cleaned = clean(name).replaceAll('#', '_').replace(/^[\s-]+/, '').trim();
  return cleaned === '' ? '_' : cleaned;
}
