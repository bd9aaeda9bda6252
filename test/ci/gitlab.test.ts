// SPDX-License-Identifier: MIT
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { packagePath } from '../../harness/package-root.js';
import { resultsSchema } from '../../harness/report/results-schema.js';
import { stockKernel, stockName } from '../e2e/kernel.js';
import { runStep, stubs } from './steps.js';

await stockKernel();

/** The keywords of .gitlab-ci.yml that we use; another one is a slip of the pen or wants a look at GitLab's reference. */
const globals = ['stages', 'workflow', 'variables', 'default'];
const keywords = ['stage', 'image', 'timeout', 'variables', 'cache', 'script', 'after_script', 'artifacts', 'needs', 'trigger', 'extends', 'parallel', 'when'];

interface Job {
  readonly stage?: string;
  readonly extends?: string;
  readonly script?: string[];
  readonly after_script?: string[];
  readonly variables?: Record<string, string>;
  readonly needs?: (string | { readonly job: string; readonly pipeline?: string })[];
  readonly trigger?: { readonly include: { readonly artifact: string; readonly job: string }[] };
  readonly parallel?: { readonly matrix: Record<string, string>[] };
  readonly artifacts?: { readonly paths: string[]; readonly when?: string; readonly reports?: { readonly junit: string } };
}

function pipeline(text: string): { jobs: Record<string, Job>; problems: string[] } {
  const all = parse(text) as Record<string, unknown>;
  const stages = (all.stages as string[] | undefined) ?? [];
  const jobs = Object.fromEntries(Object.entries(all).filter(([name]) => !globals.includes(name))) as Record<string, Job>;
  const problems: string[] = [];
  for (const [name, own] of Object.entries(jobs)) {
    const base = own.extends === undefined ? {} : jobs[own.extends];
    if (!base) problems.push(`${name} extends ${own.extends ?? ''}, which is not there`);
    const job = { ...base, ...own };
    jobs[name] = job;
    for (const word of Object.keys(own)) if (!keywords.includes(word)) problems.push(`${name}: ${word}`);
    if (job.stage !== undefined && !stages.includes(job.stage)) problems.push(`${name}: stage ${job.stage}`);
    for (const need of job.needs ?? []) {
      const of = typeof need === 'string' ? { job: need, pipeline: undefined } : need;
      if (of.pipeline === undefined && !Object.hasOwn(jobs, of.job)) problems.push(`${name} needs ${of.job}`);
    }
    if (job.script === undefined && job.trigger === undefined) problems.push(`${name} does nothing`);
    for (const line of [...(job.script ?? []), ...(job.after_script ?? [])]) if (typeof line !== 'string') problems.push(`${name}: a line of its script is no text`);
  }
  return { jobs, problems };
}

const nightly = readFileSync(packagePath('docs/ci/gitlab-nightly.yml'), 'utf8');
const shardFile = readFileSync(packagePath('docs/ci/gitlab-shard.yml'), 'utf8');

void t.test('the pipeline fits together', (t) => {
  t.strictSame(pipeline(nightly).problems, []);
  t.strictSame(pipeline(nightly.replace('needs: [plan]', 'needs: [plam]')).problems, ['nightly needs plam']);
  t.match(pipeline(nightly.replace('stage: run', 'stage: runn')).problems, ['nightly: stage runn']);
  t.match(pipeline(nightly.replace('    - make build', '    - make: build')).problems, [/no text/]);
  const { jobs } = pipeline(nightly);
  const [from] = jobs.nightly?.trigger?.include ?? [];
  t.ok(jobs[from?.job ?? '']?.artifacts?.paths.includes(from?.artifact ?? ''), 'what the child pipeline is made of is an artefact');
  t.end();
});

async function script(test: Pick<typeof t, 'equal'>, lines: readonly string[] | undefined, cwd: string, env: Record<string, string>): Promise<void> {
  const { status, output } = await runStep(['bash', '-eo', 'pipefail', '-c'], (lines ?? []).join('\n'), cwd, env);
  test.equal(status, 0, output);
}

void t.test('the pipeline, job by job in a shell', { timeout: 900_000 }, async (t) => {
  const root = t.testdir({ parent: {}, merge: {}, docs: {} });
  const base = { PATH: `${stubs(root)}:${process.env.PATH ?? ''}`, CI: 'true' };
  const folder = (name: string): string => {
    mkdirSync(join(root, name, 'docs'), { recursive: true });
    cpSync(packagePath('docs/ci'), join(root, name, 'docs/ci'), { recursive: true });
    return join(root, name);
  };
  const parent = folder('parent');
  const variables = { KERNELS: stockName, SCENARIOS: 'no-livepatch-field kernel-without-livepatch', SHARDS: '2', FLAGS: '--retries 0' };
  await script(t, pipeline(nightly).jobs.plan?.script, parent, { ...base, ...variables });

  const { jobs, problems } = pipeline(readFileSync(join(parent, 'child.yml'), 'utf8'));
  t.strictSame(problems, []);
  t.ok(readFileSync(join(parent, 'child.yml'), 'utf8').startsWith(shardFile));
  const matrix = jobs.shard?.parallel?.matrix ?? [];
  t.equal(matrix.length, 2);
  for (const row of matrix) {
    const cwd = folder(`shard-${row.INDEX ?? ''}`);
    // The parent's plan is an artefact; each job of the matrix leaves its own.
    cpSync(join(parent, 'plan.json'), join(cwd, 'plan.json'));
    await script(t, jobs.shard?.script, cwd, { ...base, ...variables, ...row });
    await script(t, jobs.shard?.after_script, cwd, base);
    cpSync(join(cwd, 'blobs'), join(root, 'merge', 'blobs'), { recursive: true });
  }
  await script(t, jobs.merge?.script, join(root, 'merge'), base);
  const results = resultsSchema.parse(JSON.parse(readFileSync(join(root, 'merge/klp-results/latest/results.json'), 'utf8')));
  t.equal(jobs.merge?.artifacts?.reports?.junit, 'junit.xml');
  t.match(readFileSync(join(root, 'merge/junit.xml'), 'utf8'), /<testsuites name="klp \S+" tests="2" failures="0" errors="0" /);
  t.match(results, { exit: 0, scenarios: [{}, {}], merged: [{ shard: 1 }, { shard: 2 }] });
});
