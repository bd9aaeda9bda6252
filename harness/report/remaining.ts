// SPDX-License-Identifier: MIT
import type { EventOf, KlpEvent } from '../events/schema.js';
import type { Collector } from './collect.js';

/** How long the rest of a run takes, by what earlier runs took for the same scenarios on the same kernels. */
export class Remaining {
  /** Milliseconds by scenario, by kernel. */
  readonly #recorded = new Map<string, ReadonlyMap<string, number>>();
  #guests = 1;

  add(event: KlpEvent, { running }: Collector): void {
    if (event.type === 'kernel.estimated') this.#recorded.set(event.kernel, new Map(Object.entries(event.milliseconds)));
    if (event.type === 'run.started' || event.type === 'run.resumed') this.#guests = asked(event);
    // With `auto` their number shows once they work.
    this.#guests = Math.max(this.#guests, running.length);
  }

  /**
   * Boots and modules are not counted. A scenario of which nothing is recorded counts as the mean of those that are, on its
   * kernel or at all.
   *
   * @param mono as in the events, in milliseconds
   * @returns milliseconds; undefined while nothing at all is recorded
   */
  at(mono: number, collector: Collector): number | undefined {
    const overall = mean([...this.#recorded.values()].flatMap((by) => [...by.values()]));
    if (overall === undefined) return undefined;
    const begun = new Map(collector.running.map((r) => [`${r.kernel}\0${r.scenario}`, r.since]));
    const means = new Map([...this.#recorded].map(([kernel, by]) => [kernel, mean([...by.values()]) ?? overall]));
    let [sum, longest] = [0, 0];
    for (const { kernel, scenario } of collector.left) {
      const whole = this.#recorded.get(kernel)?.get(scenario) ?? means.get(kernel) ?? overall;
      const since = begun.get(`${kernel}\0${scenario}`);
      const rest = since === undefined ? whole : Math.max(0, whole - (mono - since));
      sum += rest;
      longest = Math.max(longest, rest);
    }
    return Math.max(longest, sum / this.#guests);
  }
}

function asked({ jobs }: EventOf<'run.started'> | EventOf<'run.resumed'>): number {
  return typeof jobs === 'number' ? jobs : 1;
}

function mean(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, v) => sum + v, 0) / values.length;
}
