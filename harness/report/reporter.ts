// SPDX-License-Identifier: MIT
import type { KlpEvent } from '../events/schema.js';

/**
 * A pure consumer of the event stream: it gets every event once, in order, and returns the text to append.
 */
export interface Reporter {
  /** Text this event adds, or '' . */
  event(event: KlpEvent): string;
  /**
   * In place of {@link event}, for what an earlier part of a resumed run has brought: it counts, but is no news, and some
   * of it may be superseded later on.
   */
  past?(event: KlpEvent): void;
  /** Text to add when time has passed without an event; `mono` as in the events, in milliseconds. */
  tick?(mono: number): string;
  /** Text that takes away what is shown for the moment, for whoever writes to the same place; nothing of it comes until {@link show}. */
  hide?(): string;
  show?(): void;
  /** What stands at the end, after the last event. */
  end(): string;
}

/** What a reporter may know of the place its text goes to. */
export interface Display {
  readonly colour: boolean;
  /** A terminal whose last lines can be rewritten. */
  readonly live: boolean;
  /** As they are when they are asked for: a terminal may be resized. */
  readonly columns: number;
  readonly rows?: number;
  /** Failures and the summary only. */
  readonly quiet?: boolean;
}
