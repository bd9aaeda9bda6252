// SPDX-License-Identifier: MIT
import type { KlpEvent, Payload } from '../../harness/events/schema.js';
import { clauses as catalogue, catalogueVersion } from '../../harness/model/catalogue/index.js';
import type { Verdict } from '../../harness/model/verdict.js';
import { createReporter } from '../../harness/report/reporters.js';
import { ending, finished, judgement, started, stream } from './runs.js';

/** The page of some events. */
export function pageOf(events: readonly KlpEvent[]): string {
  const reporter = createReporter('html', { colour: false, live: false, columns: 80 });
  return events.map((event) => reporter.event(event)).join('') + reporter.end();
}

const span = (begin: number, end: number): { begin: string; end: string } => ({ begin: String(begin * 1_000_000), end: String(end * 1_000_000) });

type Samples = NonNullable<Payload<'observation'>['samples']>;
const threads = (of: string[], value: string, to = 4): Samples['tracks'][number] => ({ kind: 'threads', of, values: [{ value, from: 0, to }] });

/** A transition that thread 124 holds for two seconds. */
export function heldTransition(kernel: string, scenario: string): [type: KlpEvent['type'], payload: object][] {
  const where = { kernel, scenario };
  const file = (value: string): Samples['tracks'][number] => ({ kind: 'file', of: ['/sys/kernel/livepatch/klp_alpha/transition'], values: [{ value, from: 0, to: 1 }] });
  const many = ['1 init', '2 [kthreadd]', '9 [kworker/0:1]'];
  const sweep = (at: number, ...tracks: Samples['tracks']): [KlpEvent['type'], object] => [
    'observation',
    { ...where, what: 'patch_state of every thread', seen: tracks.map((t) => `${t.of.length} × ${t.values[0]?.value ?? ''}`).join(', '), span: span(at, at + 4), samples: { tracks, left: 0 } },
  ];
  const look = (at: number, value: string): [KlpEvent['type'], object] => [
    'observation',
    { ...where, what: '/sys/kernel/livepatch/klp_alpha', seen: `enabled 0644 = 1, transition 0444 = ${value}`, span: span(at, at + 1), samples: { tracks: [file(value)], left: 0 } },
  ];
  return [
    ['operation', { ...where, what: 'insmod klp_alpha', result: 'OK', span: span(1000, 1100) }],
    sweep(1200, threads(many, '1'), threads(['124 klp-sleeper'], '0')),
    look(1300, '1'),
    ['witness', { ...where, situation: 'thread 124 sleeps in original of klp_target_alpha', proof: ['[<0>] sleep_here+0xd4/0x140 [klp_target]', '[<0>] klp_target_alpha+0xb/0x20 [klp_target]'], span: span(1350, 1351) }],
    ['operation', { ...where, what: 'release thread 124', result: 'OK', span: span(3000, 3050) }],
    look(3200, '0'),
    sweep(3300, threads([...many, '124 klp-sleeper'], '-1')),
  ];
}

export const kernelNames = ['stock', 'vendor-4.14', 'next'];

/** A run of three kernels in which there is one of everything; `words` stand in what failed. */
export function variedRun(words = 'the kernel said so'): KlpEvent[] {
  const make = stream('20261124-120000-abcd');
  const scenarios = ['holds', 'fails', 'known', 'wobbles', 'deviates', 'absent'];
  const events: KlpEvent[] = [make('run.started', { ...started(kernelNames, scenarios), catalogue: catalogueVersion })];
  const results: Payload<'scenario.finished'>[] = [];
  const judged: Payload<'clause.judged'>[] = [];
  const by: readonly [scenario: string, clause: string, verdict: Verdict, more?: Partial<Payload<'scenario.finished'>>][] = [
    ['holds', 'TRN-5', 'pass'],
    ['fails', 'ENA-3', 'fail', { reason: words, log: ['livepatch: one line', words], failure: { kind: 'assertion', message: words, hint: words, details: [words] } }],
    ['known', 'REG-5', 'fail', { reason: 'as ever', expected: 'bug 4711' }],
    ['wobbles', 'SYS-1', 'pass', { flaky: true, attempts: 2 }],
    ['deviates', 'ENA-13', 'deviates', { reason: 'the documents are out of date' }],
    ['absent', 'REP-1', 'n/a', { reason: 'the kernel lacks: replace' }],
  ];
  for (const [k, kernel] of kernelNames.entries()) {
    events.push(
      make('kernel.acquired', {
        ...{ kernel, arch: 'x86_64', origin: 'stock', release: `6.1.${k}`, version: `Linux version 6.1.${k}`, fingerprint: 'f'.repeat(64), toolchain: 'gcc 12', config: 'config' },
        packages: [{ name: 'linux-image', version: `6.1.${k}`, arch: 'amd64', sha256: 'a'.repeat(64) }],
      }),
      make('kernel.booted', { kernel, accel: 'tcg', qemu: 'QEMU 7.2', argv: ['qemu', '-m', '512'], commandLine: 'console=ttyS0', bootMs: 1000, capabilities: ['livepatch'] }),
    );
    for (const [scenario, clause, usual, more] of by) {
      // The first kernel does all of it; of the others one passes most.
      const verdict = k === 0 || usual === 'pass' || usual === 'n/a' ? usual : 'pass';
      events.push(make('scenario.started', { kernel, scenario, title: `Title of ${scenario}`, clauses: [clause], attempt: 1 }));
      if (scenario === 'holds') for (const [type, payload] of heldTransition(kernel, scenario)) events.push(make(type, payload as never));
      const own = verdict === 'fail' ? { seen: words, mainline: { allowed: '1', does: false } } : {};
      events.push(make('judgement', judgement(kernel, scenario, clause, verdict, own)));
      const result = finished(kernel, scenario, verdict, verdict === usual ? more : {});
      results.push(result);
      events.push(make('scenario.finished', result));
      const statement = catalogue.find((c) => c.id === clause)?.statement ?? '';
      judged.push({ kernel, clause, statement, verdict, scenarios: [scenario], ...(verdict === 'n/a' && { note: 'the kernel lacks: replace' }) });
    }
  }
  for (const each of judged) events.push(make('clause.judged', each));
  events.push(make('run.finished', ending(results, judged, { exit: 1, staleExpectations: ['entry 3: no such scenario'] })));
  return events;
}

/** A nightly of many kernels: every clause has a scenario, one in 40 fails, with a log. */
export function largeRun(kernels: number, clauses: number): KlpEvent[] {
  const make = stream('large');
  const names = Array.from({ length: kernels }, (_, k) => `kernel-${k}-x86_64`);
  const ids = Array.from({ length: clauses }, (_, c) => catalogue[c]?.id ?? `NEW-${c}`);
  const events: KlpEvent[] = [make('run.started', started(names, ids.map((id) => `scenario-of-${id}`)))];
  const results: Payload<'scenario.finished'>[] = [];
  const judged: Payload<'clause.judged'>[] = [];
  for (const [k, kernel] of names.entries()) {
    for (const [c, clause] of ids.entries()) {
      const scenario = `scenario-of-${clause}`;
      const verdict: Verdict = (k * 7 + c) % 40 === 0 ? 'fail' : (k + c) % 9 === 0 ? 'n/a' : 'pass';
      events.push(make('scenario.started', { kernel, scenario, title: `Title of ${scenario}`, clauses: [clause], attempt: 1 }));
      if (verdict !== 'n/a') {
        for (const [type, payload] of heldTransition(kernel, scenario)) events.push(make(type, payload as never));
        for (let i = 0; i < 6; i += 1) {
          events.push(make('judgement', judgement(kernel, scenario, i === 0 ? clause : `TRN-${i}`, i === 0 ? verdict : 'pass', { seen: `${(k * 31 + c * 7 + i) % 97} × 1` })));
        }
      }
      const log = Array.from({ length: 60 }, (_, i) => `[${i}.${k}${c}] livepatch: line ${i} of what ${kernel} says`);
      const result = finished(kernel, scenario, verdict, verdict === 'fail' ? { reason: `${clause}: 0; allowed: 1`, log } : verdict === 'n/a' ? { reason: 'the kernel lacks: replace' } : {});
      results.push(result);
      events.push(make('scenario.finished', result));
      judged.push({ kernel, clause, statement: catalogue[c]?.statement ?? `Statement ${c}.`, verdict, scenarios: [scenario] });
    }
  }
  for (const each of judged) events.push(make('clause.judged', each));
  events.push(make('run.finished', ending(results, judged, { exit: 1 })));
  return events;
}
