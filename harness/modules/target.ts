// SPDX-License-Identifier: MIT
import { type ElfObject, type ElfSymbol, withSymbols } from '../elf/index.js';
import { InfrastructureError } from '../errors.js';
import { type TargetDescription, type TargetSymbol, targetKeys, targetSymbols } from '../model/description.js';
import { template } from './template.js';

/** The C source of a target module; its includes are templates. */
export async function targetSource(target: TargetDescription): Promise<string> {
  const [licence = '', ...rest] = (await template('target.c')).split('\n');
  return [licence, `#define TARGET ${target.name}`, ...(target.failing ? ['#define FAILING'] : []), ...rest].join('\n');
}

/**
 * A target module as it is loaded: its second twin has the name of the first.
 *
 * @throws InfrastructureError when a function is not as patches of it need it: whole, and with an ftrace site unless it is
 *   meant to have none
 */
export function finishTarget(object: ElfObject, { name }: TargetDescription): ElfObject {
  const twin = `${name}_twin`;
  const second = object.symbols.findIndex((s) => s.name === `${twin}_second`);
  const first = object.symbols.findIndex((s) => s.name === twin);
  if (first < 0 || second < first) throw new InfrastructureError(`the compiler changed the order of the functions ${twin}`);
  const result = withSymbols(object, new Map([[second, { name: twin }]]));
  for (const key of targetKeys) checkSymbol(result, name, targetSymbols[key]);
  return result;
}

/** STB_LOCAL, STT_OBJECT and STT_FUNC of the gABI. */
const local = 0;
const data = 1;
const code = 2;

function checkSymbol(object: ElfObject, target: string, wanted: TargetSymbol): void {
  const name = wanted.symbol(target);
  const namesakes = object.symbols.filter((s) => s.name === name && s.shndx !== 0);
  const symbol = namesakes[wanted.position - 1];
  if (!symbol || namesakes.length !== wanted.of) {
    throw new InfrastructureError(`the compiler made ${namesakes.length} of ${wanted.of} symbols ${name}`);
  }
  if (symbol.type !== (wanted.what === 'data' ? data : code)) throw new InfrastructureError(`${name} has symbol type ${symbol.type}`);
  if (wanted.of > 1 && symbol.bind !== local) throw new InfrastructureError(`one of several symbols ${name} is not local`);
  const sites = hasFtraceSite(object, symbol);
  if (wanted.what === 'function' && !sites) {
    throw new InfrastructureError(`${name} has no ftrace site`, {
      hint: 'the kernel must be built with CONFIG_DYNAMIC_FTRACE, and modules with its compiler flags',
    });
  }
  if (wanted.what === 'untraced' && sites) throw new InfrastructureError(`${name} has an ftrace site, though it is notrace`);
}

/** Whether one of the places that ftrace may patch lies in a function, or in the room before it that belongs to no other. */
function hasFtraceSite(object: ElfObject, symbol: ElfSymbol): boolean {
  const sites = object.sections.flatMap((section, index) =>
    /^\.rela(__mcount_loc|__patchable_function_entries)/.test(section.name) ? object.relocations(index) : [],
  );
  const functions = object.symbols.filter((s) => s.type === code && s.shndx === symbol.shndx);
  return sites.some((site) => {
    const base = object.symbols[site.symbol];
    if (base?.shndx !== symbol.shndx) return false;
    const at = base.value + site.addend;
    if (at >= symbol.value) return at < symbol.value + symbol.size;
    return at >= symbol.value - 16n && !functions.some((f) => at >= f.value && at < f.value + f.size);
  });
}
