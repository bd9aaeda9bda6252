// SPDX-License-Identifier: MIT

/**
 * Kernel modules as ELF objects: read, change, write back; the livepatch formats of
 * Documentation/livepatch/module-elf-format.txt; conversion to them; faults. Pure: bytes in, bytes out.
 */
export * from './constants.js';
export { ElfError, LivepatchError, type LivepatchErrorKind } from './errors.js';
export {
  ElfObject,
  type ElfHeader,
  type ElfPadding,
  type ElfParts,
  type ElfRelocation,
  type ElfSection,
  type ElfSymbol,
} from './object.js';
export { readObject } from './read.js';
export { writeObject } from './write.js';
export {
  appendSection,
  withRelocations,
  withSection,
  withSymbols,
  type NewSection,
  type SectionEdit,
  type SymbolEdit,
} from './edit.js';
export {
  isLivepatch,
  modinfo,
  modinfoFields,
  withModinfo,
  withoutModinfo,
  type ModinfoField,
} from './modinfo.js';
export {
  formatKlpSectionName,
  formatKlpSymbolName,
  klpNameLimits,
  klpSections,
  klpSymbols,
  namesSection,
  parseKlpSectionName,
  parseKlpSymbolName,
  type KlpSection,
  type KlpSectionName,
  type KlpSymbol,
  type KlpSymbolName,
} from './klp.js';
export {
  convertToLivepatch,
  requireResolved,
  undefinedSymbols,
  unresolvedSymbols,
  type Conversion,
  type ConvertedSymbol,
  type KlpTarget,
} from './convert.js';
export { lint, outcomeOf, severityOf, type LintFinding, type LintOptions, type LintReport, type Severity } from './lint/lint.js';
export type { KernelTables } from './lint/module.js';
export {
  lintGenerationOf,
  lintGenerations,
  lintMachines,
  logPattern,
  outcomeText,
  type Ending,
  type LintGeneration,
  type LintMachine,
  type Outcome,
  type Outcomes,
} from './lint/outcome.js';
export type { Place, Problem, Rule, RuleCode } from './lint/rule.js';
export { lintPage } from './lint/page.js';
export { ruleOf, rules } from './lint/rules.js';
export { lintSarif } from './lint/sarif.js';
export { lintJson, lintJsonVersion, lintLines, type LintedFile } from './lint/text.js';
export { symposOf, type KallsymsEntry } from './sympos.js';
export {
  behaviourOf,
  behaviours,
  disagreements,
  expectedBehaviour,
  explained,
  faultIds,
  faults,
  predict,
  renameSection,
  seenText,
  setSectionFlags,
  type Behaviour,
  type Fault,
  type FaultId,
  type FaultSeen,
  type Prediction,
  type Reference,
} from './faults/index.js';
