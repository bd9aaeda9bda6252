// SPDX-License-Identifier: MIT
import type { LintFinding, LintReport } from './lint.js';
import { outcomeOf } from './lint.js';
import { outcomeText, type LintMachine, type Outcome, type LintGeneration, lintGenerations } from './outcome.js';
import type { Place } from './rule.js';
import { ruleOf } from './rules.js';

/** Version of the JSON that `lintJson` gives. */
export const lintJsonVersion = 1;

/** The report on a file. */
export interface LintedFile {
  readonly file: string;
  readonly report: LintReport;
}

/** Generations that do the same are named together: `4.14: refused: …`, `5.10 to 7.3: ignored: …`. */
export function outcomesText(
  generations: readonly LintGeneration[],
  outcome: (generation: LintGeneration) => Outcome,
): readonly { readonly kernels: string; readonly text: string }[] {
  const groups: { first: string; last: string; text: string }[] = [];
  for (const generation of generations) {
    const text = outcomeText(outcome(generation));
    const last = groups.at(-1);
    if (last?.text === text) last.last = generation;
    else groups.push({ first: generation, last: generation, text });
  }
  return groups.map(({ first, last, text }) => ({ kernels: first === last ? first : `${first} to ${last}`, text }));
}

/** Where the fault is: `section .klp.rela.vmlinux..text, sh_flags at 0x1234`. */
export function placeText({ section, symbol, field, offset }: Place): string {
  const where = [
    section === undefined ? undefined : `section ${section}`,
    symbol === undefined ? undefined : `symbol ${symbol}`,
    field,
  ].filter((part) => part !== undefined);
  const at = offset === undefined ? '' : `at 0x${offset.toString(16)}`;
  return [where.join(', '), at].filter((part) => part !== '').join(' ');
}

/** Lines for a person; none for a file with nothing wrong. What a module wrote may stand in them. */
export function lintLines({ file, report }: LintedFile): readonly string[] {
  const lines: string[] = [];
  const explained = new Set<string>();
  for (const finding of report.findings) {
    lines.push(`${file}: ${finding.severity} ${finding.code}: ${finding.message}`, `    ${placeText(finding) || 'the module as a whole'}`);
    if (finding.more !== undefined) lines.push(`    and ${finding.more} more of these`);
    // What a rule is about is said once.
    if (explained.has(finding.code)) continue;
    explained.add(finding.code);
    lines.push(...explanation(finding, report).map((line) => `    ${line}`));
  }
  return lines;
}

function explanation({ code }: LintFinding, { generations, machine }: LintReport): readonly string[] {
  const rule = ruleOf(code);
  const groups = outcomesText(generations, (generation) => outcomeOf(rule, generation, machine ?? 'x86_64'));
  return [
    `rule: ${rule.title}`,
    `document: ${rule.document}`,
    ...groups.map(({ kernels, text }) => `kernel ${kernels}: ${text}`),
    `mend: ${rule.mend}`,
  ];
}

/** Everything as one object, for programs; `v` changes when a field changes its meaning. */
export function lintJson(files: readonly LintedFile[]): object {
  const rule = (code: LintFinding['code'], machine: LintMachine): object => {
    const { title, document, mend } = ruleOf(code);
    const kernels = Object.fromEntries(lintGenerations.map((g) => [g, outcomeOf(ruleOf(code), g, machine)]));
    return { title, document, mend, kernels };
  };
  return {
    v: lintJsonVersion,
    files: files.map(({ file, report: { machine = 'x86_64', livepatch, generations, findings } }) => ({
      file,
      machine,
      livepatch,
      generations,
      findings: findings.map((finding) => ({ ...finding, rule: rule(finding.code, machine) })),
    })),
  };
}
