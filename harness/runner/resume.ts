// SPDX-License-Identifier: MIT
import { realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UsageError } from '../errors.js';
import type { EventOf, KlpEvent } from '../events/schema.js';
import type { Verdict } from '../model/verdict.js';
import { type JournalContent, readJournal } from './journal-reader.js';
import type { ScenarioResult } from './results.js';
import { claim } from './run-claim.js';

/** A run that had not finished, held for this process to go on with. */
export interface PastRun extends AsyncDisposable {
  readonly directory: string;
  readonly run: string;
  readonly started: EventOf<'run.started'>;
  readonly journal: JournalContent;
}

/** What an earlier part of a run brought for one kernel. */
export interface PastKernel {
  /** By scenario. */
  readonly finished: ReadonlyMap<string, PastResult>;
  /** Verdict by clause, as far as they were given. */
  readonly judged: ReadonlyMap<string, Verdict>;
}

interface PastResult {
  readonly result: ScenarioResult;
  readonly fingerprint: string | undefined;
  /** Fingerprint of the kernel it ran on; none when that could not be had. */
  readonly kernel: string | undefined;
}

/**
 * Takes up the run in a folder. The folder is claimed before its journal is read, so that nobody else writes to it.
 *
 * @throws UsageError when there is no run in it, when it has finished, when a living process works on it, or when its journal
 *   is damaged otherwise than at its end
 */
export async function openPast(folder: string): Promise<PastRun> {
  // `latest` may point to another run before this one is done.
  const path = await realpath(join(folder, 'journal.ndjson')).catch((cause: unknown) => {
    throw new UsageError(`nothing to resume: there is no run in ${folder}`, { cause });
  });
  const directory = dirname(path);
  const release = await claim(directory);
  try {
    const journal = await readJournal(path);
    const [started] = journal.events;
    if (started?.type !== 'run.started') {
      throw new UsageError(`nothing to resume: the run in ${directory} was stopped before it began`);
    }
    const last = journal.events.at(-1);
    if (last?.type === 'run.finished' && !last.interrupted) {
      throw new UsageError(`nothing to resume: the run in ${directory} has finished`);
    }
    return { directory, run: started.run, started, journal, [Symbol.asyncDispose]: release };
  } catch (error) {
    await release();
    throw error;
  }
}

/** Folds a journal's events into what they say of one kernel, superseded results left out. */
export function pastKernel(events: readonly KlpEvent[], kernel: string): PastKernel {
  const finished = new Map<string, PastResult>();
  const judged = new Map<string, Verdict>();
  let fingerprint: string | undefined;
  for (const event of events) {
    if (!('kernel' in event) || event.kernel !== kernel) continue;
    if (event.type === 'kernel.acquired') fingerprint = event.fingerprint;
    else if (event.type === 'kernel.resumed') {
      for (const { scenario } of event.superseded) finished.delete(scenario);
      if (event.superseded.length > 0) judged.clear();
    } else if (event.type === 'scenario.finished') {
      const { scenario, verdict, clauseVerdicts, failure, expected } = event;
      const clauses = (clauseVerdicts ?? []).map(({ note, ...c }) => (note === undefined ? c : { ...c, note }));
      const result = { kernel, scenario, verdict, clauses, failure: failure?.kind, expected: expected !== undefined };
      finished.set(scenario, { result, fingerprint: event.fingerprint, kernel: fingerprint });
    } else if (event.type === 'clause.judged') judged.set(event.clause, event.verdict);
  }
  return { finished, judged };
}

/** Why an earlier result does not hold any more; undefined when it does. */
export function whyAgain(past: PastResult, fingerprint: string, kernel: string): string | undefined {
  if (past.fingerprint === undefined) return 'an older klp left no fingerprint of it';
  if (past.kernel === undefined) return 'the kernel could not be had then';
  if (past.kernel !== kernel) return 'the kernel is another one now';
  if (past.fingerprint !== fingerprint) return 'the scenario or klp itself has changed since';
  return undefined;
}
