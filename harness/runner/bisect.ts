// SPDX-License-Identifier: MIT
import type { EventOf, KlpEvent } from '../events/schema.js';

/**
 * What `git bisect run` makes of a status (git-bisect(1)): 0 is good, 125 can't be tested, any other up to 127 is bad, and
 * from 128 on the bisection stops. So a status of klp's own that means "not the kernel" must not come out as it is.
 */
export const Bisect = { good: 0, bad: 1, skip: 125, abort: 128 } as const;

/** A status, and why, for a person. */
export interface BisectStep {
  readonly status: number;
  readonly why: string;
}

/** A status of klp's that says nothing about the kernel. */
export function aborted(status: number, why: string): BisectStep {
  return { status: status >= Bisect.abort ? status : Bisect.abort + status, why };
}

/**
 * What one run of klp says of the revision it ran on.
 *
 * - bad: a scenario failed, or the kernel crashed or hung in one;
 * - skip: the kernel does not boot, modules can't be built for it, or the question could not be asked (n/a, or the situation
 *   was not reached): the fault looked for may or may not be there;
 * - abort: QEMU, the host or the words are to blame. It would be the same on the next revision.
 *
 * @param status exit status of `klp run`; null when it was killed
 * @param events of its journal; none where it did not come so far
 */
export function bisectStep(status: number | null, events: readonly KlpEvent[]): BisectStep {
  if (status === null) return aborted(3, 'klp run was killed');
  if (status > 3 || status === 2) return aborted(status, status === 130 ? 'interrupted' : `klp run ended with status ${status}`);
  if (events.at(-1)?.type !== 'run.finished') return aborted(3, 'klp run did not finish');
  if (status === 1) return { status: Bisect.bad, why: 'a scenario failed' };
  const errors = events.filter((e) => e.type === 'scenario.finished').filter((e) => e.verdict === 'error' && e.expected === undefined);
  const crash = errors.find((e) => onGuest(events, e) && e.failure !== undefined && !['assertion', 'infrastructure'].includes(e.failure.kind));
  if (crash) return { status: Bisect.bad, why: `${crash.scenario}: ${crash.failure?.message ?? ''}` };
  const failed = events.find((e) => e.type === 'kernel.failed');
  if (failed?.failure.kind === 'infrastructure') return aborted(3, failed.failure.message);
  if (failed) return { status: Bisect.skip, why: `the kernel does not boot: ${failed.failure.message}` };
  const host = errors.find((e) => onGuest(events, e) && e.failure?.kind === 'infrastructure');
  if (host) return aborted(3, host.failure?.message ?? '');
  if (status === 0) return { status: Bisect.good, why: 'all as it should be' };
  const [first] = errors;
  if (first) return { status: Bisect.skip, why: `${first.scenario}: ${first.reason ?? first.failure?.message ?? 'error'}` };
  return { status: Bisect.skip, why: 'nothing could be judged on this kernel' };
}

/** Whether a scenario got as far as a guest: without one its modules could not be built, or there is no guest at all. */
function onGuest(events: readonly KlpEvent[], of: EventOf<'scenario.finished'>): boolean {
  const last = events.findLast((e) => e.type === 'scenario.started' && e.kernel === of.kernel && e.scenario === of.scenario && e.seq < of.seq);
  return last?.type === 'scenario.started' && last.guest !== undefined;
}
