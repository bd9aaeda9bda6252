// SPDX-License-Identifier: MIT
import t from 'tap';
import { factsLike } from '../../harness/model/generations.js';
import { klp } from '../cli/klp.js';
import { patience } from '../vm/stock.js';

t.setTimeout(patience * 2);

void t.test('what a generation has is what the probes find on its kernel', async (t) => {
  const { status, stdout, stderr } = await klp(['kernels', 'probe', 'bookworm-x86_64', '--json'], { timeout: patience });
  t.equal(status, 0, stderr);
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly { readonly capability: string; readonly has: boolean }[] };
  const found = findings.filter((f) => f.has).map((f) => f.capability);
  t.strictSame([...factsLike('6.1').capabilities].sort(), found.sort());
});
