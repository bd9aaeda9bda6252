// SPDX-License-Identifier: MIT
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import t from 'tap';
import { tsImport } from 'tsx/esm/api';
import { parse } from 'yaml';
import { packagePath } from '../../harness/package-root.js';
import { resultsSchema } from '../../harness/report/results-schema.js';
import { glob } from '../../harness/runner/expectations.js';
import { stockKernel, stockName } from '../e2e/kernel.js';
import { runStep, stubs } from './steps.js';

const file = packagePath('.github/workflows/nightly.yml');
const content = readFileSync(file, 'utf8');

interface Parser {
  parseWorkflow(file: { name: string; content: string }, trace: object): { context: { errors: { getErrors(): { message: string }[] } }; value: unknown };
  convertWorkflowTemplate(context: unknown, value: unknown, provider: undefined, options: { errorPolicy: number }): Promise<{ jobs: unknown[] }>;
  NoOperationTraceWriter: new () => object;
}
// Its JSON imports lack an attribute that Node asks for; tsx does not.
const parser = (await tsImport('@actions/workflow-parser', import.meta.url)) as Parser;
await stockKernel();

/** What GitHub's own parser says of a workflow; conversion finds what the schema alone does not. */
async function complaints(text: string): Promise<string[]> {
  const { context, value } = parser.parseWorkflow({ name: 'nightly.yml', content: text }, new parser.NoOperationTraceWriter());
  if (value !== undefined) await parser.convertWorkflowTemplate(context, value, undefined, { errorPolicy: 1 });
  return context.errors.getErrors().map((e) => e.message);
}

void t.test("GitHub's parser takes the workflow", async (t) => {
  t.strictSame(await complaints(content), []);
  const broken: [string, string, RegExp][] = [
    ['runs-on:', 'run-on:', /Unexpected value 'run-on'/],
    ['needs: plan', 'needs: plam', /depends on unknown job 'plam'/],
    ['matrix.shard', 'matricks.shard', /Unrecognized named-value: 'matricks'/],
    ['fromJSON(', 'fromJSN(', /Unrecognized function: 'fromJSN'/],
    ['if: ${{ always() }}', 'if: ${{ always( }}', /./],
  ];
  for (const [was, now, message] of broken) {
    t.ok(content.includes(was));
    t.match((await complaints(content.replace(was, now))).join('\n'), message, now);
  }
});

interface StepText {
  readonly id?: string;
  readonly uses?: string;
  readonly run?: string;
  readonly if?: string;
  readonly env?: Record<string, string>;
  readonly with?: Record<string, string>;
}
interface Workflow {
  readonly on: { readonly schedule: unknown[]; readonly workflow_dispatch: { readonly inputs: Record<string, unknown> } };
  readonly jobs: Record<string, { readonly steps: StepText[]; readonly strategy?: { readonly 'fail-fast': boolean }; readonly 'timeout-minutes'?: number }>;
}
const workflow = parse(content) as Workflow;

void t.test('what the workflow promises', (t) => {
  t.equal(workflow.on.schedule.length, 1);
  t.equal(workflow.jobs.shard?.strategy?.['fail-fast'], false);
  for (const [name, job] of Object.entries(workflow.jobs)) t.type(job['timeout-minutes'], 'number', name);
  const actions = Object.values(workflow.jobs).flatMap((j) => j.steps.flatMap((s) => s.uses ?? []));
  for (const action of actions) t.match(action, /^actions\/(checkout|setup-node|cache|cache\/restore|cache\/save|upload-artifact|download-artifact)@v4$/);
  // What a person typed reaches a shell as a variable, never as text of a script.
  const scripts = Object.values(workflow.jobs).flatMap((j) => j.steps.flatMap((s) => s.run ?? []));
  for (const script of scripts) t.notMatch(script, /\$\{\{/);
  t.end();
});

/** Replaces expressions by what a run would have in their place; one that is not known is an error. */
function substitute(text: string, known: Readonly<Record<string, string>>): string {
  return text.replace(/\$\{\{\s*(.*?)\s*\}\}/g, (_, name: string) => {
    const value = known[name];
    if (value === undefined) throw new Error(`no value for ${name}`);
    return value;
  });
}

/** What a pattern with `*` in its last part finds; of a folder, what is in it. */
function matching(pattern: string, cwd: string): string[] {
  const folder = pattern.endsWith('/') ? pattern : dirname(pattern);
  const last = pattern.endsWith('/') ? '*' : basename(pattern);
  const names = existsSync(join(cwd, folder)) ? readdirSync(join(cwd, folder)) : [];
  return names.filter((name) => glob(last, name)).map((name) => join(folder, name));
}

interface Job {
  readonly cwd: string;
  readonly outputs: Record<string, string>;
  readonly summary: string;
  /** Of each script, in order. */
  readonly statuses: (number | null)[];
  readonly text: string;
}

/** Runs a job's steps in order, each in a folder of its own as on a runner of its own; artefacts are folders. */
async function runJob(root: string, name: string, suffix: string, known: Record<string, string>): Promise<Job> {
  const cwd = join(root, name + suffix);
  const artefacts = join(root, 'artefacts');
  mkdirSync(cwd);
  mkdirSync(artefacts, { recursive: true });
  const files = { GITHUB_OUTPUT: join(root, `output${suffix}-${name}`), GITHUB_STEP_SUMMARY: join(root, `summary${suffix}-${name}`) };
  const path = `${stubs(root)}:${process.env.PATH ?? ''}`;
  const statuses: (number | null)[] = [];
  let text = '';
  for (const step of workflow.jobs[name]?.steps ?? []) {
    const failed = statuses.some((s) => s !== 0);
    if (failed && step.if === undefined) continue;
    if (!failed && step.if === '${{ failure() }}') continue;
    const given = step.with ?? {};
    if (step.uses?.startsWith('actions/upload-artifact') === true) {
      const target = join(artefacts, substitute(given.name ?? '', known));
      for (const found of matching(given.path ?? '', cwd)) cpSync(join(cwd, found), join(target, basename(found)), { recursive: true, dereference: true });
    } else if (step.uses?.startsWith('actions/download-artifact') === true) {
      // Without a name each artefact gets a folder of its own.
      if (given.name !== undefined) cpSync(join(artefacts, given.name), cwd, { recursive: true });
      else for (const found of matching(given.pattern ?? '', artefacts)) cpSync(join(artefacts, found), join(cwd, given.path ?? '', found), { recursive: true });
    } else if (step.run !== undefined) {
      const env = Object.fromEntries(Object.entries(step.env ?? {}).map(([k, v]) => [k, substitute(v, known)]));
      const done = await runStep(['bash', '--noprofile', '--norc', '-eo', 'pipefail', '-c'], step.run, cwd, { ...files, ...env, PATH: path, CI: 'true' });
      statuses.push(done.status);
      text += done.output;
    }
  }
  const output = existsSync(files.GITHUB_OUTPUT) ? readFileSync(files.GITHUB_OUTPUT, 'utf8') : '';
  const outputs = Object.fromEntries(output.split('\n').filter(Boolean).map((l) => [l.slice(0, l.indexOf('=')), l.slice(l.indexOf('=') + 1)] as const));
  const summary = existsSync(files.GITHUB_STEP_SUMMARY) ? readFileSync(files.GITHUB_STEP_SUMMARY, 'utf8') : '';
  return { cwd, outputs, summary, statuses, text };
}

void t.test('the workflow, step by step in a shell', { timeout: 900_000 }, async (t) => {
  const root = t.testdir({});
  const inputs = { 'inputs.kernels': stockName, 'inputs.scenarios': 'no-livepatch-field kernel-without-livepatch', 'inputs.shards': '2', 'inputs.flags': '--retries 0' };
  const plan = await runJob(root, 'plan', '', inputs);
  t.strictSame(plan.statuses, [0, 0, 0], plan.text);
  const { include } = JSON.parse(plan.outputs.matrix ?? '') as { include: Record<string, string>[] };
  t.equal(include.length, 2);
  t.match(plan.outputs.week, /^\d{4}-\d\d$/);
  for (const row of include) {
    const matrix = Object.fromEntries(Object.entries(row).map(([k, v]) => [`matrix.${k}`, v]));
    const shard = await runJob(root, 'shard', `-${row.index ?? ''}`, { ...inputs, ...matrix });
    t.strictSame(shard.statuses, [0, 0, 0], shard.text);
  }
  t.strictSame(readdirSync(join(root, 'artefacts')).sort(), ['blob-1', 'blob-2', 'plan']);
  const merge = await runJob(root, 'merge', '', {});
  t.strictSame(merge.statuses, [0, 0, 0, 0], merge.text);
  t.match(merge.summary, /^## klp: as expected \(exit status 0\)$/m);
  t.ok(merge.summary.includes('|  |  |  | 1 | 1 |'), merge.summary);
  const results = resultsSchema.parse(JSON.parse(readFileSync(join(root, 'artefacts/results/results.json'), 'utf8')));
  t.equal(results.scenarios.length, 2);
  t.match(readFileSync(join(root, 'calls'), 'utf8'), /^make host-packages HOST_ARCHS=x86_64$/m);
});
