// SPDX-License-Identifier: MIT
import { realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UsageError } from '../errors.js';
import type { EventOf } from '../events/schema.js';
import { readJournal } from './journal-reader.js';
import type { Portion } from './shard.js';

/** A run, and what was not as expected in it. */
export interface FailedRun {
  readonly directory: string;
  readonly started: EventOf<'run.started'>;
  /** By kernel; what was not run since enough had failed is not among them. */
  readonly executions: readonly Portion[];
  /** How many had no result, or were not run. */
  readonly left: number;
}

/**
 * What failed or ended in error in a run, and what deviated if it was a strict one; what its expectations file covered is none of it.
 * @param folder of the run
 * @throws UsageError when there is no run in it, or its journal is damaged otherwise than at its end
 */
export async function failedRun(folder: string): Promise<FailedRun> {
  const path = await realpath(join(folder, 'journal.ndjson')).catch((cause: unknown) => {
    throw new UsageError(`there is no run in ${folder} whose failures could be run again`, { cause });
  });
  const { events } = await readJournal(path);
  const [started] = events;
  if (started?.type !== 'run.started') throw new UsageError(`the run in ${folder} was stopped before it began`);
  const results = new Map<string, EventOf<'scenario.finished'>>();
  const key = (kernel: string, scenario: string): string => `${kernel}\0${scenario}`;
  for (const event of events) {
    if (event.type === 'scenario.finished') results.set(key(event.kernel, event.scenario), event);
    if (event.type === 'kernel.resumed') for (const { scenario } of event.superseded) results.delete(key(event.kernel, scenario));
  }
  const all = started.shard?.executions ?? started.executions ?? started.kernels.map((kernel) => ({ kernel, scenarios: started.scenarios.map((s) => s.id) }));
  const bad = ['fail', 'error', ...(started.strict ? ['deviates'] : [])];
  let left = 0;
  const executions = all.map(({ kernel, scenarios }) => ({
    kernel,
    scenarios: scenarios.filter((scenario) => {
      const result = results.get(key(kernel, scenario));
      if (!result || result.notRun === true) left += 1;
      return result !== undefined && result.notRun !== true && bad.includes(result.verdict) && result.expected === undefined;
    }),
  }));
  return { directory: dirname(path), started, executions: executions.filter((p) => p.scenarios.length > 0), left };
}
