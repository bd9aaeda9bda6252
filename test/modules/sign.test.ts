// SPDX-License-Identifier: MIT
import { execFileSync } from 'node:child_process';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { InfrastructureError, UsageError } from '../../harness/errors.js';
import type { Capability, Finding } from '../../harness/model/capabilities.js';
import { signModule, signingKey } from '../../harness/modules/sign.js';
import { stockKernel } from '../e2e/kernel.js';

const kernel = await stockKernel();

/** A new key and its certificate, in PEM, below a folder. */
function newKey(folder: string): { key: string; certificate: string } {
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=klp test'];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
  return { key, certificate };
}

/** The program of the kernel's own source that signs modules, as Debian's headers have it. */
async function signFile(): Promise<string> {
  const kbuild = join(kernel.buildDir, '../../lib');
  const [folder = ''] = (await readdir(kbuild)).filter((name) => name.startsWith('linux-kbuild-'));
  return join(kbuild, folder, 'scripts/sign-file');
}

void t.test("a signature is what the kernel's own scripts/sign-file makes, byte for byte", async (t) => {
  const folder = t.testdir({});
  const { key, certificate } = newKey(folder);
  const tool = await signFile();
  for (const [i, content] of [Buffer.from('no module, but bytes'), Buffer.alloc(70_000, 0xa5), Buffer.alloc(0)].entries()) {
    const [plain, signed] = [join(folder, `m${i}`), join(folder, `m${i}.signed`)];
    await writeFile(plain, content);
    execFileSync(tool, ['sha512', key, certificate, plain, signed]);
    const ours = await signModule(content, { key, certificate, hash: 'sha512' });
    t.ok(ours.equals(await readFile(signed)), `${content.length} bytes`);
  }
});

void t.test('what openssl says of a key that is none', async (t) => {
  const folder = t.testdir({ 'key.pem': 'no key' });
  const file = join(folder, 'key.pem');
  const error: unknown = await signModule(Buffer.from('x'), { key: file, certificate: file, hash: 'sha256' }).catch((e: unknown) => e);
  t.type(error, InfrastructureError);
  t.match(error, { message: 'the module could not be signed', details: [/./] });
});

function findings(enforced: boolean): ReadonlyMap<Capability, Finding> {
  return new Map([['signatures-enforced', { has: enforced, evidence: 'sig_enforce: Y' }]]);
}

void t.test('which key there is for a kernel', async (t) => {
  const folder = t.testdir({ certs: {}, '.config': 'CONFIG_MODULE_SIG_HASH="sha512"\n' });
  const own = { ...kernel, buildDir: folder, config: join(folder, '.config') };
  const said: string[] = [];
  const ask = (enforced: boolean, given?: { key: string; certificate: string }): Promise<unknown> =>
    signingKey(own, findings(enforced), given, (line) => said.push(line)).catch((e: unknown) => e);

  t.equal(await ask(false), undefined, 'none is needed');
  const error = await ask(true);
  t.type(error, InfrastructureError);
  t.match(error, { message: /takes signed modules only \(sig_enforce: Y\), and there is no key: nothing can be loaded$/ });
  const missing = await ask(true, { key: join(folder, 'no'), certificate: join(folder, 'no') });
  t.type(missing, UsageError);
  t.match(missing, { message: `--sign-key: ${join(folder, 'no')} cannot be read` });
  const given = newKey(folder);
  t.strictSame(await ask(true, given), { ...given, hash: 'sha512' });
  const left = join(folder, 'certs/signing_key.pem');
  await writeFile(left, 'the one of its own build');
  t.strictSame(await ask(true), { key: left, certificate: left, hash: 'sha512' });
  t.strictSame(said, [`modules are signed with the kernel's own key, ${left}`]);
});
