// SPDX-License-Identifier: MIT
// Every module of Debian's kernels, both architectures: what the package holds is read, and written back byte for byte.
import t from 'tap';
import { klpSections, modinfo, readObject, writeObject } from '../../harness/elf/index.js';
import { InfrastructureError } from '../../harness/errors.js';
import { modulesOf } from '../../harness/modules/packed.js';
import { findKernel } from '../../kernels/catalogue.js';
import { hostSuite } from '../../kernels/mirrors.js';

const suite = await hostSuite();

for (const arch of ['x86_64', 'arm64'] as const) {
  await t.test(`modules of the stock kernel of ${arch}`, { timeout: 800_000 }, async (t) => {
    const kernel = await (await findKernel(`${suite}-${arch}`)).acquire(() => undefined);
    if (kernel.modulesDir === undefined) throw new InfrastructureError(`${kernel.name} has no modules`);
    const files = await modulesOf(kernel.modulesDir);
    const wrong: string[] = [];
    let bytes = 0;
    for (const { file, unpacked } of files) {
      const before = await unpacked();
      const object = readObject(before);
      if (Buffer.compare(writeObject(object), before) !== 0) wrong.push(`${file}: not written back as it was`);
      if (!modinfo(object, 'vermagic')?.startsWith(`${kernel.release} `)) wrong.push(`${file}: vermagic`);
      if (klpSections(object).length > 0) wrong.push(`${file}: livepatch sections`);
      bytes += before.length;
    }
    t.strictSame(wrong, []);
    t.ok(files.length > 3000, `${files.length} modules, ${(bytes / 2 ** 20).toFixed(0)} MiB`);
  });
}

await t.test('unpacked by its ending, and known by its name', async (t) => {
  const folder = t.testdir({ 'a-b.ko': 'plain', kernel: { 'c.ko.gz': 'no gzip' }, 'notes.txt': '' });
  const files = await modulesOf(folder);
  t.strictSame(files.map(({ name }) => name), ['a_b', 'c']);
  t.equal((await files[0]?.unpacked())?.toString(), 'plain');
  await t.rejects(async () => files[1]?.unpacked(), { name: 'InfrastructureError', message: /c\.ko\.gz cannot be unpacked/ });
});
