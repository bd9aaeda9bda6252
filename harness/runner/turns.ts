// SPDX-License-Identifier: MIT
import { calls, must } from '../guest/guest.js';
import type { LivepatchDescription } from '../model/description.js';
import { SituationError } from '../model/reference.js';
import { findPatch } from '../model/state.js';
import { type SessionRecord, logMarkOf } from './session-record.js';

/** Writes the opposite of what `enabled` reads, back to back in the guest; each write is an operation. */
export async function turn(record: SessionRecord, { name }: LivepatchDescription, times: number): Promise<void> {
  const { guest } = record;
  const file = `/sys/kernel/livepatch/${name}/enabled`;
  const texts = turns(record.model.states.map((s) => findPatch(s, name)?.enabled), name, times);
  record.doing = `turn the transition of ${name} round ${times} times`;
  const mark = (i: number): string => `turn ${i} of ${name}`;
  const from = await guest.logEnd();
  const batch = texts.flatMap((text, i) => [calls.write(file, text), calls.write('/dev/kmsg', logMarkOf(mark(i)))]);
  const endings = must(await guest.batch(batch), record.doing);
  const log = (await guest.log(from)).records.map((r) => r.text);
  let at = 0;
  for (const [i, text] of texts.entries()) {
    const ending = endings[2 * i];
    const end = log.findIndex((line, n) => n >= at && logMarkOf(mark(i)).includes(line.trimEnd()));
    if (!ending || end < 0) throw new SituationError(`the kernel log does not tell ${mark(i)}`);
    record.done({ kind: 'write-enabled', patch: name, text }, `write "${text}" to ${name}/enabled`, ending, log.slice(at, end));
    at = end + 1;
  }
}

/**
 * What is to be written, one after the other.
 * @throws SituationError when it is not known what `enabled` reads
 */
export function turns(enabled: readonly (boolean | undefined)[], name: string, times: number): readonly ('0' | '1')[] {
  const [now, ...others] = [...new Set(enabled)];
  if (now === undefined || others.length > 0) throw new SituationError(`${name}/enabled: the model does not know what it reads`);
  return Array.from({ length: times }, (_none, i) => ((i % 2 === 0) === now ? '0' : '1'));
}
