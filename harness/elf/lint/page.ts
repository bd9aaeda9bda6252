// SPDX-License-Identifier: MIT
import { outcomeOf } from './lint.js';
import { lintGenerations } from './outcome.js';
import type { Rule } from './rule.js';
import { rules } from './rules.js';
import { outcomesText } from './text.js';

const introduction = `# Rules of klp lint

Generated from the table of rules (\`make spec\`). \`klp lint\` itself is in [usage.md](usage.md), the clauses of the format in
[spec/elf.md](spec/elf.md).

The document is \`Documentation/livepatch/module-elf-format.txt\`. What a kernel does is said by generation; each stands for the
kernels up to the next: 4.14 (registration, relocations applied with it), 5.10 (from 5.8: relocations for vmlinux applied while the
module loads), 6.1 (longer names; the loader checks more), 6.12 (from 6.4: the loader refuses what is there twice), 7.3 (from 6.17).

- sound: nothing is wrong with it there, and nothing is reported for that kernel
- loads: it works, whatever the document says: a warning
- depends: it works if something else is there: a warning
- refused: the load fails, with the errno and the line of the log that is given: an error
- ignored: it loads, and a part of it is passed over without a word: an error
- wrong: it loads, and something is computed or bound wrongly: an error
- crashes: memory is read or written that is none of its: an error

A module is judged for the kernel that its vermagic names; where it has none, for all of them, and the worst counts.

Outcomes are read from the sources of these kernels, and compared with what running ones do, from 5.10 on, by a module for each
fault: [faults.md](faults.md).
`;

/** The rules as a page in Markdown. */
export function lintPage(): string {
  return [introduction, ...rules.map(ruleText)].join('\n');
}

function ruleText(rule: Rule): string {
  const kernels = outcomesText(lintGenerations, (g) => outcomeOf(rule, g, 'x86_64'));
  const arm64 = rule.arm64 ? outcomesText(lintGenerations, (g) => outcomeOf(rule, g, 'arm64')) : [];
  const lines = [
    ...kernels.map(({ kernels: names, text }) => `- ${names}: ${quoted(text)}`),
    ...arm64.map(({ kernels: names, text }) => `- arm64, ${names}: ${quoted(text)}`),
  ];
  const needs = rule.needsKernel === true ? ' Found with `--kernel` only.' : '';
  return `## ${rule.code}: ${plain(rule.title)}

${quoted(rule.document)}${needs}

${lines.join('\n')}

To mend it: ${quoted(rule.mend)}
`;
}

/** Lines of the log in code spans, and what Markdown would take for markup left as it is. */
function quoted(text: string): string {
  return text.replaceAll(/"([^"]*[*[][^"]*)"/g, '`$1`').split('`').map((part, i) => (i % 2 === 0 ? plain(part) : part)).join('`');
}

function plain(text: string): string {
  return text.replaceAll(/[<>*]/g, String.raw`\$&`);
}
