// SPDX-License-Identifier: MIT
// Started by private-root.test.ts, as another user or to be killed: runs a command in a private root.
import { KlpError } from '../../harness/errors.js';
import { requireNamespaces, runInRoot } from '../../kernels/in-root.js';

const [root = '', folder = '', script = ''] = process.argv.slice(2);
try {
  await requireNamespaces();
  const result = await runInRoot(root, 'sh', ['-c', script], [folder], { cwd: folder, timeout: 600_000 });
  process.stdout.write(result.all);
} catch (error) {
  if (!(error instanceof KlpError)) throw error;
  process.stdout.write(`${error.message}\n${error.hint ?? ''}\n`);
}
