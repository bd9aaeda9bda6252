// SPDX-License-Identifier: MIT
import { outcomeOf, severityOf } from './lint.js';
import { lintGenerations } from './outcome.js';
import type { LintedFile } from './text.js';
import { outcomesText, placeText } from './text.js';
import { rules } from './rules.js';

/**
 * The reports as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format"): places are byte offsets in the module,
 * sections and symbols are logical locations.
 * @param version of the program
 */
export function lintSarif(files: readonly LintedFile[], version: string): object {
  const indices = new Map(rules.map(({ code }, index) => [code, index]));
  const results = files.flatMap(({ file, report }) =>
    report.findings.map((finding) => {
      const { code, severity, message, section, symbol, offset, more } = finding;
      const logical = [
        ...(section === undefined ? [] : [{ name: section, kind: 'section' }]),
        ...(symbol === undefined ? [] : [{ name: symbol, kind: 'symbol' }]),
      ];
      const place = placeText(finding);
      const rest = more === undefined ? '' : `, and ${more} more`;
      return {
        ruleId: code,
        ruleIndex: indices.get(code),
        level: severity,
        message: { text: `${message}${place === '' ? '' : ` (${place})`}${rest}` },
        locations: [
          {
            physicalLocation: {
              artifactLocation: { uri: encodeURI(file) },
              ...(offset === undefined ? {} : { region: { byteOffset: offset } }),
            },
            ...(logical.length === 0 ? {} : { logicalLocations: logical }),
          },
        ],
      };
    }),
  );
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [{ tool: { driver: { name: 'klp', version, rules: rules.map(ruleObject) } }, results }],
  };
}

function ruleObject(rule: (typeof rules)[number]): object {
  const kernels = outcomesText(lintGenerations, (g) => outcomeOf(rule, g, 'x86_64')).map((g) => `${g.kernels}: ${g.text}`);
  return {
    id: rule.code,
    shortDescription: { text: rule.title },
    fullDescription: { text: [rule.document, ...kernels].join('\n') },
    help: { text: rule.mend },
    defaultConfiguration: { level: severityOf(rule, lintGenerations, undefined) ?? 'note' },
  };
}
