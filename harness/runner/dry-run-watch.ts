// SPDX-License-Identifier: MIT
import type { LivepatchDescription } from '../model/description.js';
import type { SeenTrack, SeenValue, Stretch } from '../model/observations/timeline.js';
import type { DryRecord } from './dry-run-record.js';
import * as sights from './dry-run-sights.js';
import type { Watch } from './scenario.js';
import type { DoneOperation } from './session-record.js';
import { followed, phasesOf } from './watch.js';

/** From one operation to the next, in the time of a dry run. */
const interval = 10n;

/** A timeline in a dry run: a look at all threads after each operation, when the kernel has come to rest. */
export function dryWatch(record: DryRecord, patches: readonly LivepatchDescription[]): Watch {
  const { kernel, model } = record;
  const first = model.states;
  const operations: DoneOperation[] = [];
  const tracks = new Map<string, { readonly source: SeenTrack['source']; readonly values: SeenValue[]; readonly gap: number }>();
  let now = 0n;
  const see = (source: SeenTrack['source'], value: string): void => {
    const key = JSON.stringify(source);
    const track = tracks.get(key) ?? { source, values: [], gap: 0 };
    tracks.set(key, track);
    const at: Stretch = [Number(now) + 5, Number(now) + 5];
    const before = track.values.at(-1);
    if (before?.value === value) track.values.splice(-1, 1, { ...before, last: at });
    else track.values.push({ value, before: before?.last ?? null, first: at, last: at });
  };
  const look = (): void => {
    const { state, facts } = kernel;
    for (const { tid, patchState } of sights.threads(state, facts)) see({ tid }, String(patchState));
    for (const { name: patch } of patches) {
      const entries = sights.sysfs(state, patch, facts);
      for (const file of followed) see({ patch, file }, entries?.find((e) => e.path === file)?.value ?? 'ENOENT');
    }
  };
  const note = (what: string, begins: boolean): void => {
    now += interval;
    operations.push({ what, span: { begin: now, end: now + 1n }, states: model.states, begins });
    look();
  };
  look();
  record.onOperation.add(note);
  return {
    end: () => {
      record.onOperation.delete(note);
      const phases = phasesOf(first, operations, 0n, now + interval, Number);
      record.observe('timeline', { kind: 'timeline', phases, tracks: [...tracks.values()] });
      return Promise.resolve();
    },
  };
}
