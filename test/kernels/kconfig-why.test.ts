// SPDX-License-Identifier: MIT
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { holds, readKconfig, whyUntaken } from '../../kernels/kconfig-why.js';

const folder = await mkdtemp(join(tmpdir(), 'klp-why-'));
t.teardown(() => rm(folder, { recursive: true, force: true }));
await mkdir(join(folder, 'arch/x86'), { recursive: true });
await writeFile(
  join(folder, 'Kconfig'),
  `mainmenu "x"
source "arch/$(SRCARCH)/Kconfig"
config KALLSYMS_ALL
	bool "all"
	help
	  config NOT_AN_OPTION
	    depends on NOTHING
menu "Patching"
	depends on MODULES
config LIVEPATCH
	bool "live"
	depends on KALLSYMS_ALL && (A || B)
	depends on $(cc-option,-mfentry)
config PROC_SYSCTL
	bool "sysctl" if EXPERT
	select SYSCTL
endmenu
config SYSCTL
	bool
config DERIVED
	def_bool y
if B
config INNER
	bool "inner"
endif
choice
	prompt "unwinder"
config ONE
	bool "one"
config TWO
	bool "two"
endchoice
`,
);
await writeFile(join(folder, 'arch/x86/Kconfig'), 'config MODULES\n\tbool "modules"\nconfig A\n\tbool\nconfig B\n\tbool "b"\n');
const menu = await readKconfig(folder, 'x86');

function why(option: string, config: Record<string, string>, wanted = 'y'): string {
  const made = new Map(Object.entries(config).map(([name, value]) => [`CONFIG_${name}`, value]));
  return whyUntaken(menu, made)({ option: `CONFIG_${option}`, wanted, got: config[option] });
}

void t.test('what an option lacks is named', (t) => {
  t.equal(why('NO_SUCH', {}), 'this source has no such option for this architecture');
  t.equal(why('NOT_AN_OPTION', {}), 'this source has no such option for this architecture');
  t.equal(why('LIVEPATCH', { MODULES: 'y', A: 'y' }), 'it depends on KALLSYMS_ALL (KALLSYMS_ALL=n)');
  t.equal(why('LIVEPATCH', { KALLSYMS_ALL: 'y' }), 'it depends on MODULES (MODULES=n) and "(A || B)"');
  t.equal(why('INNER', {}), 'it depends on B (B=n)');
  t.equal(why('SYSCTL', {}), 'nobody can set it; it is selected by PROC_SYSCTL');
  t.equal(why('PROC_SYSCTL', { MODULES: 'y' }), 'it can be set only with EXPERT (EXPERT=n)');
  t.equal(why('SYSCTL', { SYSCTL: 'y', PROC_SYSCTL: 'y' }, 'n'), 'PROC_SYSCTL selects it');
  t.equal(why('DERIVED', {}), 'nobody can set it: it follows from others');
  t.equal(why('TWO', { ONE: 'y', TWO: 'n' }), 'it is one of a choice, of which another was taken');
  t.end();
});

void t.test('conditions mean what they mean in Kconfig', (t) => {
  const value = (name: string): string => ({ Y: 'y', M: 'm', N: 'n', FIVE: '5' })[name] ?? 'n';
  for (const yes of ['Y', 'M', '!N', 'N || Y', 'Y && (N || M)', 'FIVE = 5', 'FIVE>4', 'N!=y', '$(success,test -e /)', '!(N && Y)', 'M != "y"']) {
    t.ok(holds(yes, value), yes);
  }
  for (const no of ['N', 'UNKNOWN', 'Y && N', '!Y', 'FIVE < 5', 'Y = n', 'N || !M']) t.notOk(holds(no, value), no);
  const expression = fc.letrec<{ e: string }>((tie) => ({
    e: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom('Y', 'N', 'M'),
      tie('e').map((e) => `!(${e})`),
      fc.tuple(tie('e'), tie('e')).map(([a, b]) => `(${a}) && (${b})`),
      fc.tuple(tie('e'), tie('e')).map(([a, b]) => `(${a}) || (${b})`),
    ),
  })).e;
  fc.assert(fc.property(expression, (text) => holds(text, value) !== holds(`!(${text})`, value)));
  t.end();
});
