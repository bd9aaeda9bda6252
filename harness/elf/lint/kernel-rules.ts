// SPDX-License-Identifier: MIT
import { STB_WEAK, SHN_UNDEF } from '../constants.js';
import { modinfo } from '../modinfo.js';
import type { KlpSymbol } from '../klp.js';
import type { KernelTables, LintedModule } from './module.js';
import { modinfoPlace } from './module-rules.js';
import { always, ignored, refused } from './outcome.js';
import { type Problem, type Rule, undocumented } from './rule.js';
import { objectOf } from './section-rules.js';

/** A check of every livepatch symbol with a sound name that a relocation names, against a kernel. */
function ofEach(
  find: (symbol: NonNullable<KlpSymbol['parsed']>, kernel: KernelTables, module: LintedModule) => string | undefined,
): Rule['check'] {
  return function* (module: LintedModule): Iterable<Problem> {
    const { kernel } = module;
    if (!kernel || !module.livepatch) return;
    for (const { symbol, parsed, marked } of module.named) {
      const message = parsed && marked ? find(parsed, kernel, module) : undefined;
      if (message !== undefined) yield { message: `${symbol.name}: ${message}`, ...module.symbol(symbol, 'st_name') };
    }
  };
}

const sympos = 'module-elf-format.txt 3.3.2: the position is that among the symbols of the same name in the object, 0 if there is one only.';

/** Rules that take the symbol tables of the kernel which the module is for. */
export const kernelRules: readonly Rule[] = [
  {
    code: 'KLP070',
    title: 'a livepatch relocation section for an object that the kernel does not have',
    document: 'module-elf-format.txt 2.2.2: the object is vmlinux or the name of a module.',
    kernels: always(ignored('the section, until a module of that name is loaded')),
    mend: 'Write the name as lsmod does. A module from elsewhere can be given on the command line beside the patch.',
    needsKernel: true,
    *check(module) {
      const { kernel } = module;
      if (!kernel || !module.livepatch) return;
      for (const klp of module.sections) {
        const object = objectOf(klp);
        if (!klp.flagged || object === undefined || kernel.hasObject(object)) continue;
        yield { message: `${klp.section.name}: ${kernel.release} has no module ${object}`, ...module.header(klp.index, 'sh_name') };
      }
    },
  },
  {
    code: 'KLP071',
    title: 'a livepatch symbol that its object does not have',
    document: 'module-elf-format.txt 3.3.2: the symbol is the one of the object.',
    kernels: always(refused('EINVAL', "symbol '*' not found in symbol table")),
    mend: 'Look the name up in /proc/kallsyms: compilers add suffixes, and the symbol may be of another object.',
    needsKernel: true,
    check: ofEach(({ object, symbol }, kernel, { sections }) => {
      const count = kernel.count(object, symbol);
      // Where a section is for that object, it is the section that is said to be for nothing.
      if (count === undefined) return sections.some((klp) => objectOf(klp) === object) ? undefined : `${kernel.release} has no module ${object}`;
      return count === 0 ? `${kernel.release} has no such symbol in ${object}` : undefined;
    }),
  },
  {
    code: 'KLP072',
    title: 'a livepatch symbol with position 0 that its object has several times',
    document: sympos,
    kernels: always(refused('EINVAL', "unresolvable ambiguity for symbol '*' in object '*'")),
    mend: 'Say which: count the lines of that name and object in /proc/kallsyms, from 1.',
    needsKernel: true,
    check: ofEach(({ object, symbol, sympos: position }, kernel) => {
      const count = kernel.count(object, symbol) ?? 0;
      return position === 0 && count > 1 ? `${object} has ${count} of that name` : undefined;
    }),
  },
  {
    code: 'KLP073',
    title: 'a livepatch symbol with a position greater than the number of symbols',
    document: sympos,
    kernels: always(refused('EINVAL', "symbol position * for symbol '*' in object '*' not found")),
    mend: 'Count the lines of that name and object in /proc/kallsyms, from 1.',
    needsKernel: true,
    check: ofEach(({ object, symbol, sympos: position }, kernel) => {
      const count = kernel.count(object, symbol) ?? 0;
      return count > 0 && position > count ? `${object} has ${count} of that name` : undefined;
    }),
  },
  {
    code: 'KLP074',
    title: 'vermagic of another kernel',
    document: undocumented,
    kernels: always(refused('ENOEXEC', "*version magic '*' should be '*'")),
    mend: 'Build the module against the headers of the kernel it is for.',
    needsKernel: true,
    *check(module) {
      const { kernel, object } = module;
      const own = modinfo(object, 'vermagic');
      if (!kernel || own === undefined) return;
      const wanted = kernel.vermagic?.trim();
      const same = wanted === undefined ? own.startsWith(`${kernel.release} `) : own.trim() === wanted;
      if (!same) yield { message: `'${own.trim()}' should be '${wanted ?? `${kernel.release} …`}'`, ...modinfoPlace(module, 'vermagic') };
    },
  },
  {
    code: 'KLP075',
    title: 'an undefined symbol that nothing exports',
    document: 'module-elf-format.txt 0.1: the loader cannot resolve such references, and rejects the module.',
    kernels: always(refused('ENOENT', '*Unknown symbol * (err *)')),
    mend: 'Turn it into a livepatch symbol (module-elf-format.txt 3), or load the module that exports it first.',
    needsKernel: true,
    *check(module) {
      const { kernel } = module;
      if (!kernel?.exports) return;
      for (const symbol of module.object.symbols) {
        if (symbol.index === 0 || symbol.shndx !== SHN_UNDEF || symbol.bind === STB_WEAK || symbol.name === '') continue;
        if (symbol.name.startsWith('.klp.sym.') || kernel.exports(symbol.name)) continue;
        yield { message: `${symbol.name} is exported neither by ${kernel.release} nor by a module of it`, ...module.symbol(symbol, 'st_name') };
      }
    },
  },
];
