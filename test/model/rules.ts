// SPDX-License-Identifier: MIT
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { packagePath } from '../../harness/package-root.js';

/** A rule of the operation tables, as its source has it: by its reason, and its clause where that stands beside it. */
export interface SourceRule {
  readonly clause: string | undefined;
  readonly because: RegExp;
  /** For a person: file, clause and reason. */
  readonly name: string;
}

/**
 * Every reason that an outcome of the model can give: what is written as `because`, in the tables and in what `staged` and
 * `ended` are called with.
 */
export function sourceRules(): readonly SourceRule[] {
  const directory = packagePath('harness/model/operations');
  const files = readdirSync(directory).filter((name) => name.endsWith('.ts'));
  const rules = files.flatMap((name) => {
    const text = readFileSync(join(directory, name), 'utf8');
    const found: SourceRule[] = [];
    const visit = (node: ts.Node): void => {
      for (const reason of reasonsOf(node)) found.push(ruleOf(name, clauseBeside(node), reason));
      ts.forEachChild(node, visit);
    };
    visit(ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true));
    return found;
  });
  return [...new Map(rules.map((r) => [r.name, r])).values()];
}

type Reason = ts.StringLiteralLike | ts.TemplateExpression;

function reasonsOf(node: ts.Node): readonly Reason[] {
  if ((ts.isPropertyAssignment(node) || ts.isVariableDeclaration(node)) && node.name.getText() === 'because') return textsOf(node.initializer);
  if (!ts.isCallExpression(node)) return [];
  const at = { staged: 0, ended: 3 }[node.expression.getText()];
  return at === undefined ? [] : textsOf(node.arguments[at]);
}

function textsOf(node: ts.Expression | undefined): readonly Reason[] {
  if (!node) return [];
  if (ts.isConditionalExpression(node)) return [...textsOf(node.whenTrue), ...textsOf(node.whenFalse)];
  return ts.isStringLiteralLike(node) || ts.isTemplateExpression(node) ? [node] : [];
}

/** The clause in the same object literal. */
function clauseBeside({ parent }: ts.Node): string | undefined {
  if (!ts.isObjectLiteralExpression(parent)) return undefined;
  const clause = parent.properties.find((p) => p.name?.getText() === 'clause');
  return clause && ts.isPropertyAssignment(clause) && ts.isStringLiteralLike(clause.initializer) ? clause.initializer.text : undefined;
}

function ruleOf(file: string, clause: string | undefined, reason: Reason): SourceRule {
  const parts = ts.isTemplateExpression(reason) ? [reason.head.text, ...reason.templateSpans.map((s) => s.literal.text)] : [reason.text];
  const because = new RegExp(`^${parts.map((p) => p.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)).join('.*')}$`);
  return { clause, because, name: `${file}: ${clause === undefined ? '' : `${clause}: `}${parts.join('…')}` };
}
