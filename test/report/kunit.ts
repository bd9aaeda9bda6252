// SPDX-License-Identifier: MIT
import { join } from 'node:path';
import { architectures } from '../../harness/arch.js';
import { cached, digest } from '../../harness/cache.js';
import { unpackSource } from '../../kernels/built.js';
import { type Plan, withPlan } from '../../kernels/plan.js';
import { stockKernel } from '../e2e/kernel.js';
import { Python } from './forms.js';

/** What KUnit's tool makes of a text in KTAP. */
export interface Parsed {
  readonly counts: Readonly<Record<'passed' | 'failed' | 'crashed' | 'skipped' | 'errors', number>>;
  /** Names of tests, and in each the names and states of its subtests. */
  readonly tests: readonly { readonly name: string; readonly status: string; readonly subtests: readonly { readonly name: string; readonly status: string }[] }[];
}

/** Folder of the kernel's own KTAP parser: of the source package of the stock kernel, of which only that is kept. */
async function kunitFolder(): Promise<string> {
  const { source } = await stockKernel();
  if (!source || 'folder' in source) throw new Error('a stock kernel has a source package');
  const { suite, name, version } = source;
  const plan: Plan = { suite, key: `source ${name} ${version}`, exact: true, find: async (find) => [await find(name, architectures.x86_64.debian, version)] };
  return withPlan(plan, () => undefined, async ([record], root) => {
    if (!record) throw new Error('a source plan has one package');
    const directory = await cached('kunit', digest('1', record.sha256), async (work) => {
      await unpackSource(join(work, 'src'), record, root, () => undefined, ['tools/testing/kunit/*.py']);
    });
    return join(directory, 'src', name, 'tools/testing/kunit');
  });
}

const parse = `
root = kunit_parser.parse_run_tests(question.splitlines())
counts = root.counts
answer = {
    "counts": {name: getattr(counts, name) for name in ("passed", "failed", "crashed", "skipped", "errors")},
    "tests": [
        {"name": test.name, "status": test.status.name, "subtests": [{"name": sub.name, "status": sub.status.name} for sub in test.subtests]}
        for test in root.subtests
    ],
}`;

/** The kernel's tools/testing/kunit/kunit_parser.py: give ask() a text in KTAP, and a {@link Parsed} comes back. */
export async function kunitParser(): Promise<Python> {
  return new Python('import kunit_parser', parse, await kunitFolder());
}
