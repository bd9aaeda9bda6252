// SPDX-License-Identifier: MIT
import { clean, duration, plural } from './text.js';
import type { TrialResult, TrialStep, TrialTransition, TrialVerdict } from './trial-schema.js';

/** The conclusion in a few words. */
export const trialConclusions: Readonly<Record<TrialVerdict, string>> = {
  clean: 'applies and reverts cleanly',
  refused: 'is refused',
  held: 'has a transition that does not end',
  unclean: 'does not come and go cleanly',
  crashed: 'breaks the kernel',
};

/** A step as one line for a terminal, and what came of it below. */
export function stepLines({ at, what, outcome, ok, lines }: TrialStep): readonly string[] {
  const mark = ok ? ' ' : '!';
  return [`${mark} ${(at / 1000).toFixed(1).padStart(6)} s  ${clean(what)}: ${clean(outcome)}`, ...lines.map((text) => `             ${clean(text)}`)];
}

/** What stands at the end, on a terminal. */
export function conclusionLines({ verdict, reasons, modules, kernel }: TrialResult): readonly string[] {
  const patches = modules.filter((m) => m.role === 'patch').map((m) => clean(m.name));
  return [`${patches.join(', then ')} on ${clean(kernel.name)} (${clean(kernel.release)}): ${trialConclusions[verdict]}`, ...reasons.map((text) => `  ${clean(text)}`)];
}

/** A page of evidence, in Markdown. Whatever a module or a guest wrote stays text. */
export function trialPage(trial: TrialResult): string {
  const { verdict, reasons, kernel, modules, lint, steps, transitions, sysfs, taint, log, repeat, begun, harness } = trial;
  const patches = modules.filter((m) => m.role === 'patch').map((m) => m.name);
  return [
    `# ${inline(patches.join(', then '))}: ${trialConclusions[verdict]}`,
    '',
    ...reasons.map((reason) => `- ${inline(reason)}`),
    ...(reasons.length > 0 ? [''] : []),
    ...table(['', ''], [
      ['kernel', `${kernel.name}, ${kernel.release}, ${kernel.version}, ${kernel.arch}`],
      ['under', `${kernel.qemu}, ${kernel.accel}`],
      ['tried', `${begun}, by klp ${harness}`],
      ['repeat', repeat],
      ...modules.map((m): readonly string[] => [m.role, `${m.name}, ${m.file}, SHA-256 ${m.sha256}`]),
      ['taints before', taint.before.join('; ') || 'none'],
      ['taints after', taint.after.join('; ') || 'none'],
    ]),
    '',
    '## Lint',
    '',
    ...(lint.length === 0 ? ['Nothing found.'] : fenced(lint)),
    '',
    '## Steps',
    '',
    ...fenced(steps.flatMap(stepLines)),
    '',
    '## Transitions',
    '',
    ...(transitions.length === 0 ? ['There was none.', ''] : transitions.flatMap(transitionPart)),
    '## /sys/kernel/livepatch',
    '',
    ...sysfs.flatMap(({ when, lines }) => [`${inline(when)}:`, '', ...fenced(lines.length === 0 ? ['(nothing)'] : lines), '']),
    '## Kernel log',
    '',
    ...fenced(log),
    '',
  ].join('\n');
}

function transitionPart({ what, patch, to, ended, threads, gap }: TrialTransition): readonly string[] {
  const end = ended === null ? 'its end was not seen' : `it ended after ${ended} ms`;
  const late = [...threads].sort((a, b) => (b.switched ?? Infinity) - (a.switched ?? Infinity));
  const many = threads.length === 0 ? 'no thread was seen on the old side' : `${plural(threads.length, 'thread')} seen on the old side first`;
  return [
    `### ${inline(patch)} to ${to}`,
    '',
    `${inline(what)}: ${end}; ${many}; at most ${gap} ms between two looks.`,
    '',
    ...(late.length === 0 ? [] : [...table(['thread', 'process', 'name', 'switched after'], late.slice(0, 40).map(threadRow)), '']),
    ...(late.length > 40 ? [`… and ${late.length - 40} more, all earlier.`, ''] : []),
  ];
}

function threadRow({ tid, pid, comm, switched }: TrialTransition['threads'][number]): readonly string[] {
  return [String(tid), String(pid), comm, switched === null ? 'never seen' : duration(switched)];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const line = (cells: readonly string[]): string => `| ${cells.map(inline).join(' | ')} |`;
  return [line(head), `|${head.map(() => ' --- |').join('')}`, ...rows.map(line)];
}

/** Text between other words: nothing in it is Markdown. */
function inline(text: string): string {
  return clean(text).replace(/[\\`*_[\]<>|#~&]/g, (c) => `\\${c}`);
}

/** Lines as they are, in a block that none of them can end. */
function fenced(lines: readonly string[]): readonly string[] {
  const longest = Math.max(2, ...lines.flatMap((text) => (text.match(/`+/g) ?? []).map((run) => run.length)));
  const fence = '`'.repeat(longest + 1);
  return [fence, ...lines.map((text) => clean(text)), fence];
}
