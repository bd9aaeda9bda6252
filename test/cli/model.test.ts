// SPDX-License-Identifier: MIT
import t from 'tap';
import { packagePath } from '../../harness/package-root.js';
import { klp } from './klp.js';

t.setTimeout(120_000);

void t.test('what is allowed, step by step, and what was taken', async (t) => {
  const { status, stdout, stderr } = await klp(['model', 'enable-in-another-order', '--like', '4.14']);
  t.equal(status, 0, stderr);
  t.match(stdout, /^1\. insmod klp_target\n {3}\* OK /m);
  t.match(stdout, /^10\. write "1" to klp_second\/enabled\n {3}\* EBUSY {3}ENA-5 .*the documents forbid it\)\n {5}OK {6}ENA-5 .*\(so the documents/m);
  t.match(stdout, /^ {7}log {5}ENA-4 {3}livepatch: enabling patch 'klp_first'$/m);
  t.match(stdout, /^12\. call of .*\n {5}DIS-4 {3}call of \S+: original$/m);
  t.match(stdout, /^deviates: ENA-5: /m);
});

void t.test('another outcome is taken, and all that follows with it', async (t) => {
  const { status, stdout } = await klp(['model', 'enable-in-another-order', '--like', '4.14', '--take', '10=OK']);
  t.equal(status, 0);
  t.match(stdout, /^ {3}\* OK {6}ENA-5 /m);
  t.match(stdout, /^12\. call of .*\n.*: klp_second$/m);
});

void t.test('capabilities are taken away with their opposites', async (t) => {
  const { status, stdout } = await klp(['model', 'kernel-without-livepatch', '--capabilities', '-livepatch']);
  t.equal(status, 0);
  t.match(stdout, /^ {3}\* ENOEXEC REG-6 /m);
});

void t.test('as JSON, of one that cannot be asked as well', async (t) => {
  const { status, stdout } = await klp(['model', 'kernel-without-livepatch', 'reversal-during-transition', '--json']);
  t.equal(status, 0);
  const objects = stdout.trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
  t.match(objects[0], { scenario: 'kernel-without-livepatch', verdict: 'n/a', reason: /lacks: no-livepatch/ });
  t.match(objects[3], { step: 3, kind: 'operation', operation: { kind: 'load' }, taken: 'OK', allowed: [{ clause: 'ENA-4', oracle: 'mainline' }] });
  t.match(objects.at(-1), { scenario: 'reversal-during-transition', kernel: '7.3', verdict: 'pass' });
});

void t.test("scenarios of a user's own, with what is wrong in them", async (t) => {
  const one = (id: string, clause: string, body: string): string => `
export const ${id} = scenario({ id: '${id}', title: 'Mine', clauses: ['${clause}'], needs: ['livepatch'], modules: [lib, patch],
  async run({ load, api, observe, ...more }) { await load(lib); await load(patch); ${body} } });
`;
  const cwd = t.testdir({
    'mine.ts': `import { livepatch, scenario, target } from '${packagePath('dist/harness/index.js')}';
const lib = target('my_target');
const patch = livepatch('my_patch', { my_target: ['my_target_alpha'] });
${one('good', 'ENA-12', 'await observe.transitionEnd(patch); await observe.call(lib.alpha);')}
${one('silent', 'ENA-12', 'await observe.transitionEnd(patch);')}
${one('undriven', 'ENA-1', 'await api.enable(patch);')}
${one('raw', 'ENA-4', "await more.guest.run('true');")}
`,
  });
  const { status, stdout, stderr } = await klp(['model', 'mine.ts'], { cwd });
  t.equal(status, 3, stderr);
  // A module's exports are in the order of their names.
  const results = stdout.split('\n').filter((line) => /^(pass|error)/.test(line));
  t.match(results, [
    /^pass$/,
    /^error: a dry run has no guest, and the scenario asks for its run$/,
    /^error: nothing judged ENA-12$/,
    /^error: my_patch is not described as driven/,
  ]);
});

void t.test('wrong words', async (t) => {
  const refused = async (words: readonly string[], message: RegExp): Promise<void> => {
    const { status, stderr } = await klp(['model', 'patch-vmlinux-function', ...words]);
    t.equal(status, 2, stderr);
    t.match(stderr, message);
  };
  await refused(['--capabilities', '-immediat'], /no capability "-immediat"\n.*did you mean immediate\?/);
  await refused(['--take', '1=OK'], /step 1 is no operation\n.*operations are: 4, /);
  await refused(['--take', '4=EBUSY'], /step 4 cannot end with EBUSY; allowed: OK/);
});
