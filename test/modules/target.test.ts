// SPDX-License-Identifier: MIT
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { type ElfObject, readObject, withSymbols, writeObject } from '../../harness/elf/index.js';
import { livepatch, target } from '../../harness/model/description.js';
import { buildModules, moduleKey } from '../../harness/modules/build.js';
import { kbuild } from '../../harness/modules/kbuild.js';
import { livepatchSource } from '../../harness/modules/source.js';
import { finishTarget, targetSource } from '../../harness/modules/target.js';
import { withTemplates } from '../../harness/modules/template.js';
import { findKernel } from '../../kernels/catalogue.js';
import { stockKernel } from '../e2e/kernel.js';

const stock = await stockKernel();
const names = ['bullseye-x86_64', 'bookworm-x86_64', 'trixie-x86_64', 'trixie-backports-x86_64', 'built-7-x86_64', 'built-7-arm64'];
const cached = (await Promise.all(names.map(async (name) => (await findKernel(name)).cached()))).filter((k) => k !== undefined);
const lib = target('klp_target');
const failing = target('klp_failing', { failing: true });
const patches = [
  livepatch('klp_driven', { klp_target: ['klp_target_alpha'] }, { driven: true }),
  livepatch('klp_nulls', [{ name: 'm', functions: null }, { name: 'm', functions: [{ name: null }] }], { orphan: true, marked: 'N' }),
  livepatch('klp_none', null),
  livepatch('klp_odd', { vmlinux: [{ name: 'x'.repeat(130), replacement: 'nowhere' }], ['o'.repeat(60)]: ['f', 'f'] }),
];

void t.test('targets and odd patches are compiled by every kernel at hand', async (t) => {
  for (const kernel of cached) {
    const facts = { kernel, dialect: 'enable-only' as const, kallsyms: [] };
    const built = await buildModules(facts, [lib, failing, ...patches], () => undefined);
    for (const [, module] of built) t.notMatch(module, { error: Error }, kernel.name);
    for (const { name } of [lib, failing]) {
      const module = built.get(moduleKey(name === lib.name ? lib : failing));
      if (!module || 'error' in module) continue;
      const { symbols } = readObject(await readFile(module.file));
      const twins = symbols.filter((s) => s.name === `${name}_twin`);
      t.match(twins, [{ bind: 0, type: 2 }, { bind: 0, type: 2 }], `${kernel.name}: two local functions of one name`);
      t.match(symbols.filter((s) => s.name === `${name}_datum`), [{ type: 1 }]);
      t.match(symbols.filter((s) => s.name === `${name}_quiet`), [{ type: 2 }]);
      const [alpha, beta] = ['alpha', 'beta'].map((key) => symbols.find((s) => s.name === `${name}_${key}`));
      t.ok(alpha?.shndx !== undefined && alpha.shndx === beta?.shndx, 'neighbours in memory');
      t.ok(Number(beta?.value) - Number(alpha?.value) - Number(alpha?.size) < 64, `${kernel.name}: nothing between them but padding`);
      const [first, second] = twins;
      t.ok(first && second && first.value < second.value, 'in the order they are written in');
    }
  }
});

/** A target module as the compiler leaves it. */
async function raw(source: string, name = 'klp_target'): Promise<ElfObject> {
  let object: ElfObject | undefined;
  await kbuild(stock, [{ name, source }], async (_name, file) => void (object = readObject(await readFile(file))));
  if (!object) throw new Error('nothing was built');
  return object;
}

void t.test('what the compiler may do to a target module is noticed', async (t) => {
  const source = await withTemplates(await targetSource(lib));
  const strict = ['function', 'variable', 'value', 'const-variable=1'].map((w) => `#pragma GCC diagnostic error "-Wunused-${w}"`);
  const object = await raw([...strict, '#pragma GCC diagnostic error "-Wmissing-prototypes"', source].join('\n'));
  const index = (name: string): number => object.symbols.findIndex((s) => s.name === name);
  const finished = finishTarget(object, lib);
  t.equal(readObject(writeObject(finished)).symbols[index('klp_target_twin_second')]?.name, 'klp_target_twin');
  t.equal(index('klp_target_twin') < index('klp_target_twin_second'), true);

  const edited = (name: string, edit: { name?: string; shndx?: number; info?: number }): ElfObject =>
    withSymbols(object, new Map([[index(name), edit]]));
  const refused = (changed: ElfObject, message: RegExp): void => {
    t.throws(() => finishTarget(changed, lib), { message });
  };
  refused(edited('klp_target_beta', { name: 'klp_target_beta.part.0' }), /^the compiler made 0 of 1 symbols klp_target_beta$/);
  refused(edited('klp_common', { shndx: 0 }), /^the compiler made 0 of 1 symbols klp_common$/);
  refused(edited('klp_target_datum', { info: 2 }), /^klp_target_datum has symbol type 2$/);
  refused(edited('klp_target_twin', { info: 0x12 }), /^one of several symbols klp_target_twin is not local$/);
  refused(edited('klp_target_twin_second', { name: 'gone' }), /^the compiler changed the order of the functions klp_target_twin$/);
  const swapped = new Map([
    [index('klp_target_twin'), { name: 'klp_target_twin_second' }],
    [index('klp_target_twin_second'), { name: 'klp_target_twin' }],
  ]);
  refused(withSymbols(object, swapped), /^the compiler changed the order of the functions klp_target_twin$/);

  const traced = await raw(source.replaceAll('WHOLE notrace', 'WHOLE'));
  refused(traced, /^klp_target_quiet has an ftrace site, though it is notrace$/);
  const untraced = await raw(source.replace('static WHOLE const char *klp_common', 'static WHOLE notrace const char *klp_common'));
  refused(untraced, /^klp_common has no ftrace site$/);
});

void t.test('a patch that is immediate does not compile where the kernel declares no such field', async (t) => {
  const patch = livepatch('klp_now', { m: [] }, { immediate: true });
  await t.rejects(raw(livepatchSource(patch, 'enable-only'), patch.name), { message: /^kbuild of klp_now for / });
});
