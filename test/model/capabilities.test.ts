// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import t from 'tap';
import {
  type GuestFacts,
  type ProbeFacts,
  capabilities,
  capabilityTexts,
  onlyInGuest,
  present,
  probe,
  probedFiles,
  probedStrings,
} from '../../harness/model/capabilities.js';

const [sigEnforce, lockdown] = probedFiles;
const config = '# header\nCONFIG_LIVEPATCH=y\nCONFIG_HAVE_RELIABLE_STACKTRACE=y\n';
const header414 = 'struct klp_patch {\n\tbool immediate;\n};\nint klp_register_patch(struct klp_patch *);';

function facts(livepatchHeader: string, more: Partial<ProbeFacts> = {}): ProbeFacts {
  return { config, headers: { 'linux/livepatch.h': livepatchHeader, 'linux/ftrace.h': '' }, guest: undefined, ...more };
}

function guest(symbols: Readonly<Record<string, string>>, more: Partial<GuestFacts> = {}): GuestFacts {
  return { symbols: new Map(Object.entries(symbols)), files: new Map(), strings: new Set(), words: new Set(), ...more };
}

function found(from: ProbeFacts): string[] {
  return [...present(probe(from))].sort();
}

void t.test('probes look at configuration, headers, symbols, files and the image', (t) => {
  t.strictSame(
    found(facts(header414, { guest: guest({ enabled_kobj_attr: 'd', arch_klp_init_object_loaded: 'T' }) })),
    ['architecture-sections', 'ftrace-saves-registers', 'immediate', 'livepatch', 'registration', 'reliable-stacks'],
  );
  const later = facts('int klp_apply_section_relocs(void);\nstruct klp_callbacks {};\nbool replace;', {
    guest: guest({ force_kobj_attr: 'd', patched_kobj_attr: 'd', clear_relocate_add: 'T' }, { strings: new Set(probedStrings) }),
  });
  t.strictSame(found(later), [
    'callbacks', 'ftrace-finds-sites', 'ftrace-saves-registers', 'ftrace-stays-on', 'kprobes-report-errors', 'livepatch',
    'long-symbol-names', 'reliable-stacks', 'relocations-at-load', 'relocations-checked', 'relocations-cleared', 'replace', 'sysfs-force', 'sysfs-patched',
  ]);
  t.end();
});

void t.test('a kernel without livepatch has nothing of it, whatever its headers describe', (t) => {
  const without = facts(header414, { config: '# CONFIG_LIVEPATCH is not set\nCONFIG_KPROBES=y\n', guest: guest({ force_kobj_attr: 'd' }) });
  t.strictSame(found(without), ['kprobes', 'no-livepatch']);
  t.end();
});

void t.test('a weak function is no architecture that clears relocations', (t) => {
  const finding = probe(facts('', { guest: guest({ clear_relocate_add: 'W' }) })).get('relocations-cleared');
  t.strictSame(finding, { has: false, evidence: 'symbol clear_relocate_add of type W' });
  t.end();
});

void t.test('what a boolean may be is asked of a file that has nothing to do with livepatch', (t) => {
  const words = (...taken: string[]): string[] => found(facts('', { guest: guest({}, { words: new Set(taken) }) }));
  t.notOk(words().includes('true-false'));
  t.ok(words('t', 'f').includes('true-false'));
  t.notOk(words('t', 'f', 'e').includes('enabled-disabled'));
  t.ok(words('t', 'f', 'e', 'd').includes('enabled-disabled'));
  t.end();
});

void t.test('signatures are enforced by configuration, by a parameter, or by lockdown', (t) => {
  const enforced = (more: Partial<ProbeFacts>): unknown => probe(facts('', more)).get('signatures-enforced');
  t.equal(enforced({}), undefined, 'a guest has to be asked');
  t.match(enforced({ config: `${config}CONFIG_MODULE_SIG_FORCE=y\n` }), { has: true, evidence: 'CONFIG_MODULE_SIG_FORCE=y' });
  const withFile = (path: string, text: string): unknown => enforced({ guest: guest({}, { files: new Map([[path, text]]) }) });
  t.match(withFile(sigEnforce, 'Y\n'), { has: true, evidence: `${sigEnforce}: Y` });
  t.match(withFile(sigEnforce, 'N\n'), { has: false });
  t.match(withFile(lockdown, 'none [integrity] confidentiality\n'), { has: true });
  t.match(withFile(lockdown, '[none] integrity confidentiality\n'), { has: false });
  t.end();
});

void t.test('an image that could not be searched is no proof, and says so', (t) => {
  const finding = probe(facts('', { guest: guest({}, { strings: undefined }) })).get('long-symbol-names');
  t.match(finding, { has: false, evidence: /^the image could not be searched/ });
  t.end();
});

void t.test('what a guest shows adds to what files show, and takes nothing away', (t) => {
  const options = fc.subarray(['LIVEPATCH', 'HAVE_RELIABLE_STACKTRACE', 'MODULE_SIG_FORCE', 'KPROBES', 'MODVERSIONS']);
  const symbols = fc.dictionary(fc.constantFrom('force_kobj_attr', 'klp_signals_cnt', 'clear_relocate_add'), fc.constantFrom('T', 'W', 'd'));
  fc.assert(
    fc.property(options, symbols, (set, names) => {
      const files = facts(header414, { config: set.map((name) => `CONFIG_${name}=y\n`).join('') });
      const before = probe(files);
      const after = probe({ ...files, guest: guest(names) });
      for (const [name, finding] of before) t.strictSame(after.get(name), finding);
      const later = onlyInGuest(files);
      for (const name of after.keys()) t.equal(later.has(name), !before.has(name), name);
      t.equal(present(after).has('livepatch'), !present(after).has('no-livepatch'));
    }),
  );
  t.end();
});

void t.test('each has a text', (t) => {
  for (const name of capabilities) t.match(capabilityTexts[name], /\S/);
  t.end();
});
