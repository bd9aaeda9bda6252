// SPDX-License-Identifier: MIT
import type { EventOf, KlpEvent } from '../events/schema.js';

/**
 * Of a journal that holds several parts of a run, what counts: as one run without a break would have left it. Left out are
 * the end of each part but the last, what was under way at it, results that were superseded, and what says so. A journal of
 * one part is returned as it is.
 *
 * @param events of a whole journal, in order
 */
export function settled(events: readonly KlpEvent[]): readonly KlpEvent[] {
  if (!events.some((e) => e.type === 'run.resumed')) return events;
  let kept: KlpEvent[] = [];
  for (const event of events) {
    if (event.type === 'run.resumed') {
      const done = new Set(kept.flatMap((e) => (e.type === 'scenario.finished' ? [execution(e)] : [])));
      kept = kept.filter((e) => e.type !== 'run.finished' && (!('scenario' in e) || done.has(execution(e))));
    } else if (event.type === 'kernel.resumed') {
      kept = without(kept, event);
    } else {
      // It is there now, whatever an earlier part had to say.
      if (event.type === 'kernel.acquired') kept = kept.filter((e) => e.type !== 'kernel.failed' || e.kernel !== event.kernel);
      kept.push(event);
    }
  }
  return kept;
}

/** What a kernel's earlier results leave once some are superseded: with them go the kernel's clauses. */
function without(events: readonly KlpEvent[], { kernel, superseded }: EventOf<'kernel.resumed'>): KlpEvent[] {
  const gone = new Set(superseded.map(({ scenario }) => execution({ kernel, scenario })));
  return events.filter((e) => {
    if ('scenario' in e) return !gone.has(execution(e));
    return gone.size === 0 || e.type !== 'clause.judged' || e.kernel !== kernel;
  });
}

/** Key of one scenario on one kernel. NUL stands in neither name. */
export function execution({ kernel, scenario }: { readonly kernel: string; readonly scenario: string }): string {
  return `${kernel}\0${scenario}`;
}
