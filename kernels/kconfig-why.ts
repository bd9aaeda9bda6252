// SPDX-License-Identifier: MIT
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { UntakenOption } from './kconfig.js';

/** What Kconfig files say of an option that matters for why it is as it is. */
interface Entry {
  /** Conditions that must all hold: `depends on`, and those of menus and `if` blocks around it. */
  readonly depends: string[];
  /** Whether a person may set it, and under which further condition. */
  prompt: boolean;
  readonly promptIf: string[];
  /** In a choice, in which another may have been taken. */
  readonly choice: boolean;
}

/** The options of a source tree, by name without `CONFIG_`. */
export interface Menu {
  readonly entries: ReadonlyMap<string, readonly Entry[]>;
  /** Who selects an option, by its name. */
  readonly selectors: ReadonlyMap<string, readonly string[]>;
}

/**
 * Reads the Kconfig files that an architecture's configuration consists of
 * (Documentation/kbuild/kconfig-language.rst, as far as it is needed for an explanation).
 *
 * @param srcArch folder below `arch`: what `$(SRCARCH)` stands for
 */
export async function readKconfig(source: string, srcArch: string): Promise<Menu> {
  const reader = new Reader((file) => readFile(join(source, file.replace(/\$\(?SRCARCH\)?/, srcArch)), 'utf8').catch(() => ''));
  await reader.file('Kconfig', []);
  return reader;
}

class Reader implements Menu {
  readonly entries = new Map<string, Entry[]>();
  readonly selectors = new Map<string, string[]>();

  constructor(private readonly read: (file: string) => Promise<string>) {}

  /** @param around conditions of what includes the file */
  async file(name: string, around: readonly string[]): Promise<void> {
    const text = (await this.read(name)).replaceAll('\\\n', ' ');
    const blocks: { kind: string; conditions: string[] }[] = [];
    let entry: Entry | undefined;
    let option = '';
    let help: number | undefined;
    for (const line of text.split('\n')) {
      const depth = line.replaceAll('\t', '        ').search(/\S/);
      if (depth < 0) continue;
      // Help reaches as far as it is indented; its first line says how far.
      if (help !== undefined) {
        if (help === 0) help = depth;
        if (depth >= help && depth > 0) continue;
        help = undefined;
      }
      const [, word = '', rest = ''] = /^\s*([\w-]+)\s*(.*?)\s*$/.exec(line) ?? [];
      const inside = (): string[] => [...around, ...blocks.flatMap((b) => b.conditions)];
      switch (word) {
        case 'config':
        case 'menuconfig':
          option = rest;
          entry = { depends: inside(), prompt: false, promptIf: [], choice: blocks.some((b) => b.kind === 'choice') };
          this.entries.set(option, [...(this.entries.get(option) ?? []), entry]);
          break;
        case 'menu':
        case 'choice':
        case 'if':
          entry = undefined;
          blocks.push({ kind: word, conditions: word === 'if' ? [rest] : [] });
          break;
        case 'endmenu':
        case 'endchoice':
        case 'endif':
          entry = undefined;
          blocks.pop();
          break;
        case 'source':
          await this.file(rest.replaceAll('"', ''), inside());
          break;
        case 'comment':
          entry = { depends: [], prompt: false, promptIf: [], choice: false };
          break;
        case 'help':
        case '---help---':
          help = 0;
          break;
        case 'depends': {
          const condition = rest.replace(/^on\s+/, '');
          (entry?.depends ?? blocks.at(-1)?.conditions)?.push(condition);
          break;
        }
        case 'visible':
          blocks.at(-1)?.conditions.push(rest.replace(/^if\s+/, ''));
          break;
        case 'select':
        case 'imply': {
          const chosen = rest.split(/\s/)[0] ?? '';
          if (word === 'select') this.selectors.set(chosen, [...(this.selectors.get(chosen) ?? []), option]);
          break;
        }
        case 'bool':
        case 'tristate':
        case 'int':
        case 'hex':
        case 'string':
        case 'prompt': {
          const [, text, condition] = /^("(?:[^"\\]|\\.)*")?\s*(?:if\s+(.*))?$/.exec(rest) ?? [];
          if (!entry || text === undefined) break;
          entry.prompt = true;
          if (condition !== undefined) entry.promptIf.push(condition);
          break;
        }
      }
    }
  }
}

/** The parts of a conjunction, without outer brackets. */
function conjuncts(expression: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < expression.length; i++) {
    if (expression[i] === '(') depth++;
    else if (expression[i] === ')') depth--;
    else if (depth === 0 && expression.startsWith('||', i)) return [expression.trim()];
    else if (depth === 0 && expression.startsWith('&&', i)) {
      parts.push(expression.slice(start, i).trim());
      start = i + 2;
    }
  }
  return [...parts, expression.slice(start).trim()];
}

/**
 * Whether an expression holds; `m` counts as `y`. Macros such as `$(cc-option,…)` are taken to hold: only Kconfig itself
 * could tell.
 */
export function holds(expression: string, value: (option: string) => string): boolean {
  const words = expression.match(/\$\((?:[^()]|\([^()]*\))*\)|"[^"]*"|&&|\|\||!=|>=|<=|[!=<>()]|[\w./-]+/g) ?? [];
  let at = 0;
  const operand = (): string => {
    const word = words[at++] ?? '';
    if (word.startsWith('$(')) return 'y';
    if (word.startsWith('"')) return word.slice(1, -1);
    return /^(y|n|m|-?\d+|0x[\da-fA-F]+)$/.test(word) ? word : value(word);
  };
  const unary = (): boolean => {
    if (words[at] === '!') {
      at++;
      return !unary();
    }
    if (words[at] === '(') {
      at++;
      const inner = or();
      at++;
      return inner;
    }
    const left = operand();
    const operator = words[at] ?? '';
    if (!/^(!?=|[<>]=?)$/.test(operator)) return left === 'y' || left === 'm';
    at++;
    const right = operand();
    if (operator === '=') return left === right;
    if (operator === '!=') return left !== right;
    const [a, b] = [Number(left), Number(right)];
    return operator === '<' ? a < b : operator === '>' ? a > b : operator === '<=' ? a <= b : a >= b;
  };
  const and = (): boolean => {
    let result = unary();
    while (words[at] === '&&') {
      at++;
      result = unary() && result;
    }
    return result;
  };
  const or = (): boolean => {
    let result = and();
    while (words[at] === '||') {
      at++;
      result = and() || result;
    }
    return result;
  };
  return or();
}

/**
 * Why options are not as a fragment asked.
 * @param config the finished configuration
 * @returns for each a clause that follows `CONFIG_X: asked for y, got n: `
 */
export function whyUntaken(menu: Menu, config: ReadonlyMap<string, string>): (option: UntakenOption) => string {
  const value = (name: string): string => config.get(`CONFIG_${name}`) ?? 'n';
  const failing = (conditions: readonly string[]): string[] => [
    ...new Set(conditions.flatMap(conjuncts).filter((part) => !holds(part, value))),
  ];
  return ({ option, wanted, got }) => {
    const name = option.replace(/^CONFIG_/, '');
    const entries = menu.entries.get(name);
    if (!entries) return 'this source has no such option for this architecture';
    const selectors = menu.selectors.get(name) ?? [];
    const selecting = selectors.filter((s) => value(s) !== 'n');
    if (wanted === 'n' && selecting.length > 0) return `${selecting.join(' and ')} selects it`;
    // Of several definitions the one that lacks least.
    const unmet = entries.map((e) => failing(e.depends)).sort((a, b) => a.length - b.length)[0] ?? [];
    if (unmet.length > 0) return `it depends on ${unmet.map((part) => described(part, value)).join(' and ')}`;
    if (!entries.some((e) => e.prompt)) {
      return selectors.length > 0 ? `nobody can set it; it is selected by ${some(selectors)}` : 'nobody can set it: it follows from others';
    }
    const hidden = entries.filter((e) => e.prompt).map((e) => failing(e.promptIf)).sort((a, b) => a.length - b.length)[0] ?? [];
    if (hidden.length > 0) return `it can be set only with ${hidden.map((part) => described(part, value)).join(' and ')}`;
    if (entries.some((e) => e.choice)) return 'it is one of a choice, of which another was taken';
    return got === undefined ? 'its dependencies could not be found out' : 'another value was taken';
  };
}

function described(part: string, value: (name: string) => string): string {
  const option = /^!?(\w+)$/.exec(part)?.[1];
  return option === undefined ? `"${part}"` : `${part} (${option}=${value(option)})`;
}

function some(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}
