// SPDX-License-Identifier: MIT
import { shadowCallText } from '../shadow.js';
import { type Rule, equal } from './types.js';

/** What the last call of the shadow variable API returned, and which constructors and destructors it ran. */
export const shadowCallRule: Rule<'shadow-call'> = ({ shadow: { last } }, { patch, call, report }) => {
  if (!last) return [];
  const { clause, report: allowed } = last;
  const what = shadowCallText(patch, call);
  return [
    equal(clause, `${what}: returned`, text(report.returned), text(allowed.returned)),
    equal(clause, `${what}: constructors and destructors that ran`, text(report.ran), text(allowed.ran)),
  ];
};

/** What several callers were given alike is said once. */
function text(list: readonly string[]): string {
  const [first = 'nothing'] = list;
  return list.length > 1 && list.every((one) => one === first) ? `${list.length} × ${first}` : list.join(', ') || first;
}
