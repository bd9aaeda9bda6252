// SPDX-License-Identifier: MIT
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Guest, calls, must } from '../guest/guest.js';
import { writeFlags } from '../guest/protocol.js';
import { Bench, type BenchOptions } from './bench.js';

/** Something measured several times over. */
export interface Figure {
  readonly name: string;
  /** Milliseconds each. */
  readonly samples: readonly number[];
  /** What it should be: `<= 0.5 s`. For a person: nothing is checked against it. */
  readonly bar?: string;
}

/** Bounds and middle of some samples. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** @param samples at least one */
export function spread(samples: readonly number[]): Spread {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (index: number): number => sorted[index] ?? NaN;
  const middle = sorted.length / 2;
  return {
    median: (at(Math.ceil(middle) - 1) + at(Math.floor(middle))) / 2,
    least: at(0),
    most: at(sorted.length - 1),
  };
}

/** Threads that a sweep is measured over, at least. */
const threadsSwept = 60;

async function times(count: number, action: () => Promise<unknown>): Promise<number[]> {
  const samples: number[] = [];
  for (let i = 0; i < count; i++) {
    const begin = performance.now();
    await action();
    samples.push(performance.now() - begin);
  }
  return samples;
}

async function ping(guest: Guest): Promise<void> {
  must(await guest.batch([calls.ping()]), 'ping');
}

/** Power-on to the guest's ready, by the machine's own clock: kernels, images and modules are in the cache by then. */
export async function measureBoot(options: BenchOptions, count: number): Promise<Figure> {
  const samples: number[] = [];
  for (let i = 0; i < count; i++) {
    options.signal.throwIfAborted();
    await using bench = await Bench.start(options);
    samples.push(bench.bootMs);
  }
  return { name: 'cold boot to ready', samples };
}

/**
 * What a running guest takes for each thing the runner does with it all the time.
 * @param said is told each figure as soon as it is there
 */
export async function measureGuest(bench: Bench, count: number, said: (figure: Figure) => void): Promise<void> {
  const { guest } = bench;
  const figure = async (name: string, bar: string | undefined, action: () => Promise<unknown>): Promise<void> => {
    said({ name, samples: await times(count, action), ...(bar === undefined ? {} : { bar }) });
  };
  await figure('pristine guest, first operation', '<= 0.5 s', async () => {
    await bench.reset();
    await ping(guest);
  });
  await figure('agent: ping', '<= 5 ms', () => ping(guest));
  await figure('agent: read of a small file', '<= 5 ms', async () => must(await guest.readText('/proc/sys/kernel/ostype'), 'read'));
  await figure('agent: write of a small file', '<= 5 ms', async () =>
    must(await guest.write('/tmp/klp-bench', 'text\n', writeFlags.create), 'write'),
  );
  let threads = must(await guest.sweep(), 'sweep').length;
  for (; threads < threadsSwept; threads++) must(await guest.spawn({ kind: 'sleep' }), 'spawn');
  await figure(`agent: sweep of ${threads} threads`, '<= 15 ms', async () => must(await guest.sweep(), 'sweep'));
  const content = randomBytes(1 << 20);
  await figure('push of 1 MiB', '<= 0.5 s', () => guest.push('/tmp/klp-bench.d', [{ name: 'file', content }]));
  await figure('SSH exec of true', undefined, () => guest.run('true'));
}

/**
 * How much more two guests get done than one in the same time, when what they do is mostly waiting: a restore and a
 * second of the guest's own.
 */
export async function measurePair(one: Bench, options: BenchOptions, count: number): Promise<{ single: Figure; pair: Figure }> {
  const round = async (bench: Bench): Promise<void> => {
    await bench.reset();
    await ping(bench.guest);
    await sleep(1000);
  };
  await using other = await Bench.start(options);
  const single = { name: 'restore + 1 s wait, one guest', samples: await times(count, () => round(one)) };
  const both = await times(count, () => Promise.all([round(one), round(other)]));
  return { single, pair: { name: 'the same, two guests at once', samples: both } };
}
