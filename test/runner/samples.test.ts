// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import t from 'tap';
import type { SeenTrack } from '../../harness/model/observations/timeline.js';
import { fileSamples, sweepSamples, timelineSamples } from '../../harness/runner/samples.js';

void t.test('a sweep: threads of one patch_state together, kernel threads in brackets', (t) => {
  const thread = (tid: number, comm: string, kernel: boolean, patchState: number | null) => ({ tid, comm, kernel, patchState });
  const seen = [thread(1, 'init', false, 1), thread(2, 'kthreadd', true, 1), thread(9, 'sh', false, 0), thread(10, 'x', false, null)];
  t.same(sweepSamples(seen, 4.5), {
    tracks: [
      { kind: 'threads', of: ['1 init', '2 [kthreadd]'], values: [{ value: '1', from: 0, to: 4.5 }] },
      { kind: 'threads', of: ['9 sh'], values: [{ value: '0', from: 0, to: 4.5 }] },
      { kind: 'threads', of: ['10 x'], values: [{ value: 'gone', from: 0, to: 4.5 }] },
    ],
    left: 0,
  });
  t.same(fileSamples([{ path: '/f', value: '1' }], 2, 3).tracks, [{ kind: 'file', of: ['/f'], values: [{ value: '1', from: 2, to: 3 }] }]);
  t.end();
});

/** A track with some values, each read for a millisecond. */
function track(source: SeenTrack['source'], values: readonly string[], since = 0): SeenTrack {
  const at = (i: number): readonly [number, number] => [(since + i) * 1_000_000, (since + i + 1) * 1_000_000];
  return { source, gap: 0, values: values.map((value, i) => ({ value, before: null, first: at(i), last: at(i) })) };
}

void t.test('a recording: files first, then whoever went another way than most', (t) => {
  const most = Array.from({ length: 500 }, (_, i) => track({ tid: i + 100 }, ['-1', '0', '1'], i));
  const samples = timelineSamples([...most, track({ tid: 7 }, ['-1', '0']), track({ patch: 'p', file: 'transition' }, ['0', '1'])]);
  t.same(samples.tracks.slice(0, 2).map((each) => each.of), [['/sys/kernel/livepatch/p/transition'], ['7']]);
  t.same(samples.tracks[1]?.values, [{ value: '-1', from: 0, to: 1 }, { value: '0', from: 1, to: 2 }]);
  t.equal(samples.tracks.length + samples.left, 502);
  t.end();
});

void t.test('every track is in an event, or counted', (t) => {
  const tracks = fc.array(fc.array(fc.constantFrom('-1', '0', '1'), { maxLength: 60 }), { maxLength: 120 });
  fc.assert(
    fc.property(tracks, (all) => {
      const { tracks: kept, left } = timelineSamples(all.map((values, tid) => track({ tid }, values)));
      const values = kept.reduce((sum, each) => sum + each.values.length, 0);
      return kept.reduce((sum, each) => sum + each.of.length, 0) + left === all.filter((v) => v.length > 0).length && kept.length <= 60 && values <= 2000;
    }),
  );
  t.end();
});
