// SPDX-License-Identifier: MIT
import {
  type ElfObject,
  type Fault,
  type FaultId,
  type LintGeneration,
  type LintMachine,
  type Prediction,
  LivepatchError,
  SHN_LIVEPATCH,
  faultIds,
  faults,
  klpSections,
  predict,
  renameSection,
  withRelocations,
  appendSection,
  withSymbols,
} from '../elf/index.js';
import type { ClauseId } from '../model/catalogue/index.js';
import type { Scenario } from './scenario.js';

/** A clause that a trial tests. */
export interface TrialClause {
  readonly clause: ClauseId;
  /** What the documents want of such a module; left out where they leave it open. */
  readonly documents?: 'refused' | 'works';
  /**
   * What of the trial shows it. `loading`: which references the loader had bound before the module called livepatch. `symbols`:
   * the module's livepatch symbols in kallsyms. What became of the load when left out.
   */
  readonly by?: 'loading' | 'symbols';
}

/** A module that is given to a kernel: a sound one, or one with a fault. */
export interface Trial {
  readonly id: string;
  readonly title: string;
  readonly fault?: FaultId;
  /** @throws LivepatchError (`fault-inapplicable`) where there is no such module for the machine */
  readonly apply: (module: ElfObject) => ElfObject;
  /** The module that is broken is none that is a livepatch. */
  readonly ordinary?: true;
  readonly patchFirst?: true;
  readonly distance?: true;
  readonly harmless?: true;
  readonly clauses: readonly TrialClause[];
}

/** Clauses that faults test. */
const clausesOf: Readonly<Partial<Record<FaultId, readonly TrialClause[]>>> = {
  'EF-01': [{ clause: 'ELF-18', by: 'loading' }],
  'EF-05': [{ clause: 'ELF-2', documents: 'refused' }],
  'EF-05-module': [{ clause: 'ELF-2', documents: 'refused' }],
  'EF-06': [{ clause: 'ELF-3', documents: 'refused' }],
  'EF-07': [{ clause: 'ELF-3', documents: 'refused' }],
  'EF-08': [{ clause: 'ELF-3', documents: 'refused' }],
  'EF-09': [{ clause: 'ELF-4', documents: 'refused' }],
  'EF-09-prefix': [{ clause: 'ELF-4', documents: 'refused' }],
  'EF-13': [{ clause: 'ELF-7', documents: 'refused' }],
  'EF-14': [{ clause: 'ELF-7', documents: 'refused' }],
  'EF-15': [{ clause: 'ELF-7', documents: 'refused' }],
  'EF-18': [{ clause: 'ELF-8', documents: 'refused' }],
  'EF-19': [{ clause: 'ELF-8', documents: 'refused' }],
  'EF-19-negative': [{ clause: 'ELF-8', documents: 'refused' }],
  'EF-25': [{ clause: 'ELF-9' }],
  'EF-26': [{ clause: 'ELF-9' }],
  'EF-28': [{ clause: 'ELF-13', documents: 'works' }],
  'EF-50': [{ clause: 'ELF-14' }],
};

/** Modules that keep to the format, each in a way of its own. */
const soundTrials: readonly Trial[] = [
  {
    id: 'sound',
    title: 'a sound livepatch, with references to vmlinux and to a module',
    apply: (module) => module,
    clauses: [{ clause: 'ELF-1', by: 'loading' }, { clause: 'ELF-10', by: 'symbols' }],
  },
  {
    id: 'sound-before-module',
    title: 'a sound livepatch that is there before the module that it patches',
    apply: (module) => module,
    patchFirst: true,
    clauses: [{ clause: 'ELF-12', documents: 'refused' }],
  },
  {
    id: 'sound-one-dot',
    title: 'a livepatch relocation section with one dot between the object and its section, as in the documents’ examples',
    apply: (module) => renameSection(module, '.klp.rela.vmlinux..text', '.klp.rela.vmlinux.text'),
    clauses: [{ clause: 'ELF-5' }],
  },
  {
    id: 'sound-two-sections',
    title: 'two livepatch relocation sections of one object for one section',
    apply: divided,
    clauses: [{ clause: 'ELF-6', documents: 'refused' }],
  },
  {
    id: 'sound-unnamed-symbol',
    title: 'a livepatch symbol that no relocation names, with a name that does not parse',
    apply: (module) => {
      const spare = module.symbols.find(({ name }) => name === 'klp_fault_spare');
      if (!spare) throw new LivepatchError('fault-inapplicable', 'the module has no symbol klp_fault_spare');
      return withSymbols(module, new Map([[spare.index, { name: '.klp.sym.garbage', shndx: SHN_LIVEPATCH }]]));
    },
    clauses: [{ clause: 'ELF-17' }],
  },
];

/** The last entry in a section of its own, whose name is not the first one's: sysfs would have two files of one name. */
function divided(module: ElfObject): ElfObject {
  const found = klpSections(module).find(({ section }) => section.name === '.klp.rela.vmlinux..text');
  const entries = found ? module.relocations(found.index) : [];
  if (!found || entries.length < 2) throw new LivepatchError('fault-inapplicable', 'the module has no section to divide');
  const { type, flags, link, info, align, entsize } = found.section;
  const first = withRelocations(module, found.index, entries.slice(0, -1));
  const other = appendSection(first, { name: '.klp.rela.vmlinux.text', type, flags, link, info, align, entsize, data: new Uint8Array() });
  return withRelocations(other, other.sections.length - 1, entries.slice(-1));
}

function faultTrial(id: FaultId): Trial {
  const { title, apply, patchFirst, distance, harmless }: Fault = faults[id];
  return {
    id, title, fault: id, apply, clauses: clausesOf[id] ?? [],
    ...(id === 'EF-52' && { ordinary: true }),
    ...(patchFirst && { patchFirst }), ...(distance && { distance }), ...(harmless && { harmless }),
  }; // prettier-ignore
}

/** Every module that `klp run --suite faults` gives to a kernel, sound ones first. */
export const faultTrials: readonly Trial[] = [...soundTrials, ...faultIds.map(faultTrial)];

/** What is expected of a trial. */
export function predictTrial({ fault }: Trial, generation: LintGeneration, machine: LintMachine): Prediction {
  if (fault) return predict(fault, generation, machine);
  return { outcome: { ending: 'sound' }, also: [], tainted: true, remains: 'module and patch' };
}

/** A trial as reports know it. What has its results is `runFaults`. */
export function trialScenario({ id, title, clauses }: Trial): Scenario {
  return {
    id,
    title: `Module format: ${title}`,
    clauses: clauses.map(({ clause }) => clause),
    needs: [],
    modules: [],
    run: () => Promise.reject(new Error('a trial is run by its suite')),
  };
}
