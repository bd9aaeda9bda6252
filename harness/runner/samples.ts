// SPDX-License-Identifier: MIT
import type { Payload } from '../events/schema.js';
import type { SeenThread } from '../model/observations/index.js';
import type { SeenTrack } from '../model/observations/timeline.js';

export type Samples = NonNullable<Payload<'observation'>['samples']>;
type Track = Samples['tracks'][number];

/** A storm of forks leaves thousands of threads: so many different histories, and values, an event holds. */
const most = { tracks: 60, values: 2000 };

/** As `ps` writes it: kernel threads in brackets. */
function threadName({ tid, comm, kernel }: SeenThread): string {
  return kernel ? `${tid} [${comm}]` : `${tid} ${comm}`;
}

/**
 * One sweep over all threads, those of one patch_state together.
 * @param milliseconds how long it took: each thread was read at some moment of it
 */
export function sweepSamples(threads: readonly SeenThread[], milliseconds: number): Samples {
  const states = [...new Set(threads.map((t) => t.patchState))];
  const tracks = states.map((state): Track => {
    const of = threads.filter((t) => t.patchState === state).map(threadName);
    return { kind: 'threads', of, values: [{ value: state === null ? 'gone' : String(state), from: 0, to: milliseconds }] };
  });
  return { tracks, left: 0 };
}

/** Files that were read once, at some moment between `from` and `to` milliseconds. */
export function fileSamples(files: readonly { readonly path: string; readonly value: string }[], from: number, to: number): Samples {
  const tracks = files.map(({ path, value }): Track => ({ kind: 'file', of: [path], values: [{ value, from, to }] }));
  return { tracks, left: 0 };
}

/**
 * What a timeline recorded: files first, then threads, those that went the same way together. Threads whose values came in an order
 * that few others had are in before the others. What is too much for an event is counted in `left`.
 */
export function timelineSamples(seen: readonly SeenTrack[]): Samples {
  const files: Track[] = [];
  const threads = new Map<string, Track>();
  for (const { source, values: all } of seen) {
    const values = all.map(({ value, first, last }) => ({ value, from: inMilliseconds(first[0]), to: inMilliseconds(last[1]) }));
    if (values.length === 0) continue;
    if (!('tid' in source)) {
      files.push({ kind: 'file', of: [`/sys/kernel/livepatch/${source.patch}/${source.file}`], values });
      continue;
    }
    const key = JSON.stringify(values);
    const same = threads.get(key);
    if (same) same.of.push(String(source.tid));
    else threads.set(key, { kind: 'threads', of: [String(source.tid)], values });
  }
  const orderOf = ({ values }: Track): string => values.map((v) => v.value).join();
  const common = new Map<string, number>();
  for (const track of threads.values()) common.set(orderOf(track), (common.get(orderOf(track)) ?? 0) + track.of.length);
  const rareFirst = [...threads.values()].sort((a, b) => (common.get(orderOf(a)) ?? 0) - (common.get(orderOf(b)) ?? 0));
  const tracks: Track[] = [];
  let room = most.values;
  for (const track of [...files, ...rareFirst]) {
    if (tracks.length >= most.tracks || track.values.length > room) continue;
    room -= track.values.length;
    tracks.push(track);
  }
  const kept = tracks.reduce((sum, track) => sum + track.of.length, 0);
  return { tracks, left: seen.filter((s) => s.values.length > 0).length - kept };
}

const inMilliseconds = (nanoseconds: number): number => Math.round(nanoseconds / 1000) / 1000;
