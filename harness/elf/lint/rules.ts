// SPDX-License-Identifier: MIT
import { fileRules } from './file-rules.js';
import { kernelRules } from './kernel-rules.js';
import { moduleRules } from './module-rules.js';
import { relocationRules } from './relocation-rules.js';
import type { Rule, RuleCode } from './rule.js';
import { sectionRules } from './section-rules.js';
import { symbolRules } from './symbol-rules.js';

/** Every rule, by its code. */
export const rules: readonly Rule[] = [
  ...fileRules, ...moduleRules, ...sectionRules, ...symbolRules, ...relocationRules, ...kernelRules,
].sort((a, b) => a.code.localeCompare(b.code)); // prettier-ignore

/** The rule of that code. @throws RangeError if there is none */
export function ruleOf(code: RuleCode): Rule {
  const found = rules.find((rule) => rule.code === code);
  if (!found) throw new RangeError(`there is no rule ${code}`);
  return found;
}
