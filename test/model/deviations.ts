// SPDX-License-Identifier: MIT
import { lineFor } from '../../harness/runner/dry-run-log.js';
import type { Observation, SeenEntry } from '../../harness/model/observations/index.js';
import type { SeenValue } from '../../harness/model/observations/timeline.js';
import type { Pair } from '../../harness/model/passes.js';
import type { Errno, Operation, Outcome } from '../../harness/model/operations/index.js';
import type { Facts } from '../../harness/model/state.js';
import { type Answer, DryKernel } from '../../harness/runner/dry-run-kernel.js';
import type { DryStep } from '../../harness/runner/dry-run.js';

/** One way in which a kernel deviates in one step. */
export interface Deviation {
  readonly name: string;
  readonly answer?: (answer: Answer) => Answer;
  readonly show?: (seen: Observation) => Observation;
}

/** A kernel that deviates once. */
export class DeviatingKernel extends DryKernel {
  constructor(
    facts: Facts,
    private readonly at: number,
    private readonly deviation: Deviation,
  ) {
    super(facts);
  }

  override operate(step: number, op: Operation): Answer {
    const answer = super.operate(step, op);
    return step === this.at ? (this.deviation.answer?.(answer) ?? answer) : answer;
  }

  override show(step: number, seen: Observation): Observation {
    const shown = super.show(step, seen);
    return step === this.at ? (this.deviation.show?.(shown) ?? shown) : shown;
  }
}

/** What a kernel could do wrong in a step; nothing in one that only sets the scene. */
export function deviationsOf(step: DryStep): readonly Deviation[] {
  if (step.kind === 'observation') return distortions(step.seen).map(([name, seen]) => ({ name, show: () => seen }));
  if (step.kind === 'witness') return [];
  const { outcome } = step.answer;
  if (!outcome) return [];
  const deviations: Deviation[] = [];
  if (outcome.clause !== null) {
    const errno = anotherErrno(outcome, step.allowed);
    deviations.push({ name: `${outcome.errno} → ${errno}`, answer: (a) => ({ ...a, errno, log: [] }) });
  }
  // Each line counts, not only the first: they may be of several clauses.
  outcome.log.forEach((line, i) => {
    deviations.push({ name: `no line of ${line.clause}`, answer: (a) => ({ ...a, log: a.log.filter((_text, j) => j !== i) }) });
  });
  outcome.unlogged.forEach(({ clause, pattern }) => {
    const text = lineFor(pattern);
    deviations.push({ name: `a line of ${clause}`, answer: (a) => ({ ...a, log: [...a.log, text] }) });
  });
  return deviations;
}

/** Success for an error and EINVAL for success; where that is allowed too, what is not. */
function anotherErrno({ errno }: Outcome, allowed: readonly Outcome[]): Errno {
  const candidates: readonly Errno[] = errno === 'OK' ? ['EINVAL', 'EBUSY', 'ENOSYS'] : ['OK', 'EINVAL', 'ENOSYS'];
  return candidates.find((e) => !allowed.some((o) => o.errno === e)) ?? 'EOPNOTSUPP';
}

type Distorted = readonly (readonly [string, Observation])[];

function distortions(seen: Observation): Distorted {
  switch (seen.kind) {
    case 'threads':
      return wrongThreads(seen);
    case 'birth': {
      const wrong = { patchState: seen.child.patchState === 1 ? 0 : 1, pending: seen.child.pending };
      return [
        ['the child on the other side', { ...seen, child: wrong }],
        ['parent and child on the other side', { ...seen, child: wrong, parent: wrong }],
        ['another flag of the child', { ...seen, child: { ...seen.child, pending: !seen.child.pending } }],
      ];
    }
    case 'interrupt':
      return [
        ['another body', { ...seen, body: seen.body === 'original' ? 'klp_x' : 'original' }],
        ['over another state', { ...seen, patchState: seen.patchState === 1 ? 0 : 1 }],
      ];
    case 'idle-tasks':
      return seen.cpus.map(({ cpu, patchState }) => [
        `CPU ${cpu} on the other side`,
        { ...seen, cpus: seen.cpus.map((c) => (c.cpu === cpu ? { cpu, patchState: patchState === 1 ? 0 : 1 } : c)) },
      ]);
    case 'state-files':
      return seen.files.flatMap(({ path }) =>
        [0o444, null].map((mode) => [`${mode === null ? 'no' : 'anybody reads'} ${path}`, { ...seen, files: seen.files.map((f) => (f.path === path ? { path, mode } : f)) }] as const),
      );
    case 'ways':
      return [
        ...seen.ways.map(({ tid }) => [`thread ${tid} by the scheduler`, { ...seen, ways: seen.ways.map((w) => (w.tid === tid ? { tid, way: 'scheduler' as const } : w)) }] as const),
        ...(seen.ways.some((w) => w.way === 'itself')
          ? [['nobody by itself', { ...seen, ways: seen.ways.map((w) => ({ ...w, way: 'stack check' as const })) }] as const]
          : []),
        ['everybody by itself', { ...seen, ways: seen.ways.map((w) => ({ ...w, way: 'itself' as const })) }],
      ];
    case 'warnings':
      return [['a warning', { ...seen, warnings: ['WARNING: CPU: 0 PID: 1 at kernel/livepatch/transition.c:121'] }]];
    case 'sysfs':
      return wrongTrees(seen);
    case 'call': {
      const bodies = ['original', 'unknown: junk'].filter((body) => body !== seen.body);
      return bodies.map((body) => [`body ${body}`, { ...seen, body }]);
    }
    case 'timeline':
      return wrongTimelines(seen);
    case 'passes': {
      const changed = (caller: number | null, pair: Pair): Observation => ({ ...seen, passes: [...seen.passes, { caller, pair, count: 1 }] });
      const pairs = seen.passes.map((p) => p.pair);
      const crossed = pairs.flatMap(([outer]) => pairs.map(([, inner]): Pair => [outer, inner]));
      const callers = [...new Set(seen.passes.map((p) => p.caller))];
      return [
        ...callers.map((caller) => [`an unknown pass of ${caller ?? 'the tasks'}`, changed(caller, ['original', 'unknown: junk'])] as const),
        ...crossed.filter((pair) => !pairs.some((p) => p.join() === pair.join())).map((pair) => ['a mixed pass', changed(null, pair)] as const),
      ];
    }
    case 'callbacks':
      return [
        ['one callback more', { ...seen, ran: [...seen.ran, 'klp_x klp_y post_patch'] }],
        ...seen.ran.map((one, i) => [`without ${one}`, { ...seen, ran: seen.ran.filter((_text, j) => j !== i) }] as const),
        ...(seen.ran.length > 1 ? [['callbacks in another order', { ...seen, ran: [...seen.ran].reverse() }] as const] : []),
      ];
    case 'references':
      return [
        ['one more', { ...seen, count: seen.count + 1 }],
        ['one fewer', { ...seen, count: seen.count - 1 }],
      ];
    case 'transition-end':
      return [
        [seen.ended ? 'still 1' : 'ended', { ...seen, ended: !seen.ended }],
        ...(saysOfBegin(seen) ? [['no completion in the log', { ...seen, log: seen.log?.slice(0, -1) ?? [] }] as const] : []),
      ];
    case 'reasons': {
      const [first = ''] = seen.lines;
      return [
        ...seen.lines.map((line, i) => [`not said: ${line}`, { ...seen, lines: seen.lines.filter((_text, j) => j !== i) }] as const),
        ...seen.lines.map((line) => [`another reason: ${line}`, { ...seen, lines: [...seen.lines, otherwise(line)] }] as const),
        ...(first === '' ? [] : [['tried once', { ...seen, gaps: [] }] as const, ['tried late', { ...seen, gaps: [30_000] }] as const]),
        ...(first === '' ? [] : [['somebody else is named', { ...seen, lines: [...seen.lines, first.replace(/:\d+ /, ':4242 ')] }] as const]),
      ];
    }
    case 'left-sysfs':
      return [[seen.left ? 'stays' : 'gone', { ...seen, left: !seen.left }]];
    case 'resolved-symbols':
      return seen.symbols.map((one, i) => {
        const address = one.address === one.truth ? 'ffffffffdeadbeef' : one.truth;
        return [`${one.name} otherwise`, { ...seen, symbols: seen.symbols.map((s, j) => (j === i ? { ...s, address } : s)) }];
      });
    case 'ftrace':
      return [
        ['one user more', { ...seen, users: seen.users + 1 }],
        ...(seen.users > 0 ? [['no user', { ...seen, users: 0, flags: '' }] as const] : []),
        ...(seen.flags.includes('I') ? [['no IP-modify flag', { ...seen, flags: seen.flags.replace('I', '') }] as const] : []),
      ];
    case 'probe-hit':
      return [[seen.hit ? 'no hit' : 'a hit', { ...seen, hit: !seen.hit }]];
    case 'traced':
      return [[seen.seen ? 'no trace' : 'a trace', { ...seen, seen: !seen.seen }]];
    case 'taint':
      return [
        [seen.letters ? 'no letter' : 'letter K', { ...seen, letters: seen.letters ? '' : 'K' }],
        [`kernel ${seen.kernel ? 'un' : ''}tainted`, { ...seen, kernel: !seen.kernel }],
      ];
    case 'patches':
      return [
        ['one more', { ...seen, names: [...seen.names, 'klp_ghost'] }],
        ...(seen.names.length > 0 ? [['one fewer', { ...seen, names: seen.names.slice(1) }] as const] : []),
      ];
    case 'shadow-call':
      return wrongCalls(seen);
    case 'left-alone':
      return [
        [seen.moved ? 'stays' : 'leaves', { ...seen, moved: !seen.moved }],
        ['a signal pending', { ...seen, pending: 'SigPnd: 200' }],
        ...(seen.moved ? [['too early', { ...seen, after: 1000 }] as const, ['never said', { ...seen, after: undefined }] as const] : []),
        ...(seen.moved ? [] : [['a signal said', { ...seen, log: [...seen.log, 'livepatch: signaling remaining tasks'] }] as const]),
      ];
    case 'unregister-waits':
      return [[seen.waits ? 'returns' : 'waits', { ...seen, waits: !seen.waits }]];
  }
}

/** Another function, and what nobody is said to sleep on. */
function otherwise(line: string): string {
  return line.replace(/klp_\w+:/, 'klp_other:').replace(/is running/, 'is sleeping on function klp_junk');
}

/** Only of a transition whose begin is in this part of the log its end has to be there. */
function saysOfBegin({ ended, patch, log = [] }: Extract<Observation, { kind: 'transition-end' }>): boolean {
  return ended && log.some((line) => new RegExp(`'${patch}': (un)?patching$`).test(line));
}

function wrongCalls(seen: Extract<Observation, { kind: 'shadow-call' }>): Distorted {
  const { returned, ran } = seen.report;
  const change = (report: Partial<typeof seen.report>): Observation => ({ ...seen, report: { ...seen.report, ...report } });
  const other = returned[0] === 'NULL' ? '0' : 'NULL';
  return [
    ...(returned.length > 0 ? ([[`returned ${other}`, change({ returned: [other, ...returned.slice(1)] })]] as const) : []),
    ...(returned.length > 0 ? ([['other data', change({ returned: [...returned.slice(1), '4711'] })]] as const) : []),
    ['a destructor more', change({ ran: [...ran, 'destructor 4711=0'] })],
    ...ran.flatMap((one, i) => [
      [`without ${one}`, change({ ran: ran.filter((_text, j) => j !== i) })] as const,
      [`${one} twice`, change({ ran: [...ran, one].sort() })] as const,
    ]),
  ];
}

/** A thread that is on another side for a moment, and files that say the opposite, in each stretch. */
function wrongTimelines(seen: Extract<Observation, { kind: 'timeline' }>): Distorted {
  return seen.phases.flatMap(({ begun, what }, i) =>
    seen.tracks.flatMap(({ source, values, gap }, n) => {
      if ('tid' in source && source.tid !== 1) return [];
      const at = begun[1] + (i === 0 ? 6 : 5);
      const place = values.findLastIndex((v) => v.first[0] <= at);
      const now = values[place];
      if (!now) return [];
      const value = now.value === '1' ? '0' : '1';
      const blip: SeenValue = { value, before: [at - 1, at - 1], first: [at, at], last: [at, at] };
      const rest: SeenValue = { ...now, before: [at, at], first: [at + 1, at + 1], last: [Math.max(at + 1, now.last[0]), Math.max(at + 1, now.last[1])] };
      const changed = [...values.slice(0, place), { ...now, last: [at - 1, at - 1] as const }, blip, rest, ...values.slice(place + 1)];
      const tracks = seen.tracks.map((t, m) => (m === n ? { source, values: changed, gap } : t));
      return [[`${'tid' in source ? 'a thread' : source.file} otherwise ${what}`, { ...seen, tracks }] as const];
    }),
  );
}

function wrongThreads(seen: Extract<Observation, { kind: 'threads' }>): Distorted {
  const change = (tid: number, patchState: number): Observation => ({
    ...seen,
    threads: seen.threads.map((t) => (t.tid === tid ? { ...t, patchState } : t)),
  });
  const sleepers = seen.threads.filter((t) => t.tid > 1000);
  const moving = seen.threads.some((t) => t.patchState !== -1);
  const first = seen.threads[0]?.tid ?? 0;
  if (!moving) return [['a thread in transition', change(first, 0)]];
  return [
    ['a thread at rest', change(first, -1)],
    ...(seen.settled ? sleepers : []).map((t) => ['a sleeper on the other side', change(t.tid, 1 - (t.patchState ?? 0))] as const),
  ];
}

function wrongTrees(seen: Extract<Observation, { kind: 'sysfs' }>): Distorted {
  const { entries } = seen;
  const file = (path: string, mode: number, value: string | null): SeenEntry => ({ path, type: 'file', mode, value });
  if (!entries) return [['a directory', { ...seen, entries: [file('enabled', 0o644, '0'), file('transition', 0o444, '0')] }]];
  const replaced = (path: string, by: (e: SeenEntry) => SeenEntry): Observation => ({
    ...seen,
    entries: entries.map((e) => (e.path === path ? by(e) : e)),
  });
  const flipped = (e: SeenEntry): SeenEntry => ({ ...e, value: e.value === '1' ? '0' : '1' });
  const directories = entries.filter((e) => e.type === 'directory');
  const last = directories.at(-1);
  return [
    ['no directory', { ...seen, entries: null }],
    ['enabled the other way round', replaced('enabled', flipped)],
    ['transition the other way round', replaced('transition', flipped)],
    ...entries.filter((e) => /^(replace|stack_order|[^/]+\/patched)$/.test(e.path)).map((e) => [`another ${e.path}`, replaced(e.path, (f) => ({ ...f, value: '7' }))] as const),
    ['another mode', replaced('enabled', (e) => ({ ...e, mode: 0o666 }))],
    ['a file more', { ...seen, entries: [...entries, file('junk', 0o444, null)] }],
    ...(last
      ? ([
          ['a directory fewer', { ...seen, entries: entries.filter((e) => e !== last) }],
          ['a file in a function', { ...seen, entries: [...entries, file(`${last.path}/${last.path.includes('/') ? '' : 'f/'}junk`, 0o444, null)] }],
        ] as const)
      : []),
    ...directories.filter((e) => !e.path.includes('/')).slice(0, 1).map((o) => ['no object', { ...seen, entries: entries.filter((e) => e !== o) }] as const),
  ];
}
