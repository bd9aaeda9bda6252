// SPDX-License-Identifier: MIT
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { type PoolOptions, type Seat, type Startable, workOff } from '../../harness/runner/pool.js';

class Bench implements Startable {
  alive = true;
  disposed = false;
  constructor(readonly name: string) {}
  [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
    return Promise.resolve();
  }
}

/** A pool whose steps are written down, and its benches. */
function pool(more: Partial<PoolOptions<string, Bench>>): { said: string[]; benches: Bench[]; run: () => Promise<void> } {
  const first = new Bench('first');
  const [said, benches] = [[] as string[], [first]];
  const options: PoolOptions<string, Bench> = {
    items: ['a', 'b', 'c', 'd'],
    jobs: 2,
    first,
    start: (seat) => {
      const bench = new Bench(`seat ${seat}`);
      benches.push(bench);
      return Promise.resolve(bench);
    },
    work: async (item, seat) => {
      said.push(`${item} on ${(await seat.bench()).name}`);
      await sleep(1);
    },
    onLost: (seat, error) => void said.push(`${seat} lost: ${(error as Error).message}`),
    signal: new AbortController().signal,
    ...more,
  };
  return { said, benches, run: () => workOff(options) };
}

const refused = (): Promise<never> => Promise.reject(new Error('no room'));
const allDisposed = (benches: readonly Bench[]): boolean => benches.every((b) => b.disposed);

void t.test('each item once, in order, by as many workers as there are jobs', async (t) => {
  const { said, benches, run } = pool({});
  await run();
  t.same(said.map((s) => s[0]), ['a', 'b', 'c', 'd']);
  t.same(new Set(said.map((s) => s.slice(5))), new Set(['first', 'seat 2']));
  t.ok(allDisposed(benches));
});

void t.test('never more benches than items; none for no items', async (t) => {
  const few = pool({ items: ['a', 'b'], jobs: 9 });
  await few.run();
  t.equal(few.benches.length, 2);
  const none = pool({ items: [], jobs: 9 });
  await none.run();
  t.same(none.said, []);
  t.equal(none.benches.length, 1);
  t.ok(allDisposed(none.benches));
});

void t.test('a bench that cannot be started costs its worker, not the items', async (t) => {
  const { said, run } = pool({ jobs: 3, start: refused });
  await run();
  t.same(said.filter((s) => s.includes(' on ')), ['a', 'b', 'c', 'd'].map((i) => `${i} on first`));
  t.same(said.filter((s) => s.includes('lost')), ['2 lost: no room', '3 lost: no room']);
});

void t.test('a bench that died is replaced, at the second try too', async (t) => {
  let tries = 0;
  const { said, benches, run } = pool({
    jobs: 1,
    start: () => {
      tries += 1;
      return tries === 1 ? refused() : Promise.resolve(new Bench(`try ${tries}`));
    },
    work: async (item, seat) => {
      const bench = await seat.bench();
      said.push(`${item} on ${bench.name}`);
      if (item === 'b') bench.alive = false;
    },
  });
  await run();
  t.same(said, ['a on first', 'b on first', 'c on try 2', 'd on try 2']);
  t.ok(benches[0]?.disposed, 'what died is cleared away');
});

void t.test('a bench that died with the last item is not replaced', async (t) => {
  const { said, benches, run } = pool({
    items: ['a'],
    work: async (_, seat) => {
      (await seat.bench()).alive = false;
    },
  });
  await run();
  t.equal(benches.length, 1);
  t.same(said, []);
});

void t.test('when no worker is left, what kept the last one is thrown, and what was done stays done', async (t) => {
  let starts = 0;
  const { said, run } = pool({
    jobs: 1,
    start: () => {
      starts += 1;
      return refused();
    },
    work: async (item, seat) => {
      const bench = await seat.bench();
      said.push(item);
      bench.alive = false;
    },
  });
  await t.rejects(run(), { message: 'no room' });
  t.equal(starts, 2, 'two tries');
  t.same(said, ['a', '1 lost: no room']);
});

void t.test('what a lost worker had taken goes to another one, which had nothing to do any more', async (t) => {
  // Worker 1 has `b` last and loses its bench in the middle; worker 2 has finished by then.
  let finished: () => void = () => undefined;
  const other = new Promise<void>((resolve) => (finished = resolve));
  const { said, run } = pool({
    items: ['b', 'a'],
    start: (seat) => (seat === 2 ? Promise.resolve(new Bench('second')) : refused()),
    work: async (item, seat: Seat<Bench>) => {
      const bench = await seat.bench();
      said.push(`${item} on ${bench.name}`);
      if (bench.name === 'second') {
        if (item === 'a') finished();
        return;
      }
      await other;
      await sleep(5);
      bench.alive = false;
      await seat.bench();
    },
  });
  await run();
  t.same(said, ['b on first', 'a on second', '1 lost: no room', 'b on second']);
});

void t.test('a bench still being started when all is done is not waited for', async (t) => {
  let aborted = false;
  const { said, run } = pool({
    items: ['a', 'b'],
    start: (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted = true;
          reject(signal.reason as Error);
        });
      }),
  });
  await run();
  t.same(said, ['a on first', 'b on first']);
  t.ok(aborted);
});

void t.test('an error of the work itself ends the pool; what is under way ends by itself', async (t) => {
  const { said, benches, run } = pool({
    work: async (item, seat) => {
      await seat.bench();
      if (item === 'a') throw new Error('a fault of ours');
      await sleep(20);
      said.push(`${item} done`);
    },
  });
  await t.rejects(run(), { message: 'a fault of ours' });
  t.same(said, ['b done']);
  t.ok(allDisposed(benches));
});

void t.test('an abort ends all, those that wait included', async (t) => {
  const abort = new AbortController();
  const { said, benches, run } = pool({
    items: ['a', 'b', 'c'],
    jobs: 3,
    signal: abort.signal,
    work: async (item, seat) => {
      await seat.bench();
      said.push(item);
      if (item !== 'a') return;
      await sleep(20);
      abort.abort(new Error('interrupted'));
      abort.signal.throwIfAborted();
    },
  });
  await t.rejects(run(), { message: 'interrupted' });
  t.same(said, ['a', 'b', 'c']);
  t.ok(allDisposed(benches));
});

void t.test('enough: what is under way ends, nothing else is taken, and nobody waits', async (t) => {
  const done: string[] = [];
  const { benches, run } = pool({
    enough: () => done.length > 0,
    work: async (item) => {
      await sleep(item === 'a' ? 1 : 20);
      done.push(item);
    },
  });
  await run();
  t.equal(done[0], 'a');
  t.ok(done.length <= 2, done.join(' '));
  t.ok(allDisposed(benches));
});

void t.test('a worker may put a bench of another kind into the place of its own', async (t) => {
  const other = new Bench('other');
  const said: string[] = [];
  const { benches, run } = pool({
    jobs: 1,
    work: async (item, seat) => {
      const own = await seat.bench();
      said.push(`${item} on ${own.name}`);
      if (item === 'b') t.equal(await seat.replace(() => Promise.resolve(other)), other);
      if (item === 'b') t.ok(own.disposed, 'there is one at a time');
      if (item === 'c') other.alive = false;
    },
  });
  await run();
  t.strictSame(said, ['a on first', 'b on first', 'c on other', 'd on seat 1']);
  t.ok(allDisposed([...benches, other]));
});

void t.test('where one of another kind cannot be started, the next is an ordinary one', async (t) => {
  const said: string[] = [];
  const { benches, run } = pool({
    jobs: 1,
    work: async (item, seat) => {
      said.push(`${item} on ${(await seat.bench()).name}`);
      if (item === 'a') await t.rejects(seat.replace(refused), { message: 'no room' });
    },
  });
  await run();
  t.strictSame(said, ['a on first', 'b on seat 1', 'c on seat 1', 'd on seat 1']);
  t.ok(allDisposed(benches));
});
