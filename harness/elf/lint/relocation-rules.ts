// SPDX-License-Identifier: MIT
import { SHF_ALLOC, SHF_RELA_LIVEPATCH, SHT_NOBITS, SHT_RELA } from '../constants.js';
import { objectOf } from './section-rules.js';
import { scannedName } from './symbol-rules.js';
import type { KlpRelocation, LintedModule } from './module.js';
import { always, crashes, depends, refused, sound, wrong } from './outcome.js';
import { sizeOf, x86, x86Sizes } from './relocation-types.js';
import { type Problem, type Rule, undocumented } from './rule.js';

type Field = 'r_offset' | 'r_info' | 'r_addend';

/** A check of every livepatch relocation, in a module that is a livepatch. */
function ofEach(field: Field, find: (relocation: KlpRelocation, module: LintedModule) => string | undefined): Rule['check'] {
  return function* (module): Iterable<Problem> {
    if (!module.livepatch) return;
    for (const relocation of module.relocations) {
      const message = find(relocation, module);
      if (message === undefined) continue;
      yield {
        message: `${relocation.klp.section.name}, entry ${relocation.number}: ${message}`,
        ...module.relocation(relocation, field),
      };
    }
  };
}

/** Rules about the entries of livepatch relocation sections. */
export const relocationRules: readonly Rule[] = [
  {
    code: 'KLP050',
    title: "a module's livepatch relocation that names a symbol of vmlinux",
    document:
      "module-elf-format.txt 2.2.5: the document's own example has a section for btrfs that names symbols of vmlinux.",
    kernels: {
      '4.14': sound,
      '5.10': refused('EINVAL', "invalid access to vmlinux symbol '*' from module-specific livepatch relocation section"),
    },
    mend: 'Move the relocation to `.klp.rela.vmlinux.<section>`: it is applied with the patch itself.',
    check: ofEach('r_info', ({ klp, symbol }) => {
      const object = objectOf(klp);
      const named = scannedName(symbol?.name ?? '')?.object;
      return object !== undefined && object !== 'vmlinux' && named === 'vmlinux' ? symbol?.name : undefined;
    }),
  },
  {
    code: 'KLP051',
    title: "a livepatch relocation of vmlinux that names a module's symbol",
    document: 'module-elf-format.txt 2.1: relocations for modules that are not loaded are applied once they are.',
    kernels: always(depends('refused with EINVAL unless the module is loaded when the patch is')),
    mend: 'Move the relocation to `.klp.rela.<module>.<section>`, or list the module in `depends`.',
    check: ofEach('r_info', ({ klp, symbol }) => {
      const named = scannedName(symbol?.name ?? '')?.object;
      return objectOf(klp) === 'vmlinux' && named !== undefined && named !== 'vmlinux' ? symbol?.name : undefined;
    }),
  },
  {
    code: 'KLP052',
    title: 'a livepatch relocation that names no symbol of the table',
    document: 'ELF gABI, "Relocation": r_info has the index of a symbol.',
    kernels: always(crashes('what lies behind the symbol table is taken for a symbol')),
    mend: 'The tool that changed the symbol table must renumber the relocations.',
    check: ofEach('r_info', ({ symbol, entry }, { object }) =>
      symbol ? undefined : `symbol ${entry.symbol} of ${object.symbols.length}`,
    ),
  },
  {
    code: 'KLP053',
    title: 'a livepatch relocation beyond the end of the section it relocates',
    document: 'ELF gABI, "Relocation": r_offset is a place in the section.',
    kernels: always(crashes('what lies behind the section is written to')),
    mend: 'The tool that changed the section must move the relocations with its contents.',
    check: ofEach('r_offset', ({ entry, target }, module) => {
      const end = entry.offset + BigInt(sizeOf(module, entry.type) ?? 1);
      if (!target || (target.flags & SHF_ALLOC) === 0n || end <= BigInt(target.size)) return undefined;
      return `0x${entry.offset.toString(16)} in ${target.name} of ${target.size} bytes`;
    }),
  },
  {
    code: 'KLP054',
    title: 'a livepatch relocation of a place that is not zero',
    document: undocumented,
    kernels: {
      '4.14': refused('ENOEXEC', 'Skipping invalid relocation target, existing value is nonzero for type *'),
      '6.12': refused('ENOEXEC', 'Invalid relocation target, existing value is nonzero for *'),
    },
    arm64: always(sound),
    mend: 'Clear what the assembler wrote there: with SHT_RELA the addend is in the entry.',
    check: ofEach('r_offset', ({ entry, target }, module) => {
      const size = module.machine === 'x86_64' ? (x86Sizes.get(entry.type) ?? 0) : 0;
      if (!target || (target.flags & SHF_ALLOC) === 0n || target.type === SHT_NOBITS || entry.offset > BigInt(target.data.length)) return undefined;
      const place = target.data.subarray(Number(entry.offset), Number(entry.offset) + size);
      return place.some((byte) => byte !== 0) ? `${target.name} has bytes other than 0 at 0x${entry.offset.toString(16)}` : undefined;
    }),
  },
  {
    code: 'KLP055',
    title: 'a livepatch relocation of a place that is relocated already',
    document: 'module-elf-format.txt 2.1: relocation sections and the sections to which they apply correspond one to one.',
    kernels: {
      '4.14': refused('ENOEXEC', 'Skipping invalid relocation target, existing value is nonzero for type *'),
      '6.12': refused('ENOEXEC', 'Invalid relocation target, existing value is nonzero for *'),
    },
    arm64: always(wrong('the one that is applied last counts')),
    mend: 'Take the entry out of one of the sections.',
    check: relocatedTwice,
  },
  {
    code: 'KLP056',
    title: 'a livepatch relocation of a type that the kernel does not have',
    document: 'The supplement of the ELF gABI for the processor has many; modules may use few.',
    kernels: always(refused('ENOEXEC', '*Unknown rela relocation: *')),
    arm64: always(refused('ENOEXEC', '*unsupported RELA relocation: *')),
    mend: 'Compile as kbuild does: without position-independent code and thread-local storage.',
    check: ofEach('r_info', ({ entry }, module) => (sizeOf(module, entry.type) === undefined ? `type ${entry.type}` : undefined)),
  },
  {
    code: 'KLP057',
    title: 'a livepatch relocation of type R_X86_64_PC64',
    document: undocumented,
    kernels: { '4.14': refused('ENOEXEC', '*Unknown rela relocation: 24'), '5.10': sound },
    arm64: always(sound),
    mend: 'Kernels before 5.0 take R_X86_64_PC32 and R_X86_64_64.',
    check: ofEach('r_info', ({ entry }, { machine }) =>
      machine === 'x86_64' && entry.type === x86.PC64 ? 'R_X86_64_PC64' : undefined,
    ),
  },
  {
    code: 'KLP058',
    title: 'a livepatch relocation of type R_X86_64_32',
    document: 'x86-64 psABI: R_X86_64_32 is for addresses of 32 bits, extended with zeros; those of the kernel are above.',
    kernels: always(refused('ENOEXEC', 'overflow in relocation type 10 *')),
    arm64: always(sound),
    mend: 'Compile with -mcmodel=kernel.',
    check: ofEach('r_info', ({ entry }, { machine }) =>
      machine === 'x86_64' && entry.type === x86.ABS32 ? 'R_X86_64_32 cannot hold an address of the kernel' : undefined,
    ),
  },
  {
    code: 'KLP059',
    title: 'a relative livepatch relocation with an addend that 32 bits do not hold',
    document: 'x86-64 psABI: the result of R_X86_64_PC32 has 32 bits.',
    kernels: always(wrong('the upper half is cut off, without a word')),
    arm64: always(refused('ENOEXEC', '*overflow in relocation type *')),
    mend: 'The addend is no distance within a symbol: look at what wrote it.',
    check: ofEach('r_addend', ({ entry }, { machine }) => {
      const relative = machine === 'x86_64' ? entry.type === x86.PC32 || entry.type === x86.PLT32 : entry.type === 261;
      const fits = entry.addend >= -(2n ** 31n) && entry.addend < 2n ** 31n;
      return relative && !fits ? `addend ${entry.addend}` : undefined;
    }),
  },
];

/** Livepatch relocations of bytes that another relocation of the same section writes, too. */
function* relocatedTwice(module: LintedModule): Iterable<Problem> {
  if (!module.livepatch) return;
  const { object } = module;
  const targets = new Set(module.relocations.map(({ klp }) => klp.section.info));
  const taken = new Map<number, Set<bigint>>();
  for (const [index, section] of object.sections.entries()) {
    const ordinary = section.type === SHT_RELA && (section.flags & SHF_RELA_LIVEPATCH) === 0n;
    if (!ordinary || !targets.has(section.info)) continue;
    const places = taken.get(section.info) ?? new Set();
    taken.set(section.info, places);
    for (const { offset, type } of object.relocations(index)) if (sizeOf(module, type) !== 0) places.add(offset);
  }
  for (const relocation of module.relocations) {
    const { klp, entry, target } = relocation;
    if (sizeOf(module, entry.type) === 0) continue;
    const places = taken.get(klp.section.info) ?? new Set();
    taken.set(klp.section.info, places);
    if (places.has(entry.offset)) {
      const message = `${klp.section.name}, entry ${relocation.number}: 0x${entry.offset.toString(16)} in ${target?.name ?? 'nowhere'} is relocated twice`;
      yield { message, ...module.relocation(relocation, 'r_offset') };
    }
    places.add(entry.offset);
  }
}

