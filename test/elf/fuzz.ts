// SPDX-License-Identifier: MIT
// Mutated modules, from a seed: `node dist/test/elf/fuzz.js [COUNT] [SEED]` prints figures; fuzz.test.ts tries fewer.
import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';
import { convertToLivepatch, ElfError, lint, readObject, writeObject } from '../../harness/elf/index.js';
import { handmadeModule, soundModule } from './build.js';

export interface FuzzFigures {
  readonly count: number;
  readonly seed: number;
  /** How many were refused, by the field that the ElfError names. */
  readonly refused: ReadonlyMap<string, number>;
  readonly accepted: number;
  /** Milliseconds that the slowest input took. */
  readonly slowest: number;
  /** Growth of the heap and of array buffers over it all, in bytes, after a collection where node was given --expose-gc. */
  readonly grown: number;
}

/**
 * Reads mutated modules, and lints a third of them. Each is an ElfError with offset and field, or an
 * object that is written back byte for byte.
 * @param inputs sound modules to start from
 * @throws AssertionError for anything else, with the number of the input
 */
export function fuzz(inputs: readonly Uint8Array[], count: number, seed: number): FuzzFigures {
  const random = generator(seed);
  const refused = new Map<string, number>();
  let accepted = 0;
  let slowest = 0;
  const before = inUse();
  for (let i = 0; i < count; i++) {
    const mutated = mutate(inputs[random(inputs.length)] ?? new Uint8Array(), random);
    const { field, elapsed } = timed(mutated, i);
    if (elapsed > slowest) {
      // On a busy host any input is slow once: one that is slow by itself stays so.
      slowest = Math.max(slowest, Math.min(elapsed, timed(mutated, i).elapsed, timed(mutated, i).elapsed));
    }
    if (field === undefined) accepted++;
    else refused.set(field, (refused.get(field) ?? 0) + 1);
  }
  return { count, seed, refused, accepted, slowest, grown: inUse() - before };
}

function timed(bytes: Uint8Array, number: number): { readonly field: string | undefined; readonly elapsed: number } {
  const begin = performance.now();
  const field = look(bytes, number);
  return { field, elapsed: performance.now() - begin };
}

/** @returns the field that a refusal names; undefined when it was read */
function look(bytes: Uint8Array, number: number): string | undefined {
  try {
    const object = readObject(bytes);
    object.sections.forEach((_, i) => object.relocations(i));
    convertToLivepatch(object, new Map());
    // It takes several times as long as all the rest.
    if (number % 3 === 0) lint(bytes);
    assert.equal(Buffer.compare(writeObject(object), bytes), 0, `input ${number} is not written back as it was`);
    return undefined;
  } catch (error) {
    if (!(error instanceof ElfError)) throw new Error(`input ${number}: ${String(error)}`, { cause: error });
    assert.ok(Number.isSafeInteger(error.offset) && error.offset >= 0, `input ${number}: offset ${error.offset}`);
    assert.notEqual(error.field, '', `input ${number}`);
    return error.field;
  }
}

type Random = (below: number) => number;

/** Whole numbers below a bound, the same for the same seed (xorshift32). */
function generator(seed: number): Random {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Numbers at which arithmetic goes wrong. */
const awkward = [0n, 1n, 2n, 7n, 0x7fn, 0xffn, 0xff00n, 0xff20n, 0xfff2n, 0xffffn, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n - 1n, 2n ** 63n, 2n ** 64n - 24n, 2n ** 64n - 1n];

/** One to four changes: a field of a header, a symbol or a relocation, a byte, a cut, a piece moved or repeated. */
function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  let result = new Uint8Array(bytes);
  const shoff = Number(viewOf(bytes).getBigUint64(40, true));
  for (let n = 1 + random(4); n > 0 && result.length >= 64; n--) {
    const kind = random(20);
    if (kind < 4) setField(result, random(64 / 2) * 2, random);
    else if (kind < 12) setField(result, shoff + random(Math.max(1, result.length - shoff) / 4) * 4, random);
    else if (kind < 16) result[random(result.length)] = random(256);
    else if (kind === 16) result = result.slice(0, random(result.length));
    else if (kind === 17) result.copyWithin(random(result.length), random(result.length), random(result.length));
    else if (kind === 18) result = new Uint8Array([...result.subarray(0, 4096), ...result.subarray(0, random(result.length))]);
    else setField(result, random(result.length / 8) * 8, random);
  }
  return result;
}

function setField(bytes: Uint8Array, at: number, random: Random): void {
  const width = [2, 4, 8][random(3)] ?? 8;
  if (at + width > bytes.length) return;
  const value = random(2) === 0 ? (awkward[random(awkward.length)] ?? 0n) : BigInt(random(0x10000));
  for (let i = 0; i < width; i++) bytes[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function inUse(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** What the command line and the test start from: small modules, so that most changes hit something. */
export function fuzzInputs(): readonly Uint8Array[] {
  return [handmadeModule(), soundModule(), soundModule({ machine: 183 })];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [count = 1_000_000, seed = 414] = process.argv.slice(2).map(Number);
  const begin = performance.now();
  const { refused, accepted, slowest, grown } = fuzz(fuzzInputs(), count, seed);
  const lines = [
    `${count} mutated modules from seed ${seed} in ${((performance.now() - begin) / 1000).toFixed(1)} s: ${accepted} read and written back, the others refused`,
    `slowest ${slowest.toFixed(1)} ms, memory grown by ${(grown / 2 ** 20).toFixed(1)} MiB`,
    ...[...refused].sort(([, a], [, b]) => b - a).map(([field, n]) => `${String(n).padStart(8)}  ${field}`),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
