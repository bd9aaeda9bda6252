// SPDX-License-Identifier: MIT
import { Command, Option } from 'commander';
import { ExitStatus, UsageError } from '../errors.js';
import { type Capability, capabilities } from '../model/capabilities.js';
import { type Generation, factsLike, generationNames } from '../model/generations.js';
import type { Facts } from '../model/state.js';
import { type Verdict, exitStatus } from '../model/verdict.js';
import { nearest } from '../nearest.js';
import { clean } from '../report/text.js';
import { type DryResult, type DryStep, dryRun } from '../runner/dry-run.js';
import { ToldKernel } from '../runner/dry-run-kernel.js';
import { lacking, lacks } from '../runner/needs.js';
import type { Scenario } from '../runner/scenario.js';
import { resultLines, stepJson, stepLines } from './model-text.js';
import { oneMore } from './run.js';
import { chooseScenarios } from './select.js';

type Change = Capability | `-${Capability}`;

interface ModelWords {
  readonly like: Generation;
  readonly capabilities?: readonly Change[];
  readonly take?: readonly string[];
  readonly grep?: string;
  readonly profile: 'mainline' | 'documents';
  readonly json?: boolean;
}

/** `klp model`: runs scenarios against the reference model alone, and prints what it allows at each step. Boots nothing. */
export function modelCommand(done: (status: number) => void): Command {
  return new Command('model')
    .description('what should happen: run scenarios against the reference model alone, without any kernel')
    .argument('<scenario...>', 'ids, or files that export scenarios')
    .addOption(new Option('--like <generation>', 'a kernel like this').choices(generationNames).default('7.3'))
    .option('--capabilities <names>', 'what it has besides, and with a minus what it has not: a,b,-c', changes)
    .option('--take <step=errno>', 'let an operation end in another of the ways that are allowed; may be given again', oneMore)
    .option('--grep <regexp>', 'only scenarios whose id, title or clauses match')
    .addOption(new Option('--profile <profile>', 'who has the last word where the documents are silent').choices(['mainline', 'documents']).default('mainline'))
    .option('--json', 'one JSON object a line: each step, and what each scenario came to')
    .action(async (words: readonly string[], options: ModelWords) => {
      const chosen = (await chooseScenarios(words, options.grep)).map((c) => c.scenario);
      const facts = factsLike(options.like, options.capabilities);
      const told = choices(options.take ?? []);
      if (told.size > 0 && chosen.length > 1) throw new UsageError('--take is for one scenario: its steps have the numbers');
      const verdicts: Verdict[] = [];
      for (const s of chosen) verdicts.push((await one(s, facts, told, options)).verdict);
      const status = exitStatus(verdicts.map((verdict) => ({ verdict, expected: false })));
      // What cannot be asked of such a kernel is an answer here.
      done(verdicts.every((v) => v === 'n/a') ? ExitStatus.ok : status);
    });
}

async function one(
  s: Scenario,
  facts: Facts,
  told: ReadonlyMap<number, string>,
  { json, profile, like, capabilities: changed = [] }: ModelWords,
): Promise<DryResult> {
  const say = (lines: readonly string[]): void => void process.stdout.write(lines.map((line) => `${clean(line)}\n`).join(''));
  const tell = (object: object): void => void process.stdout.write(`${JSON.stringify(object)}\n`);
  const kernel = [like, ...changed].join(' ');
  const missing = lacking(s, facts.capabilities);
  if (json !== true) say([`${s.id}: ${s.title}`, `on a kernel like ${kernel}`, '']);
  const onStep = (step: DryStep): void => {
    if (json === true) tell({ scenario: s.id, ...stepJson(step) });
    else say(stepLines(step));
    if (step.kind === 'operation') operations.push(step.number);
  };
  const operations: number[] = [];
  const result: DryResult =
    missing.length > 0
      ? { verdict: 'n/a', reason: lacks(missing), judgements: [] }
      : await dryRun(s, new ToldKernel(facts, told), { profile, onStep });
  const unheard = [...told.keys()].find((step) => !operations.includes(step));
  if (unheard !== undefined) throw new UsageError(`--take: step ${unheard} is no operation`, { hint: `operations are: ${operations.join(', ') || 'none'}` });
  const { verdict, reason } = result;
  if (json === true) tell({ scenario: s.id, kernel, verdict, ...(reason === undefined ? {} : { reason }) });
  else say(resultLines(result));
  return result;
}

/** @throws UsageError for a capability that does not exist */
function changes(text: string): readonly Change[] {
  return text.split(',').filter((word) => word !== '').map((word) => {
    const name = capabilities.find((c) => c === word || `-${c}` === word);
    if (name !== undefined) return word.startsWith('-') && name !== word ? (`-${name}` as const) : name;
    const guess = nearest(word.replace(/^-/, ''), capabilities);
    throw new UsageError(`there is no capability "${word}"`, {
      hint: guess === undefined ? `there are: ${capabilities.join(', ')}` : `did you mean ${guess}?`,
    });
  });
}

/** @throws UsageError for words that are no choice */
function choices(words: readonly string[]): ReadonlyMap<number, string> {
  return new Map(
    words.map((word) => {
      const [, step = '', errno = ''] = /^([1-9][0-9]*)=(OK|E[A-Z]+)$/.exec(word) ?? [];
      if (errno === '') throw new UsageError(`--take ${word}: a step's number and an errno or OK are wanted, as in 3=EBUSY`);
      return [Number(step), errno];
    }),
  );
}
