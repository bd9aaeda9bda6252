// SPDX-License-Identifier: MIT
import type { SamplePage, SamplesArguments } from './samples.js';
import { TimelineBuilder, type Source, type Timeline } from './timeline.js';

/** A timeline that is being recorded in the guest. It ends with the connection. */
export interface Recording {
  /** The sampler's process, which sweeps show too. */
  readonly pid: number;
  /**
   * All that was recorded so far. Makes room for more in the guest.
   * @throws InfrastructureError
   */
  read(): Promise<Timeline>;
  /**
   * Ends the recording; later calls give the same again.
   * @throws InfrastructureError
   */
  stop(): Promise<Timeline>;
}

/** Fetches pages one after the other, however the calls overlap: each begins where the one before ended. */
export class Recorder implements Recording {
  private readonly builder: TimelineBuilder;
  private from = 0n;
  private ended = false;
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    readonly pid: number,
    sources: readonly Source[],
    private readonly fetch: (request: SamplesArguments) => Promise<SamplePage>,
  ) {
    this.builder = new TimelineBuilder(sources);
  }

  read(): Promise<Timeline> {
    return this.next(false);
  }

  stop(): Promise<Timeline> {
    return this.next(true);
  }

  private next(end: boolean): Promise<Timeline> {
    const turn = this.last.then(async () => {
      if (!this.ended) {
        const page = await this.fetch({ pid: this.pid, from: this.from, end });
        this.from = page.next;
        this.ended = end;
        this.builder.add(page);
      }
      return this.builder.timeline();
    });
    this.last = turn.catch(() => undefined);
    return turn;
  }
}
