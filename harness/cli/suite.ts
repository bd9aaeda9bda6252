// SPDX-License-Identifier: MIT
import { UsageError } from '../errors.js';
import { literally } from '../model/operations/types.js';
import type { RunKernel } from '../runner/kernel-run.js';
import type { KernelChoice } from '../runner/run.js';
import { faultTrials, trialScenario } from '../runner/fault-trials.js';
import { runFaults } from '../runner/faults.js';
import { type KernelSuite, caseScenario, runSelftests, suiteOf } from '../runner/selftests.js';
import { shellQuoted } from '../vm/argv.js';
import { type Chosen, matching } from './select.js';

/** Names that `--suite` takes. */
export const suites = ['selftests', 'faults'] as const;

/** The cases of a suite on some kernels, and how they are run. */
export interface ChosenSuite {
  readonly cases: readonly Chosen[];
  readonly runKernel: RunKernel;
}

/**
 * Modules that break livepatch's format, and sound ones: a scenario each.
 * @param words ids of such
 * @throws UsageError for an unknown id, and when nothing matches
 */
export function chooseFaults(words: readonly string[], grep: string | undefined): ChosenSuite {
  const every = faultTrials.map(trialScenario);
  const chosen = words.length === 0 ? every : words.map((word) => {
    const found = every.find(({ id }) => id === word);
    if (!found) throw new UsageError(`--suite faults has no ${word}`, { hint: 'npx klp run --suite faults --list shows them' });
    return found;
  }); // prettier-ignore
  const cases = [...new Set(chosen)].map((scenario) => ({ scenario, words: `--suite faults ${scenario.id}` }));
  return { cases: matching(cases, grep), runKernel: runFaults };
}

/**
 * Upstream's livepatch selftests, as the sources of the kernels have them: which cases there are is known once they were
 * looked at, so kernels and sources are fetched first.
 *
 * @param words of the command line that there is nothing to choose by
 * @param say   told of what takes time
 * @throws UsageError for words, and when no case matches; InfrastructureError when a kernel or its source can't be had
 */
export async function chooseSelftests(
  kernels: readonly KernelChoice[],
  words: readonly string[],
  grep: string | undefined,
  say: (line: string) => void,
): Promise<ChosenSuite> {
  if (words.length > 0) throw new UsageError(`--suite selftests takes no scenarios: ${words.join(' ')}`, { hint: 'choose cases with --grep' });
  const found = new Map<string, KernelSuite | string>();
  for (const { name, acquire } of kernels) {
    const tell = (text: string): void => say(`${name}: ${text}`);
    found.set(name, await suiteOf(await acquire(tell), tell));
  }
  const all = [...found.values()].flatMap((suite) => (typeof suite === 'string' ? [] : [...suite.cases]));
  const scenarios = all.flatMap(([script, titles]) => titles.map((title) => caseScenario(script, title)));
  // So that a report says why there is nothing.
  const cases = scenarios.length > 0 ? scenarios : [{ ...caseScenario('', ''), id: 'selftests' }];
  const distinct = [...new Map(cases.map((s) => [s.id, s])).values()];
  const chosen = distinct.map((scenario) => ({ scenario, words: `--suite selftests ${shellQuoted(['--grep', `^${literally(scenario.id)}$`])}` }));
  return { cases: matching(chosen, grep), runKernel: runSelftests(found) };
}
