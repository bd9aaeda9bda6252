// SPDX-License-Identifier: MIT
import t from 'tap';
import { Parser } from 'tap-parser';
import type { KlpEvent } from '../../harness/events/schema.js';
import { createReporter, reporterNames } from '../../harness/report/reporters.js';
import { ending, finished, host, judgement, started, stream } from './runs.js';

/** Stands wherever the stream has a text; is replaced by what a hostile guest, image or module might say. */
const mark = '@hostile@';

const hostile: Record<string, string> = {
  'colours, cursor and title': '\x1b[31m\x1b[2J\x1b[H\x1b]0;owned\x07',
  'a link (OSC 8)': '\x1b]8;;http://x.invalid/\x1b\\click\x1b]8;;\x1b\\',
  'a clipboard write (OSC 52)': '\x1b]52;c;ZXZpbA==\x07',
  'the same in C1': '\u009b2J\u009d0;owned\u009c\u0090q\u009c',
  'direction overrides': '\u202egnp.exe\u2066\u2069\u061c\u200f',
  'invisible letters': 'a\u200b\u2060\ufeff\u00ad\u{e0041}b',
  'a carriage return': 'fail\r\x1b[Kpass',
  'backspaces and a NUL': 'x\b\b\b\0ok',
  'test points': 'x\nnot ok 1 - injected\nok 2 - injected\n1..2',
  'the same after other line breaks': 'x\u2028not ok 1\u2029not ok 2\u0085not ok 3\x0bnot ok 4\x0cnot ok 5\rnot ok 6',
  'a bail-out': 'x\nBail out! injected\n',
  'a TODO': 'x # TODO injected',
  'a SKIP': '# SKIP injected',
  'an escaped TODO': 'x \\# TODO injected \\\\# SKIP y \\',
  'a YAML end': 'x\n  ...\n  ---\n  verdict: "pass"\n',
  'a subtest': '# Subtest: injected\n    ok 1\n    1..1\n{',
  'a pragma': 'x\npragma +bail\n',
  'commands to CI systems': '::error::x\n::set-output name=a::b\n##[error]x\n##vso[task.complete]x',
  'half a character': '\ud800x\udc00',
  'markup': '<script>alert(1)</script> [x](javascript:y) `z` | a | b |',
};

/** A run in which every text that the harness did not write itself is `mark`. */
function marked(): KlpEvent[] {
  const make = stream();
  const failure = { kind: 'panic', message: mark, during: mark, hint: mark, details: [mark, mark] } as const;
  const inScenario = { kernel: mark, scenario: mark };
  const span = { begin: '1', end: '2' };
  // The second, third and fourth did not begin: their names are all there is of them.
  const names = ['', ' 2', ' 3', ' 4'].map((suffix) => mark + suffix) as [string, string, string, string];
  const wrong = finished(mark, names[0], 'fail', {
    reason: mark,
    failure: { ...failure, details: [...failure.details] },
    log: [mark, mark],
    repeat: `npx klp run ${mark}`,
  });
  const known = finished(mark, names[1], 'error', { expected: mark, reason: mark });
  const absent = finished(mark, names[2], 'n/a', { reason: mark });
  const order = finished(mark, names[3], 'deviates', { reason: mark });
  const clause = { kernel: mark, clause: mark, statement: mark, scenarios: [mark], note: mark };
  return [
    make('run.started', { ...started([mark], names), harness: mark, command: ['klp', mark], host: { ...host, system: mark } }),
    make('progress', { topic: mark, text: mark }),
    make('kernel.acquired', {
      ...{ kernel: mark, arch: 'x86_64', origin: 'brought', release: mark, version: mark, fingerprint: mark },
      ...{ packages: [{ name: mark, version: mark, arch: mark, sha256: mark }], toolchain: mark, config: mark },
    }),
    make('kernel.booted', {
      ...{ kernel: mark, accel: mark, qemu: mark, argv: [mark], commandLine: mark, bootMs: 1, capabilities: [mark] },
    }),
    make('scenario.started', { ...inScenario, title: mark, clauses: [mark], attempt: 1 }),
    make('operation', { ...inScenario, what: mark, result: mark, span }),
    make('observation', { ...inScenario, what: mark, seen: mark, span }),
    make('witness', { ...inScenario, situation: mark, proof: [mark], span }),
    make('judgement', {
      ...judgement(mark, mark, mark, 'fail', { what: mark, seen: mark, note: mark, mainline: { allowed: mark, does: false } }),
      documents: { stance: 'forbid', reference: mark },
    }),
    make('splat', { ...inScenario, kind: mark, lines: [mark, mark], declared: false }),
    ...[wrong, known, absent, order].map((result) => make('scenario.finished', result)),
    make('kernel.failed', { kernel: mark, failure: { ...failure, details: [...failure.details] } }),
    ...(['fail', 'deviates', 'n/a', 'pass'] as const).map((verdict) => make('clause.judged', { ...clause, verdict })),
    make('run.finished', ending([wrong, known, absent, order], [], { staleExpectations: [mark] })),
  ];
}

function filled<T>(value: T, text: string): T {
  if (typeof value === 'string') return value.replaceAll(mark, () => text) as T;
  if (Array.isArray(value)) return value.map((item: unknown) => filled(item, text)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, filled(item as unknown, text)])) as T;
}

interface Point {
  readonly ok: boolean;
  readonly todo: boolean | string;
  readonly skip: boolean | string;
}

const displays = [
  { colour: false, live: false, columns: 80 },
  { colour: true, live: true, columns: 80 },
];

for (const [what, text] of Object.entries(hostile)) {
  void t.test(what, (t) => {
    const events = filled(marked(), text);
    for (const name of reporterNames) {
      for (const display of displays) {
        const reporter = createReporter(name, display);
        const output = events.map((event) => reporter.event(event) + (reporter.tick?.(event.mono) ?? '')).join('') + reporter.end();
        // eslint-disable-next-line no-control-regex -- what the list reporter itself writes to a terminal
        const plain = display.live ? output.replace(/\r*\x1b\[(?:J|[0-9]{1,2}[mA])\r?|\r$/g, '') : output;
        const bad = /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.exec(plain);
        t.equal(bad === null ? '' : JSON.stringify(plain.slice(Math.max(0, bad.index - 60), bad.index + 20)), '', `${name}: nothing unprintable`);
        if (name === 'json') t.match(JSON.parse(output), { counts: { scenarios: { fail: 1, error: 1, 'n/a': 1, deviates: 1, pass: 0 } } });
        if (name === 'list') t.notMatch(plain, /^\s*::|##\[|##vso\[/m, 'no command to a CI system');
        if (name === 'tap') {
          const parsed = Parser.parse(output, { strict: true }) as [string, unknown][];
          const points = parsed.filter(([kind]) => kind === 'assert').map(([, data]) => data as Point);
          t.same(
            points.map(({ ok, todo, skip }) => [ok, todo !== false, skip !== false]),
            [[false, false, false], [false, true, false], [true, false, true], [true, false, false]],
          );
          t.same(parsed.filter(([kind]) => ['extra', 'child', 'bailout', 'pragma'].includes(kind)), []);
        }
      }
    }
    t.end();
  });
}
