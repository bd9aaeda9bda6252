// SPDX-License-Identifier: MIT
import { readFileSync } from 'node:fs';
import t from 'tap';
import { packagePath } from '../../harness/package-root.js';
import { scenarios } from '../../scenarios/index.js';

/** The peers' cases, by the heading they stand under: upstream's of 7.3, and SUSE's. */
const cases: Readonly<Record<string, readonly string[]>> = {
  'test-livepatch.sh': [
    'basic function patching',
    'multiple livepatches',
    'atomic replace livepatch',
    'module function patching',
    'module function patching (livepatch first)',
  ],
  'test-callbacks.sh': [
    'target module before livepatch',
    'module_coming notifier',
    'module_going notifier',
    'both notifiers',
    'target module not present',
    'pre-patch callback -ENODEV',
    'module_coming + pre-patch callback -ENODEV',
    'multiple target modules',
    'busy target module',
    'multiple livepatches',
    'atomic replace',
  ],
  'test-ftrace.sh': ['ftrace_enabled sysctl', 'trace a livepatched function', 'livepatch a traced function'],
  'test-kprobe.sh': ['with post_handler', 'without post_handler'],
  'test-shadow-vars.sh': ['basic shadow variable API'],
  'test-state.sh': [
    'system state modification',
    'taking over system state modification',
    'compatible cumulative livepatches',
    'incompatible cumulative livepatches',
  ],
  'test-syscall.sh': ['getpid hammered'],
  'test-sysfs.sh': ['basic', 'object/patched', 'replace on', 'replace off', 'stack_order'],
  "SUSE's qa_test_klp": [
    'TC3 under pressure',
    'TC5 quick succession',
    'TC6 CPUs busy',
    'TC7 low memory',
    'TC8 replace-all',
    'TC10 caller of a graph-traced callee',
    'TC11 function sleeping in a fault',
    'TC12 caller of a kretprobed callee',
    'TC13 trace before',
    'TC14 trace after',
    'TC15 graph-trace before',
    'TC16 graph-trace after',
    'TC17 kprobed function fails',
  ],
};

const page = readFileSync(packagePath('docs/coverage.md'), 'utf8');
const sections = new Map(page.split(/^##+ /m).slice(1).map((text) => [text.slice(0, text.indexOf('\n')), text]));
const rowsOf = (section: string): readonly (readonly string[])[] =>
  [...section.matchAll(/^\| (.*) \|$/gm)].map(([, row = '']) => row.split(' | ')).filter(([first]) => first !== 'case');

void t.test('32 of upstream and 13 of SUSE, each with its row and with scenarios', (t) => {
  const all = Object.values(cases).flat().length;
  t.equal(all, 32 + 13);
  for (const [heading, names] of Object.entries(cases)) {
    const rows = rowsOf(sections.get(heading) ?? '');
    t.strictSame(rows.map(([first]) => first), names, heading);
    for (const [name = '', ids = '', more = ''] of rows) {
      t.match(ids, /`[a-z0-9-]+`/, `${name}: a scenario`);
      t.not(more, '', `${name}: what ours check more`);
    }
  }
  t.end();
});

void t.test('every scenario that is named exists', (t) => {
  const known = new Set(scenarios.map((s) => s.id));
  // Names of scenarios are the dashed words; other code is none: `patch_state`, `ftrace_enabled`, `--suite`.
  const named = [...page.matchAll(/`([a-z0-9]+(?:-[a-z0-9]+)+)`/g)].map(([, id = '']) => id);
  t.ok(named.length > 60, `${named.length} are named`);
  for (const id of new Set(named)) t.ok(known.has(id), id);
  t.end();
});
