// SPDX-License-Identifier: MIT
import { deepStrictEqual, ok } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { segments } from '../../harness/guest/guest.js';
import type { Span } from '../../harness/guest/guest.js';
import { Recorder } from '../../harness/guest/recorder.js';
import type { ChangeRecord, Readings, SamplePage, SampleRecord } from '../../harness/guest/samples.js';
import { TimelineBuilder } from '../../harness/guest/timeline.js';
import { anySamplePage } from './arbitraries.js';

const never: Span = { begin: 0n, end: 0n };
const nothing: Readings = { readings: 0n, longestGap: 0n, last: never, held: never, lost: 0, dropped: 0 };

interface World {
  /** When the value changes; it is 0, 1, 2, … */
  readonly changes: readonly number[];
  /** Readings: begin, moment at which the value is taken, end. */
  readonly readings: readonly (readonly [number, number, number])[];
}

/** Readings one after the other, and changes that are further apart than the longest gap between two of them. */
const world: fc.Arbitrary<World> = fc
  .array(fc.tuple(fc.nat(5), fc.nat(9), fc.nat(9)), { minLength: 2, maxLength: 60 })
  .chain((steps) => {
    let now = 1;
    const readings = steps.map(([pause, before, after]) => {
      const begin = now + pause;
      now = begin + before + after + 1;
      return [begin, begin + before, now] as const;
    });
    return fc.array(fc.integer({ min: 50, max: 200 }), { maxLength: 10 }).map((apart) => {
      let at = 0;
      return { readings, changes: apart.map((distance) => (at += distance)) };
    });
  });

/** What a sampler that has room for some records only would give; `room` is whether there is, reading by reading. */
function sample({ changes, readings }: World, room: (i: number) => boolean): SamplePage {
  const records: ChangeRecord[] = [];
  let [counted, value] = [nothing, -1];
  for (const [i, [from, moment, to]] of readings.entries()) {
    const span = { begin: BigInt(from), end: BigInt(to) };
    const seen = changes.filter((change) => change <= moment).length;
    const gap = counted.readings > 0n ? span.end - counted.last.begin : 0n;
    const longestGap = gap > counted.longestGap ? gap : counted.longestGap;
    counted = { ...counted, readings: counted.readings + 1n, last: span, longestGap };
    const isNew = seen !== value;
    value = seen;
    if (!isNew && counted.lost === 0) counted = { ...counted, held: span };
    else if (room(i)) {
      const before = records.length > 0 ? counted.held : undefined;
      records.push({ kind: 'change', source: 0, lost: counted.lost, errno: 0, content: Buffer.from(String(seen)), before, span });
      counted = { ...counted, held: span, lost: 0 };
    } else if (isNew) counted = { ...counted, lost: counted.lost + 1, dropped: counted.dropped + 1 };
  }
  return { running: true, next: 0n, sweeps: nothing, sources: [counted], records };
}

void t.test('what is certain is true, and what is true is possible', (t) => {
  const property = fc.property(world, fc.array(fc.boolean(), { minLength: 60, maxLength: 60 }), fc.boolean(), (world, rooms, tight) => {
    const builder = new TimelineBuilder([{ kind: 'file', path: 'x' }]);
    builder.add(sample(world, (i) => !tight || rooms[i] === true));
    const timeline = builder.timeline();
    const [track] = timeline.tracks;
    if (!track) throw new Error('no track');
    for (const { value, certain, possible } of segments(track)) {
      const begin = BigInt(world.changes[Number(value.text) - 1] ?? 0);
      const end = world.changes[Number(value.text)];
      if (certain) ok(begin <= certain.begin && (end === undefined || certain.end <= BigInt(end)), 'certain');
      ok(possible.begin === undefined || possible.begin <= begin, 'possible from');
      ok(possible.end === undefined || (end !== undefined && BigInt(end) <= possible.end), 'possible until');
    }
    const recorded = track.changes.length;
    deepStrictEqual(timeline.dropped, track.dropped);
    if (!tight) {
      const seen = new Set(world.readings.map(([, moment]) => world.changes.filter((change) => change <= moment).length));
      deepStrictEqual([recorded, track.dropped], [seen.size, 0]);
    }
  });
  fc.assert(property, { numRuns: 500 });
  t.end();
});

void t.test('pages put together are one timeline, wherever they were cut', (t) => {
  fc.assert(
    fc.property(anySamplePage, fc.array(fc.nat()), (page, places) => {
      const sources = page.sources.map((_, i) => ({ kind: 'file', path: String(i) }) as const);
      const whole = new TimelineBuilder(sources);
      whole.add(page);
      const parts = new TimelineBuilder(sources);
      const cuts = [...places.map((place) => place % (page.records.length + 1)), page.records.length].sort((a, b) => a - b);
      for (const [i, cut] of cuts.entries()) parts.add({ ...page, records: page.records.slice(cuts[i - 1] ?? 0, cut) });
      deepStrictEqual(parts.timeline(), whole.timeline());
    }),
  );
  t.end();
});

void t.test('a thread that comes under the number of a gone one is another track', (t) => {
  const seen = (errno: number, value: number, at: bigint) => ({ pid: 7, tid: 7, errno, value, span: { begin: at, end: at + 1n } });
  const records: SampleRecord[] = [
    { kind: 'sweep', lost: 0, span: { begin: 10n, end: 19n }, threads: 1, changes: [seen(0, -1, 12n)] },
    { kind: 'sweep', lost: 0, span: { begin: 20n, end: 29n }, threads: 1, changes: [] },
    { kind: 'sweep', lost: 2, span: { begin: 30n, end: 39n }, threads: 1, changes: [seen(3, 0, 30n), seen(0, 1, 33n)] },
  ];
  const builder = new TimelineBuilder([]);
  builder.add({ running: true, next: 0n, sweeps: { ...nothing, dropped: 2 }, sources: [], records });
  const { sweeps, dropped } = builder.timeline();
  t.equal(dropped, 2);
  t.strictSame(
    sweeps.threads.map(({ changes }) => changes.map(({ value }) => value.text || value.name)),
    [['-1', 'ESRCH'], ['1']],
  );
  const before = { begin: 20n, end: 29n };
  t.match(sweeps.threads[0]?.changes[1], { before, lost: 2 });
  t.match(sweeps.threads[1]?.changes[0], { before });
  t.match(sweeps.threads[1], { readings: 1, held: { begin: 30n, end: 39n } });
  const [first] = sweeps.threads;
  t.match(first && segments(first)[0], { certain: { begin: 13n, end: 20n }, possible: { begin: undefined, end: 31n } });
  t.end();
});

void t.test('readers that overlap get everything once; after the end nothing is asked any more', async (t) => {
  const asked: bigint[] = [];
  const recorder = new Recorder(1, [{ kind: 'file', path: 'x' }], async ({ from, end }) => {
    asked.push(from);
    await Promise.resolve();
    if (from === 2n && asked.length === 3) throw new Error('no answer');
    const span = { begin: from + 1n, end: from + 2n };
    const change = { kind: 'change', source: 0, lost: 0, errno: 0, content: Buffer.from('1\n'), before: undefined, span } as const;
    return { running: !end, next: from + 1n, sweeps: nothing, sources: [nothing], records: [change] };
  });
  const all = await Promise.allSettled([recorder.read(), recorder.read(), recorder.read(), recorder.stop(), recorder.stop()]);
  t.strictSame(asked, [0n, 1n, 2n, 2n], 'one that failed is asked for again');
  t.strictSame(
    all.map((one) => (one.status === 'fulfilled' ? one.value.tracks[0]?.changes.length : 'failed')),
    [1, 2, 'failed', 3, 3],
  );
});
