// SPDX-License-Identifier: MIT

/** What a worker works with; `alive` is false once it can't be used any more. */
export interface Startable extends AsyncDisposable {
  readonly alive: boolean;
}

/** A worker's place: its number, from 1, and what it works with. */
export interface Seat<B> {
  readonly number: number;
  /**
   * A bench that lives: the one there is, or a new one.
   * @throws SeatLost when none can be started: let it pass, and the item goes to another worker
   */
  readonly bench: () => Promise<B>;
  /**
   * Disposes of the bench there is, and starts one of another kind in its place, which stays until it is no longer alive.
   * @throws what `start` throws; the next `bench` starts an ordinary one then
   */
  readonly replace: (start: (seat: number, signal: AbortSignal) => Promise<B>) => Promise<B>;
  /** The bench there was last, dead or alive. */
  readonly last: B | undefined;
}

export interface PoolOptions<Item, B extends Startable> {
  /** In the order in which they are to be taken. */
  readonly items: readonly Item[];
  /** Workers at most; there are never more than items. */
  readonly jobs: number;
  /** Of worker 1: it has proved to work. The pool disposes of it. */
  readonly first: B;
  readonly start: (seat: number, signal: AbortSignal) => Promise<B>;
  readonly work: (item: Item, seat: Seat<B>) => Promise<void>;
  /** Asked before an item is taken: whether the rest of them is left alone. */
  readonly enough?: () => boolean;
  /** A worker has no bench and gives up, while others go on. */
  readonly onLost: (seat: number, error: unknown) => void;
  readonly signal: AbortSignal;
}

/** A worker has no bench any more and could not start another. */
class SeatLost extends Error {
  constructor(override readonly cause: unknown) {
    super('no bench');
  }
}

/**
 * Works items off a queue, several at a time, each worker with a bench of its own that is started when it is first needed.
 * A worker whose bench cannot be started leaves, and what it had taken goes back into the queue; one that loses a bench in
 * the middle gets a second try at starting the next, since what broke the guest may have broken more.
 *
 * @throws what kept the last worker from getting a bench, when items are left and nobody is there to take them; what `work`
 *   threw, after what is under way has ended; the signal's reason when it was aborted. All benches are disposed of then
 */
export async function workOff<Item, B extends Startable>(options: PoolOptions<Item, B>): Promise<void> {
  const pool = new Pool(options);
  await pool.run();
}

class Pool<Item, B extends Startable> {
  readonly #queue: Item[];
  /** How many items are under way. */
  #busy = 0;
  #lost: { readonly error: unknown } | undefined;
  #failed: { readonly error: unknown } | undefined;
  /** Ends the start of benches that nothing is left for. */
  readonly #idle = new AbortController();
  /** Workers that wait because the queue is empty while something is under way that may come back. */
  #wake: (() => void)[] = [];

  constructor(private readonly options: PoolOptions<Item, B>) {
    this.#queue = [...options.items];
  }

  async run(): Promise<void> {
    const { jobs, first, signal, items } = this.options;
    const workers = Math.max(1, Math.min(jobs, items.length));
    await Promise.all(Array.from({ length: workers }, (_, i) => this.#worker(i + 1, i === 0 ? first : undefined)));
    signal.throwIfAborted();
    if (this.#failed) throw this.#failed.error;
    if (this.#lost && this.#queue.length > 0) throw this.#lost.error;
  }

  /** Never rejected: what went wrong is kept for the end. */
  async #worker(number: number, first: B | undefined): Promise<void> {
    const seat = new OwnSeat(number, first, this.options, this.#idle.signal);
    try {
      // A bench of its own before an item is taken: meanwhile others may take it.
      for (let item = await this.#next(seat); item !== undefined; item = await this.#next(seat)) {
        await this.#one(item.item, seat);
      }
    } catch (error) {
      if (error instanceof SeatLost) {
        // Where nothing is left for it, nobody misses it.
        if (this.#over) return;
        this.#lost = { error: error.cause };
        this.options.onLost(number, error.cause);
      } else this.#failed ??= { error };
    } finally {
      // Nobody takes anything any more; what is under way comes to its own end.
      if (this.#failed || this.options.signal.aborted) this.#queue.length = 0;
      this.#settle();
      await seat[Symbol.asyncDispose]().catch((error: unknown) => void (this.#failed ??= { error }));
    }
  }

  /** The next item, once there is a bench for it; undefined when all are done. */
  async #next(seat: OwnSeat<Item, B>): Promise<{ readonly item: Item } | undefined> {
    for (;;) {
      this.#leaveRest();
      if (this.#over) return undefined;
      this.options.signal.throwIfAborted();
      if (this.#queue.length > 0) {
        await seat.bench();
        this.#leaveRest();
        if (this.#queue.length > 0) return { item: this.#queue.shift() as Item };
      } else await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  async #one(item: Item, seat: OwnSeat<Item, B>): Promise<void> {
    this.#busy += 1;
    try {
      await this.options.work(item, seat);
    } catch (error) {
      // In front: it was its turn.
      if (error instanceof SeatLost) this.#queue.unshift(item);
      throw error;
    } finally {
      this.#busy -= 1;
      this.#settle();
    }
  }

  #leaveRest(): void {
    if (this.#queue.length === 0 || this.options.enough?.() !== true) return;
    this.#queue.length = 0;
    this.#settle();
  }

  get #over(): boolean {
    return this.#queue.length + this.#busy === 0;
  }

  /** Tells who waits; and benches that are still being started when nothing is left are not waited for. */
  #settle(): void {
    if (this.#over) this.#idle.abort(new Error('nothing is left to do'));
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}

class OwnSeat<Item, B extends Startable> implements Seat<B>, AsyncDisposable {
  #bench: B | undefined;
  readonly #signal: AbortSignal;

  constructor(
    readonly number: number,
    first: B | undefined,
    private readonly options: PoolOptions<Item, B>,
    idle: AbortSignal,
  ) {
    this.#bench = first;
    this.#signal = AbortSignal.any([options.signal, idle]);
  }

  get last(): B | undefined {
    return this.#bench;
  }

  readonly bench = async (): Promise<B> => {
    if (this.#bench?.alive) return this.#bench;
    const before = this.#bench;
    this.#bench = undefined;
    await before?.[Symbol.asyncDispose]();
    try {
      this.#bench = await this.#start();
    } catch (error) {
      this.options.signal.throwIfAborted();
      if (!before || this.#signal.aborted) throw new SeatLost(error);
      this.#bench = await this.#start().catch((again: unknown) => {
        this.options.signal.throwIfAborted();
        throw new SeatLost(again);
      });
    }
    return this.#bench;
  };

  readonly replace = async (start: PoolOptions<Item, B>['start']): Promise<B> => {
    const before = this.#bench;
    this.#bench = undefined;
    await before?.[Symbol.asyncDispose]();
    this.#bench = await start(this.number, this.#signal);
    return this.#bench;
  };

  #start(): Promise<B> {
    return this.options.start(this.number, this.#signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bench?.[Symbol.asyncDispose]();
  }
}
