// SPDX-License-Identifier: MIT
import type { Guest } from '../guest/guest.js';

/** Something that was done with the guest. */
export interface Doing {
  readonly what: string;
  /** Milliseconds of performance.now(), as on the console. */
  readonly begin: number;
}

interface Step extends Doing {
  end: number | undefined;
  failed: boolean;
}

/**
 * What was done with a guest, and when: so that what comes out of the blue can be put down to an operation. Steps may
 * overlap where a scenario does several things at once.
 */
export class Activity {
  readonly #steps: Step[] = [];
  /** The step without an end of its own: the next one ends it. */
  #open: Step | undefined;

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Begins a step that lasts until the next begins. */
  step(what: string): void {
    this.#open = this.#begin(what);
  }

  /** A step that lasts as long as the promise; one that fails lasts until the next step begins. */
  async during<T>(what: string, work: () => Promise<T>): Promise<T> {
    const step = this.#begin(what);
    try {
      const result = await work();
      step.end = this.now();
      return result;
    } catch (error) {
      step.failed = true;
      throw error;
    }
  }

  /** What is being done; what failed where something has. */
  get current(): Doing {
    const open = this.#steps.filter((s) => s.end === undefined);
    const step = open.find((s) => s.failed) ?? open.at(-1) ?? this.#steps.at(-1);
    return step ?? { what: 'nothing yet', begin: this.now() };
  }

  /**
   * What was under way at a time, the last begun where there were several. Between two steps the one before: the guest's
   * words take their time to come.
   * @returns undefined before the first step
   */
  at(time: number): Doing | undefined {
    const begun = this.#steps.filter((s) => s.begin <= time);
    const underWay = begun.findLast((s) => s.end === undefined || s.end >= time);
    return underWay ?? begun.toSorted((a, b) => (a.end ?? 0) - (b.end ?? 0)).at(-1);
  }

  #begin(what: string): Step {
    const now = this.now();
    if (this.#open) this.#open.end ??= now;
    this.#open = undefined;
    for (const step of this.#steps) if (step.failed) step.end ??= now;
    const step: Step = { what, begin: now, end: undefined, failed: false };
    this.#steps.push(step);
    return step;
  }
}

/** A guest whose calls are steps: what a scenario does past the session is known by name as well. */
export function narrated(guest: Guest, activity: Activity): Guest {
  return new Proxy(guest, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        const result: unknown = Reflect.apply(value as () => unknown, target, args);
        return result instanceof Promise ? activity.during(callText(String(key), args), () => result) : result;
      };
    },
  });
}

/** `write /proc/sysrq-trigger`, `run kill -9 12`. */
function callText(method: string, args: readonly unknown[]): string {
  const [first] = args;
  if (typeof first === 'number') return `${method} ${first}`;
  if (typeof first !== 'string') return method;
  return `${method} ${first.length > 80 ? `${first.slice(0, 77)}...` : first}`;
}
