// SPDX-License-Identifier: MIT
import type { KlpEvent } from '../events/schema.js';

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
    switch (event.type) {
      case 'run.resumed': {
        const done = new Set(kept.flatMap((e) => (e.type === 'scenario.finished' ? [execution(e)] : [])));
        kept = kept.filter((e) => e.type !== 'run.finished' && (!('scenario' in e) || done.has(execution(e))));
        break;
      }
      case 'kernel.resumed': {
        const { kernel, superseded } = event;
        const gone = new Set(superseded.map(({ scenario }) => execution({ kernel, scenario })));
        if (gone.size === 0) break;
        kept = kept.filter((e) => {
          if ('scenario' in e) return !gone.has(execution(e));
          return e.type !== 'clause.judged' || e.kernel !== kernel;
        });
        break;
      }
      case 'kernel.acquired':
        // It is there now, whatever an earlier part had to say.
        kept = kept.filter((e) => e.type !== 'kernel.failed' || e.kernel !== event.kernel);
        kept.push(event);
        break;
      default:
        kept.push(event);
    }
  }
  return kept;
}

/** Key of one scenario on one kernel. NUL stands in neither name. */
export function execution({ kernel, scenario }: { readonly kernel: string; readonly scenario: string }): string {
  return `${kernel}\0${scenario}`;
}
