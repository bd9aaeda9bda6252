// SPDX-License-Identifier: MIT
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { catalogue } from '../../kernels/catalogue.js';
import { type Plan, planSchema, unsound } from '../../harness/runner/plan.js';
import { klp } from './klp.js';

const names = (await catalogue()).map((k) => k.name);
const two = ['no-livepatch-field', 'missing-symbol'];

function refused(name: string, args: readonly string[], files: Record<string, string>, ...patterns: readonly RegExp[]): void {
  void t.test(name, async (t) => {
    const { status, stderr } = await klp(args, { cwd: t.testdir(files) });
    t.equal(status, 2, stderr);
    for (const pattern of patterns) t.match(stderr, pattern);
  });
}

refused('a kernel that is not there', ['plan', '--kernels', 'stock,bookwrm-arm64'], {}, /unknown kernel "bookwrm-arm64"/);
refused('a format that is not there', ['plan', '--format', 'jenkins'], {}, /Allowed choices are github, gitlab, json/);
refused('a shard that is none', ['run', '--shard', '3/2'], {}, /--shard 3\/2: give which of how many/);
refused('a plan without a shard', ['run', '--plan', 'p'], { p: '{}' }, /--plan needs --shard/);
refused('a plan that is not there', ['run', '--plan', 'p', '--shard', '1/2'], {}, /can't read the plan p/);
refused('a plan that is none', ['run', '--plan', 'p', '--shard', '1/2'], { p: '{"a":1}' }, /p is no plan of klp plan/);
refused('a blob that is not there', ['merge', 'nowhere'], {}, /there is no blob nowhere/);
refused('a folder without a blob', ['merge', 'x'], { x: {} as never }, /there is no blob in x/);

void t.test('the matrix in each form, and the plan', async (t) => {
  const cwd = t.testdir({});
  const plan = async (...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await klp(['plan', ...args], { cwd });
    t.equal(status, 0, stderr);
    return stdout;
  };
  const github = await plan(...two, '--format', 'github', '--output', 'plan.json');
  t.match(github, /^[^\n]*\n$/, 'one line');
  const { include } = JSON.parse(github) as { include: Record<string, string>[] };
  t.equal(include.length, names.length, 'as many as kernels');
  t.strictSame(include.map((row) => row.shard), names.map((_, i) => `${i + 1}/${names.length}`));
  const written = planSchema.parse(JSON.parse(readFileSync(join(cwd, 'plan.json'), 'utf8')));
  t.strictSame(written.kernels, names);
  t.equal(unsound(written), undefined);
  t.match(await plan(...two, '--format', 'gitlab', '--kernel', 'stock', '--shards', '9'), /^shard:\n {2}extends: .klp-shard\n {2}parallel:\n {4}matrix:\n {6}- SHARD: "1\/2"\n/);
  t.match(JSON.parse(await plan('--arch', 'arm64')), { kernels: [{ arch: 'arm64' }, { arch: 'arm64' }] });

  // What says otherwise than the plan, and plans that do not fit.
  const run = (...args: string[]) => klp(['run', '--plan', 'plan.json', ...args], { cwd });
  t.match(await run('--shard', '1/2'), { status: 2, stderr: new RegExp(`the plan has ${names.length} shards`) });
  t.match(await run('--shard', `1/${names.length}`, two[0] ?? '', '--kernel', 'stock'), { status: 2, stderr: /leave out no-livepatch-field, --kernel/ });
  const change = (to: Partial<Plan>): void => writeFileSync(join(cwd, 'plan.json'), JSON.stringify({ ...written, ...to }));
  change({ harness: '9.9.9' });
  t.match(await run('--shard', `1/${names.length}`), { status: 2, stderr: /was made by klp 9\.9\.9, .*; this is klp/ });
  change({ shards: [...written.shards.slice(1), written.shards[1] ?? []] });
  t.match(await run('--shard', `1/${names.length}`), { status: 2, stderr: /plan\.json is damaged: .* is in (no shard|2 shards)/ });
});
