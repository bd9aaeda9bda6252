// SPDX-License-Identifier: MIT
import { type Guest, type Recording, type Timeline, type Track, must } from '../guest/guest.js';
import type { TrialTransition } from '../report/trial-schema.js';

/** Follows a transition: the patch's files, and patch_state of every thread. */
export class TransitionWatch {
  private constructor(
    private readonly guest: Guest,
    private readonly patch: string,
    private readonly recording: Recording,
  ) {}

  /** @param patch whose files are followed; they need not be there yet */
  static async start(guest: Guest, patch: string): Promise<TransitionWatch> {
    const files = [`/sys/kernel/livepatch/${patch}/transition`];
    return new TransitionWatch(guest, patch, await guest.startTimeline({ files, sweepEveryMilliseconds: 20, bytes: 4 << 20 }));
  }

  /** Ends it; nobody wants to know what it saw. */
  async cancel(): Promise<void> {
    await this.recording.stop();
  }

  /**
   * Ends it.
   * @param since when the operation began that began the transition, in the guest's time
   */
  async stop(since: bigint, what: string, to: TrialTransition['to']): Promise<TrialTransition> {
    const names = must(await this.guest.sweep(), 'sweep').map((t) => [t.tid, t.comm] as const);
    return transitionSeen(await this.recording.stop(), new Map(names), { patch: this.patch, since, what, to });
  }
}

/**
 * What a timeline shows of one transition.
 * @param names comm of threads, as far as they are known
 */
export function transitionSeen(
  timeline: Pick<Timeline, 'tracks' | 'sweeps'>,
  names: ReadonlyMap<number, string>,
  { patch, since, what, to }: { readonly patch: string; readonly since: bigint; readonly what: string; readonly to: TrialTransition['to'] },
): TrialTransition {
  const ms = (time: bigint): number => Math.round(Number(time - since) / 1e6);
  const [file] = timeline.tracks;
  const began = file?.changes.findIndex((c) => c.value.text === '1') ?? -1;
  const end = file?.changes.slice(began + 1).find((c) => c.value.text !== '1');
  const threads = timeline.sweeps.threads.flatMap((track) => {
    const switched = switchedAt(track, to);
    if (track.source.kind !== 'thread' || switched === undefined) return [];
    const { tid, pid = tid } = track.source;
    return [{ pid, tid, comm: names.get(tid) ?? '?', switched: switched === null ? null : ms(switched) }];
  });
  return { what, patch, to, ended: began >= 0 && end ? ms(end.span.end) : null, threads, gap: Number(timeline.sweeps.longestGap / 1_000_000n) };
}

/** When a thread was first seen on the new side after it was seen on the old one; null: never; undefined: it was never seen on the old one. */
function switchedAt({ changes }: Track, to: TrialTransition['to']): bigint | null | undefined {
  const old = to === 'patched' ? '0' : '1';
  const at = changes.findLastIndex((c) => c.value.errno === 0 && c.value.text === old);
  if (at < 0) return undefined;
  const next = changes[at + 1];
  return next?.value.errno === 0 ? next.span.end : null;
}
