// SPDX-License-Identifier: MIT
import { createHash } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gunzipSync, gzipSync } from 'node:zlib';
import { z } from 'zod';
import { InfrastructureError, UsageError, messageOf } from '../errors.js';
import { type EventOf, type KlpEvent, type Payload, eventVersion } from '../events/schema.js';
import { catalogueVersion } from '../model/catalogue/index.js';
import { jsonText } from '../report/text.js';
import { type Expectation, parseExpectations } from './expectations.js';
import { parseJournal } from './journal-reader.js';
import { type Plan, planDigest, planSchema, portionsOf, unsound } from './plan.js';
import type { Shard } from './shard.js';

/** A shard, and the plan it is one of. */
export interface PlannedShard extends Shard {
  readonly plan: Plan;
}

const versions = z.object({ blob: z.number(), harness: z.string(), catalogue: z.number(), events: z.number() });

const manifest = versions.extend({
  blob: z.literal(1),
  run: z.string(),
  shard: z.object({ index: z.number().int().positive(), count: z.number().int().positive() }),
  /** {@link planDigest} of `planned`. */
  plan: z.string(),
  planned: planSchema,
  /** Those that could be had. */
  kernels: z.array(z.object({ kernel: z.string(), version: z.string(), fingerprint: z.string() })),
  /** The expectations file's entries, as they were read. */
  expectations: z.array(z.unknown()),
  /** Of the journal, hex. */
  sha256: z.string(),
});
export type Manifest = Omit<z.infer<typeof manifest>, 'expectations'>;

/** What one shard left. */
export interface Blob {
  /** For messages. */
  readonly file: string;
  readonly manifest: Manifest;
  readonly expectations: readonly Expectation[];
  readonly started: EventOf<'run.started'>;
  readonly events: readonly KlpEvent[];
}

/** What run.started says of a shard. */
export function shardRecord(shard: PlannedShard): NonNullable<Payload<'run.started'>['shard']> {
  const executions = portionsOf(shard.plan, shard).map((p) => ({ kernel: p.kernel, scenarios: [...p.scenarios] }));
  return { index: shard.index, count: shard.count, plan: planDigest(shard.plan), executions };
}

export function blobName({ index, count }: Shard): string {
  return `blob-${index}-of-${count}.ndjson.gz`;
}

/**
 * Writes what `klp merge` needs of a shard's run into its folder: a line of JSON that says what it is, then the journal
 * as it stands, gzipped together.
 *
 * @throws InfrastructureError when it can't be written
 */
export async function writeBlob(directory: string, shard: PlannedShard, expectations: readonly Expectation[]): Promise<string> {
  const file = join(directory, blobName(shard));
  try {
    const journal = await readFile(join(directory, 'journal.ndjson'));
    await writeFile(`${file}.part`, await packBlob(journal, shard, expectations));
    await rename(`${file}.part`, file);
    return file;
  } catch (cause) {
    throw new InfrastructureError(`can't write ${file}: ${messageOf(cause)}`, { cause });
  }
}

/** The bytes of a blob. @param journal of the shard's run */
export async function packBlob(journal: Buffer, shard: PlannedShard, expectations: readonly Expectation[]): Promise<Buffer> {
  const { events } = await parseJournal(Readable.from([journal]), 'journal.ndjson');
  const acquired = new Map(events.flatMap((e) => (e.type === 'kernel.acquired' ? [[e.kernel, e] as const] : [])));
  const { index, count, plan } = shard;
  const head: z.infer<typeof manifest> = {
    blob: 1,
    harness: plan.harness,
    catalogue: plan.catalogue,
    events: plan.events,
    run: events[0]?.run ?? '',
    shard: { index, count },
    plan: planDigest(plan),
    planned: plan,
    kernels: [...acquired.values()].map(({ kernel, version, fingerprint }) => ({ kernel, version, fingerprint })),
    expectations: [...expectations],
    sha256: sha256(journal),
  };
  return gzipSync(Buffer.concat([Buffer.from(`${jsonText(head)}\n`), journal]));
}

/**
 * Reads a blob back.
 * @throws UsageError: it can't be read, is damaged, or is of another klp, clause catalogue or event stream than `harness`
 */
export async function readBlob(file: string, harness: string): Promise<Blob> {
  const content = await readFile(file).catch((cause: unknown) => {
    throw new UsageError(`can't read the blob ${file}: ${messageOf(cause)}`, { cause });
  });
  return unpackBlob(content, file, harness);
}

/** As {@link readBlob}. @param file for messages */
export async function unpackBlob(content: Buffer, file: string, harness: string): Promise<Blob> {
  const damaged = (why: string, cause?: unknown): UsageError =>
    new UsageError(`the blob ${file} is damaged: ${why}`, { cause, hint: 'fetch it again from where its shard ran' });
  let bytes: Buffer;
  let raw: unknown;
  let line: number;
  try {
    bytes = gunzipSync(content);
    line = bytes.indexOf(10);
    raw = JSON.parse(bytes.subarray(0, line).toString('utf8'));
  } catch (cause) {
    throw damaged(messageOf(cause), cause);
  }
  const said = versions.safeParse(raw);
  if (!said.success) throw damaged('its first line is none of a blob');
  const of = said.data;
  const then = `klp ${of.harness}, clause catalogue ${of.catalogue}, event stream ${of.events}, blob ${of.blob}`;
  const now = `klp ${harness}, clause catalogue ${catalogueVersion}, event stream ${eventVersion}, blob 1`;
  if (then !== now) {
    throw new UsageError(`the blob ${file} is of ${then}; this is ${now}`, {
      hint: 'results of different versions are not comparable: merge with the klp that ran the shards, the same for all',
    });
  }
  const parsed = manifest.safeParse(raw);
  if (!parsed.success) throw damaged(`its first line: ${z.prettifyError(parsed.error)}`);
  const { expectations, ...rest } = parsed.data;
  const journal = bytes.subarray(line + 1);
  if (sha256(journal) !== rest.sha256) throw damaged('the journal in it has not the checksum that it should');
  const problem = unsound(rest.planned) ?? (planDigest(rest.planned) === rest.plan ? undefined : 'its plan has not the digest that it should');
  if (problem !== undefined) throw damaged(problem);
  const { events } = await parseJournal(Readable.from([journal]), file);
  const [started] = events;
  if (started?.type !== 'run.started') throw damaged('the run in it was stopped before it began');
  const known = parseExpectations(JSON.stringify({ version: 1, expectations }), file);
  return { file, manifest: rest, expectations: known, started, events };
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
