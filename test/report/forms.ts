// SPDX-License-Identifier: MIT
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Parser } from 'tap-parser';
import type { KlpEvent } from '../../harness/events/schema.js';
import type { Verdict } from '../../harness/model/verdict.js';
import type { Display } from '../../harness/report/reporter.js';
import { createReporter } from '../../harness/report/reporters.js';
import { resultsSchema } from '../../harness/report/results-schema.js';

export const plain: Display = { colour: false, live: false, columns: 80 };

export function report(name: string, events: readonly KlpEvent[], display = plain): string {
  const reporter = createReporter(name, display);
  return events.map((event) => reporter.event(event)).join('') + reporter.end();
}

/** What every form says of a run's scenarios, whatever else it holds. */
export interface Tally {
  readonly verdicts: Record<Verdict, number>;
  readonly expected: number;
  readonly flaky: number;
}

const none = (): Record<Verdict, number> => ({ fail: 0, error: 0, deviates: 0, pass: 0, 'n/a': 0 });

interface Counted {
  readonly verdict: Verdict;
  readonly expected?: unknown;
  readonly flaky?: boolean;
}

export function tally(results: readonly Counted[]): Tally {
  const verdicts = none();
  for (const { verdict } of results) verdicts[verdict] += 1;
  return { verdicts, expected: results.filter((r) => r.expected !== undefined).length, flaky: results.filter((r) => r.flaky === true).length };
}

/** The counts of the summary's line, and those of the lines of the scenarios, which must be the same. */
export function listCounts(text: string): { lines: Record<Verdict, number>; summary: Tally } {
  const lines = none();
  for (const [, mark = ''] of text.matchAll(/^(fail|error|deviates|pass|n\/a) +[^\s:]+ +\S+ /gim)) lines[mark.toLowerCase() as Verdict] += 1;
  const verdicts = none();
  let expected = 0;
  const [, sum = ''] = /^scenarios {2}(.*)$/m.exec(text) ?? [];
  for (const [, n, verdict, known] of sum.matchAll(/(\d+) (fail|error|deviates|pass|n\/a)(?: \((\d+) expected\))?/g)) {
    verdicts[verdict as Verdict] = Number(n);
    expected += Number(known ?? 0);
  }
  return { lines, summary: { verdicts, expected, flaky: Number(/; (\d+) flaky$/.exec(sum)?.[1] ?? 0) } };
}

export interface Point {
  ok: boolean;
  skip: boolean | string;
  todo: boolean | string;
  diag: { verdict?: Verdict; repeat?: string; expected?: string } | null;
  /** A comment behind it says so. */
  flaky?: boolean;
}

interface Complete {
  failures: { tapError?: unknown }[];
  bailout: boolean | string;
  plan: { end: number | null };
}

/** @throws Error when tap's own parser finds anything that is not TAP, or a YAML block it can't read */
export function tapPoints(text: string): Point[] {
  const points: Point[] = [];
  for (const [name, data] of Parser.parse(text, { strict: true }) as [string, unknown][]) {
    if (name === 'extra' || name === 'child') throw new Error(`${name}: ${JSON.stringify(data)}`);
    if (name === 'assert') points.push(data as Point);
    const last = points.at(-1);
    if (name === 'comment' && last && (data as string).startsWith('# flaky: ')) last.flaky = true;
    if (name === 'complete') {
      const { failures, bailout, plan } = data as Complete;
      const bad = failures.filter((f) => typeof f.tapError === 'string');
      if (bad.length > 0) throw new Error(JSON.stringify(bad));
      if (!bailout && plan.end !== points.length) throw new Error(`plan ${String(plan.end)}, ${points.length} points`);
    }
  }
  return points;
}

function tapTally(text: string): Tally {
  return tally(
    tapPoints(text).map(({ skip, diag, flaky }) => ({
      verdict: skip !== false ? 'n/a' : (diag?.verdict ?? 'pass'),
      expected: diag?.expected,
      ...(flaky === undefined ? {} : { flaky }),
    })),
  );
}

/** By the rules of ktap.rst: subtests are the result lines that are indented by two spaces. */
function ktapTally(text: string): Tally {
  const results: Counted[] = [];
  let flaky = false;
  for (const line of text.split('\n')) {
    if (/^ {2}# {2}flaky: /.test(line)) flaky = true;
    const [, ok, data = ''] = /^ {2}(ok|not ok) \d+ [^#]*?(?: # (.*))?$/.exec(line) ?? [];
    if (ok === undefined) continue;
    const [word = ''] = data.replace(/^XFAIL /, '').split(/[ :,]/);
    const verdict = ({ SKIP: 'n/a', ERROR: 'error', '': 'pass' } as const)[word] ?? (word as Verdict);
    results.push({ verdict, expected: /^(?:XFAIL )?\w+, expected:/.test(data) ? data : undefined, flaky });
    flaky = false;
  }
  return tally(results);
}

/** A Python that answers one question after the other: what it is asked is `question`, what it leaves in `answer` comes back. */
export class Python implements AsyncDisposable {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  #complaints = '';

  /** @param body of the loop, in Python; @param imports what it needs */
  constructor(imports: string, body: string, path = '') {
    // What a module prints by itself is no answer.
    const quiet = ['import sys, json, os', 'answers, sys.stdout = sys.stdout, open(os.devnull, "w")'];
    const loop = [...quiet, imports, 'for line in sys.stdin:', '    question = json.loads(line)', ...body.trim().split('\n').map((l) => `    ${l}`), '    print(json.dumps(answer), file=answers, flush=True)'];
    this.#child = spawn('python3', ['-c', loop.join('\n')], { env: { ...process.env, PYTHONPATH: path, PYTHONDONTWRITEBYTECODE: '1' } });
    this.#child.stderr.on('data', (chunk: Buffer) => (this.#complaints += chunk.toString()));
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** @throws Error with what Python says, when it takes exception */
  async ask(question: unknown): Promise<unknown> {
    this.#child.stdin.write(`${JSON.stringify(question)}\n`);
    const next = await this.#lines.next();
    if (next.done === true) throw new Error(`python3: ${this.#complaints}`);
    return JSON.parse(next.value);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end();
    if (this.#child.exitCode !== null) return Promise.resolve();
    return new Promise((resolve) => this.#child.on('close', () => resolve()));
  }
}

/** Python's XML parser; what it does not take for XML it says. */
const readXml = `
def element(e):
    return {"tag": e.tag, "attributes": e.attrib, "text": e.text or "", "children": [element(c) for c in e]}
try:
    answer = element(tree.fromstring(question.encode("utf-8", "surrogatepass")))
except Exception as error:
    answer = str(error)`;

export const xmlParser = (): Python => new Python('import xml.etree.ElementTree as tree', readXml);

export interface XmlElement {
  readonly tag: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly text: string;
  readonly children: readonly XmlElement[];
}

/** @throws Error when Python's parser does not take it for XML */
export async function parseXml(parser: Python, text: string): Promise<XmlElement> {
  const answer = await parser.ask(text);
  if (typeof answer === 'string') throw new Error(answer);
  return answer as XmlElement;
}

/** The test cases of scenarios, and what their suites say that there are. */
export function junitCases(root: XmlElement): readonly XmlElement[] {
  return root.children.filter((s) => s.attributes.name !== 'klp').flatMap((s) => s.children.filter((c) => c.tag === 'testcase'));
}

export function property(of: XmlElement, name: string): string | undefined {
  const all = of.children.find((c) => c.tag === 'properties')?.children ?? [];
  return all.find((p) => p.attributes.name === `klp.${name}`)?.attributes.value;
}

export function junitTally(root: XmlElement): Tally {
  return tally(
    junitCases(root).map((c) => ({
      verdict: property(c, 'verdict') as Verdict,
      expected: property(c, 'expected'),
      flaky: property(c, 'flaky') !== undefined,
    })),
  );
}

function markdownTally(text: string): Tally {
  const verdicts = none();
  let expected = 0;
  const rows = [...text.matchAll(/^\| (?!kernel \|).*\|$/gm)].map(([row]) => row.split(/(?<!\\)\|/).slice(3, -1));
  for (const cells of rows) {
    (['fail', 'error', 'deviates', 'pass', 'n/a'] as const).forEach((verdict, i) => {
      const [, n, known] = /^ (\d+)(?: \((\d+) expected\))? $/.exec(cells[i] ?? '') ?? [];
      verdicts[verdict] += Number(n ?? 0);
      expected += Number(known ?? 0);
    });
  }
  const [, flaky = ''] = /^### Flaky\n\n((?:- .*\n)*)/m.exec(text) ?? [];
  return { verdicts, expected, flaky: flaky.split('\n').length - 1 };
}

function jsonTally(text: string): Tally {
  const { counts } = resultsSchema.parse(JSON.parse(text));
  return { verdicts: counts.scenarios, expected: counts.expected, flaky: counts.flaky };
}

/** How to count the scenarios of a run in each of its forms but junit, by the form's own reporter. */
export const counters: Readonly<Record<string, (text: string) => Tally>> = {
  list: (text) => listCounts(text).summary,
  tap: tapTally,
  ktap: ktapTally,
  json: jsonTally,
  markdown: markdownTally,
};
