// SPDX-License-Identifier: MIT
import { ElfError } from '../errors.js';
import { modinfo } from '../modinfo.js';
import { readObject } from '../read.js';
import { fileRuleOf } from './file-rules.js';
import { LintedModule, type KernelTables } from './module.js';
import {
  lintGenerationOf,
  lintGenerations,
  lintMachines,
  outcomeOn,
  type Ending,
  type LintGeneration,
  type LintMachine,
  type Outcome,
} from './outcome.js';
import type { Problem, Rule, RuleCode } from './rule.js';
import { ruleOf, rules } from './rules.js';

export type Severity = 'error' | 'warning';

/** One thing that is wrong with a module, and what comes of it. */
export interface LintFinding extends Problem {
  readonly code: RuleCode;
  /** error: a kernel refuses the module, ignores a part of it, misbehaves or crashes; warning: it works all the same. */
  readonly severity: Severity;
  /** How many further places of the same kind are left out. */
  readonly more?: number;
}

/** What was found in one file. */
export interface LintReport {
  /** Kernels that were judged for: that of the vermagic or the one given; all, where neither is known. */
  readonly generations: readonly LintGeneration[];
  readonly machine: LintMachine | undefined;
  readonly livepatch: boolean;
  /** In the order of their codes, then of the file. */
  readonly findings: readonly LintFinding[];
}

export interface LintOptions {
  /** The kernel to check against, symbols and positions included. */
  readonly kernel?: KernelTables | undefined;
  /** Kernels to judge for, instead of that of the vermagic. */
  readonly generations?: readonly LintGeneration[] | undefined;
}

/** A hostile module may break a rule a million times: that is said once, with the number. */
const placesShown = 20;

/**
 * Looks for what livepatch's document or a kernel takes exception to. A module that is no livepatch is held to the rules for
 * all modules. Any input gives a report, in time and memory that stay proportional to its length.
 * @param bytes the whole file, unpacked
 */
export function lint(bytes: Uint8Array, options: LintOptions = {}): LintReport {
  let module: LintedModule;
  try {
    module = new LintedModule(readObject(bytes), options.kernel);
  } catch (error) {
    if (!(error instanceof ElfError)) throw error;
    const code = fileRuleOf(error);
    const { offset, field, message } = error;
    const generations = options.generations ?? lintGenerations;
    const severity = severityOf(ruleOf(code), generations, undefined) ?? 'error';
    return { generations, machine: undefined, livepatch: false, findings: [{ code, severity, message, offset, field }] };
  }
  const { machine, livepatch } = module;
  const generations = options.generations ?? generationsOf(module);
  const findings = asked(generations, machine).flatMap(({ rule, severity }) => findingsOf(rule, severity, module));
  return { generations, machine, livepatch, findings };
}

/** What the kernel does with a module that breaks the rule. */
export function outcomeOf(rule: Rule, generation: LintGeneration, machine: LintMachine): Outcome {
  return outcomeOn((machine === 'arm64' ? rule.arm64 : undefined) ?? rule.kernels, generation);
}

/** No kernel takes a module of another vermagic: what others would do with it does not matter. */
function generationsOf({ object, kernel }: LintedModule): readonly LintGeneration[] {
  const release = kernel?.release ?? modinfo(object, 'vermagic');
  const generation = release === undefined ? undefined : lintGenerationOf(release);
  return generation === undefined ? lintGenerations : [generation];
}

interface Asked {
  readonly rule: Rule;
  readonly severity: Severity;
}

/** The same for thousands of modules of one kernel. */
const askedBefore = new Map<string, readonly Asked[]>();

/** The rules that matter to those kernels. */
function asked(generations: readonly LintGeneration[], machine: LintMachine): readonly Asked[] {
  const key = [machine, ...generations].join(' ');
  let found = askedBefore.get(key);
  if (!found) {
    found = rules.flatMap((rule) => {
      const severity = severityOf(rule, generations, machine);
      return severity ? [{ rule, severity }] : [];
    });
    askedBefore.set(key, found);
  }
  return found;
}

function findingsOf(rule: Rule, severity: Severity, module: LintedModule): LintFinding[] {
  const shown: LintFinding[] = [];
  let more = 0;
  for (const problem of rule.check(module)) {
    if (shown.length < placesShown) shown.push({ code: rule.code, severity, ...problem });
    else more++;
  }
  const last = shown.at(-1);
  return more > 0 && last ? [...shown.slice(0, -1), { ...last, more }] : shown;
}

const severities: Readonly<Record<Ending, Severity | undefined>> = {
  sound: undefined,
  loads: 'warning',
  depends: 'warning',
  refused: 'error',
  ignored: 'error',
  wrong: 'error',
  crashes: 'error',
};

/** How bad it is, at worst, to break a rule on those kernels; undefined where all of them take it as it should be. */
export function severityOf(
  rule: Rule,
  generations: readonly LintGeneration[],
  machine: LintMachine | undefined,
): Severity | undefined {
  const machines = machine === undefined ? lintMachines : [machine];
  const all = generations.flatMap((g) => machines.map((m) => severities[outcomeOf(rule, g, m).ending]));
  return all.includes('error') ? 'error' : all.includes('warning') ? 'warning' : undefined;
}
