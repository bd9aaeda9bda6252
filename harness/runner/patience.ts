// SPDX-License-Identifier: MIT
import { SituationError } from '../model/reference.js';

/** A guest that was without a CPU for a smaller part of the time than this had its time. */
const part = 1 / 4;
/** Times as long as was meant to be waited, at most. */
const most = 6;

/**
 * How long a kernel has for something. Its clock goes on while the host has no CPU for it, so that it gets as much more time as
 * it was kept waiting; a host that goes on like that is what nobody can judge a kernel on.
 */
export class Patience {
  private begin = 0;
  private waited = 0;
  private granted = 0;

  /**
   * @param milliseconds that the kernel has
   * @param hostWait     milliseconds that the guest has waited for CPUs of the host until now
   */
  private constructor(
    private readonly milliseconds: number,
    private readonly hostWait: () => Promise<number>,
    private readonly now: () => number,
  ) {}

  static async start(milliseconds: number, hostWait: () => Promise<number>, now: () => number = Date.now): Promise<Patience> {
    const patience = new Patience(milliseconds, hostWait, now);
    patience.begin = now();
    patience.waited = await hostWait();
    return patience;
  }

  /** Milliseconds that are left of what has been granted so far. */
  get left(): number {
    return Math.max(0, Math.ceil(this.begin + this.milliseconds + this.granted - this.now()));
  }

  /**
   * Whether the kernel has had its time.
   * @throws SituationError when the host has kept it waiting for too long to say
   */
  async isOver(): Promise<boolean> {
    if (this.left > 0) return false;
    const kept = (await this.hostWait()) - this.waited;
    const more = kept - this.granted;
    if (more < this.milliseconds * part) return true;
    const all = this.now() - this.begin;
    if (all > most * this.milliseconds) {
      throw new SituationError(`this host is too slow to tell: in ${seconds(all)} the guest has waited for a CPU for ${seconds(kept)}`);
    }
    this.granted = kept;
    return this.left === 0;
  }
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(0)} s`;
}
