// SPDX-License-Identifier: MIT
import t from 'tap';
import type { KlpEvent, Payload } from '../../harness/events/schema.js';
import { bisectStep } from '../../harness/runner/bisect.js';
import { ending, finished, started, stream } from '../report/runs.js';

type Kind = NonNullable<Payload<'scenario.finished'>['failure']>['kind'];

interface Of {
  readonly kind?: Kind;
  readonly verdict?: Payload<'scenario.finished'>['verdict'];
  /** Whether it got a guest. */
  readonly guest?: boolean;
  readonly expected?: string;
  readonly kernel?: Kind;
  readonly unfinished?: boolean;
}

function journal({ kind, verdict = 'error', guest = true, expected, kernel, unfinished }: Of): readonly KlpEvent[] {
  const make = stream();
  const failure = kind && { kind, message: `it was a ${kind}` };
  const result = finished('k', 's', verdict, { reason: 'a reason', ...(failure && { failure }), ...(expected === undefined ? {} : { expected }) });
  return [
    make('run.started', started(['k'], ['s'])),
    ...(kernel ? [make('kernel.failed', { kernel: 'k', failure: { kind: kernel, message: `${kernel}!` } })] : []),
    make('scenario.started', { kernel: 'k', scenario: 's', title: 't', clauses: [], attempt: 1, ...(guest && kernel === undefined ? { guest: 1 } : {}) }),
    make('scenario.finished', result),
    ...(unfinished === true ? [] : [make('run.finished', ending([result], []))]),
  ];
}

const cases: [string, number | null, Of, number][] = [
  ['a pass', 0, { verdict: 'pass' }, 0],
  ['a fail', 1, { verdict: 'fail', kind: 'assertion' }, 1],
  ['a fail that came with a warning', 1, { verdict: 'fail', kind: 'oops' }, 1],
  ['a panic in a scenario', 3, { kind: 'panic' }, 1],
  ['an oops that ended a scenario', 3, { kind: 'oops' }, 1],
  ['a hang in a scenario', 3, { kind: 'hang' }, 1],
  ['a panic that was expected', 0, { kind: 'panic', expected: 'known' }, 0],
  ['a situation that was not reached', 3, { kind: 'assertion' }, 125],
  ['n/a', 3, { verdict: 'n/a' }, 125],
  ['a module that does not build', 3, { kind: 'infrastructure', guest: false }, 125],
  ['a panic at boot', 3, { kind: 'panic', kernel: 'panic' }, 125],
  ['a kernel that does not get ready', 3, { kind: 'boot failed', kernel: 'boot failed' }, 125],
  ['a silent kernel', 3, { kind: 'silence', kernel: 'silence' }, 125],
  ['no QEMU', 3, { kind: 'infrastructure', kernel: 'infrastructure' }, 131],
  ['a lost guest that the host is to blame for', 3, { kind: 'infrastructure' }, 131],
  ['an interruption', 130, {}, 130],
  ['wrong words', 2, {}, 130],
  ['a run that was killed', null, { unfinished: true }, 131],
  ['a run that did not finish', 3, { unfinished: true }, 131],
];

void t.test('what a run says of a revision', (t) => {
  for (const [name, status, of, expected] of cases) t.equal(bisectStep(status, journal(of)).status, expected, name);
  t.equal(bisectStep(2, []).status, 130, 'nothing ran');
  t.end();
});
