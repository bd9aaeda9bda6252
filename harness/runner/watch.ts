// SPDX-License-Identifier: MIT
import { type Span, type Timeline, type Track, must } from '../guest/guest.js';
import type { LivepatchDescription } from '../model/description.js';
import type { Phase, SeenTrack, SeenValue, Stretch } from '../model/observations/timeline.js';
import { SituationError } from '../model/reference.js';
import type { State } from '../model/state.js';
import { timelineSamples } from './samples.js';
import type { Watch } from './scenario.js';
import type { DoneOperation, SessionRecord } from './session-record.js';

/** Files of a patch's directory that are followed. */
export const followed = ['enabled', 'transition'] as const;

/** Sweeps without which a timeline shows nothing. */
const fewestSweeps = 5;

/** Follows patch_state of every thread and the files of some patches while the scenario goes on. */
export async function watch(record: SessionRecord, patches: readonly LivepatchDescription[]): Promise<Watch> {
  const { guest, model } = record;
  record.doing = 'beginning a timeline';
  const files = patches.flatMap((p) => followed.map((file) => ({ patch: p.name, file })));
  const begun = (await guest.readText('/proc/uptime')).span.begin;
  const recording = await guest.startTimeline({
    files: files.map(({ patch, file }) => `/sys/kernel/livepatch/${patch}/${file}`),
    sweepEveryMilliseconds: 50,
    bytes: 4 << 20,
  });
  const first = model.states;
  const operations: DoneOperation[] = [];
  const note = (done: DoneOperation): void => void operations.push(done);
  record.onOperation.add(note);
  return {
    end: async () => {
      record.doing = 'ending a timeline';
      record.onOperation.delete(note);
      const timeline = await recording.stop();
      const uptime = await guest.readText('/proc/uptime');
      must(uptime, '/proc/uptime');
      requireWhole(timeline);
      const clock = (t: bigint): number => Number(t - begun);
      const phases = phasesOf(first, operations, begun, uptime.span.end, clock);
      const tracks = [
        ...timeline.tracks.flatMap((track, i) => (files[i] ? [{ source: files[i], ...seenOf(track, clock) }] : [])),
        ...timeline.sweeps.threads.flatMap((track): readonly SeenTrack[] =>
          track.source.kind === 'thread' ? [{ source: { tid: track.source.tid }, ...seenOf(track, clock) }] : [],
        ),
      ];
      const seen = `${timeline.sweeps.threads.length} threads in ${timeline.sweeps.spans.length} sweeps, over ${operations.length} operations`;
      const span = { begin: begun, end: uptime.span.end };
      record.witness('timeline', [seen, `longest time between two sweeps ${milliseconds(timeline.sweeps.longestGap)} ms`], span);
      record.observe('timeline', seen, span, { kind: 'timeline', phases, tracks }, timelineSamples(tracks));
    },
  };
}

const milliseconds = (ns: bigint): number => Number(ns / 1_000_000n);

function requireWhole({ running, dropped, sweeps }: Timeline): void {
  if (!running) throw new SituationError('something has ended the sampler: its timeline has no end');
  if (dropped > 0) throw new SituationError(`${dropped} changes were seen for which the sampler had no room`);
  if (sweeps.spans.length < fewestSweeps) throw new SituationError(`${sweeps.spans.length} sweeps are no timeline`);
}

/** The operations of a timeline, as the stretches between them. */
export function phasesOf(
  first: readonly State[],
  operations: readonly DoneOperation[],
  begin: bigint,
  end: bigint,
  clock: (time: bigint) => number,
): readonly Phase[] {
  const stretch = (span: Span): Stretch => [clock(span.begin), clock(span.end)];
  const all: readonly DoneOperation[] = [{ what: 'at the beginning', span: { begin, end: begin }, states: first, begins: false }, ...operations];
  return all.map(({ span, what, ...phase }, i) => {
    const next = all[i + 1]?.span ?? { begin: end, end };
    return { ...phase, begun: stretch(span), ended: stretch(next), what: i === 0 ? what : `after: ${what}` };
  });
}

function seenOf({ changes, held, longestGap }: Track, clock: (time: bigint) => number): Omit<SeenTrack, 'source'> {
  const stretch = ({ begin, end }: Span): Stretch => [clock(begin), clock(end)];
  const values = changes.map(({ value, before, span }, i): SeenValue => ({
    value: value.errno === 0 ? value.text : value.name,
    before: before ? stretch(before) : null,
    first: stretch(span),
    last: stretch(changes[i + 1]?.before ?? (changes[i + 1] ? span : held) ?? span),
  }));
  return { values, gap: Number(longestGap) };
}
