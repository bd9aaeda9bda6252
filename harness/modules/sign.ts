// SPDX-License-Identifier: MIT
import { execFile } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseConfig } from '../../kernels/kconfig.js';
import type { AcquiredKernel, Progress } from '../../kernels/types.js';
import { InfrastructureError, UsageError } from '../errors.js';
import { scrubbedEnvironment } from '../host.js';
import type { Capability, Finding } from '../model/capabilities.js';

/** Files that modules are signed with, as the command line names them. */
export interface KeyFiles {
  /** Private key, PEM. */
  readonly key: string;
  /** Its certificate, PEM or DER, which the kernel must trust; may be the same file. */
  readonly certificate: string;
}

export interface SigningKey extends KeyFiles {
  /** Digest that the kernel was configured for: `sha512`. */
  readonly hash: string;
}

/** Ends every signed module: include/linux/module_signature.h, MODULE_SIG_STRING. */
const marker = '~Module signature appended~\n';

/**
 * Signs a module as the kernel's scripts/sign-file does: a detached CMS signature, `struct module_signature` and a marker
 * are appended.
 * @throws InfrastructureError with the words of openssl when it can't
 */
export async function signModule(module: Buffer, { key, certificate, hash }: SigningKey): Promise<Buffer> {
  const words = ['cms', '-sign', '-binary', '-nocerts', '-noattr', '-nosmimecap', '-outform', 'DER'];
  const signature = await openssl([...words, '-md', hash, '-signer', certificate, '-inkey', key], module);
  const trailer = Buffer.alloc(12);
  trailer.writeUInt8(2, 2); // PKEY_ID_PKCS7
  trailer.writeUInt32BE(signature.length, 8);
  return Buffer.concat([module, signature, trailer, Buffer.from(marker, 'latin1')]);
}

/**
 * What modules for a kernel are signed with: nothing unless it refuses unsigned ones; then the key that was given, else the
 * one that its own build left in `certs/`.
 *
 * @param findings what the probes saw
 * @throws InfrastructureError saying why nothing can be loaded, when there is no key; UsageError for one that can't be read
 */
export async function signingKey(
  kernel: AcquiredKernel,
  findings: ReadonlyMap<Capability, Finding>,
  given: KeyFiles | undefined,
  progress: Progress,
): Promise<SigningKey | undefined> {
  const enforced = findings.get('signatures-enforced');
  if (enforced?.has !== true) return undefined;
  const options = parseConfig(await readFile(kernel.config, 'utf8'));
  const quoted = options.get('CONFIG_MODULE_SIG_HASH');
  const hash = quoted === undefined ? 'sha256' : (JSON.parse(quoted) as string);
  if (given) {
    for (const [word, file] of [['--sign-key', given.key], ['--sign-cert', given.certificate]] as const) {
      await access(file).catch(() => {
        throw new UsageError(`${word}: ${file} cannot be read`);
      });
    }
    return { key: resolve(given.key), certificate: resolve(given.certificate), hash };
  }
  const own = join(kernel.buildDir, 'certs', 'signing_key.pem');
  if (await access(own).then(() => true, () => false)) {
    progress(`modules are signed with the kernel's own key, ${own}`);
    return { key: own, certificate: own, hash };
  }
  throw new InfrastructureError(
    `${kernel.name} takes signed modules only (${enforced.evidence}), and there is no key: nothing can be loaded`,
    {
      hint:
        'give the key with --sign-key and --sign-cert; its certificate must be one that the kernel was built with ' +
        `(CONFIG_MODULE_SIG_KEY or CONFIG_SYSTEM_TRUSTED_KEYS): a built-in keyring takes no others while it runs`,
    },
  );
}

function openssl(words: readonly string[], input: Buffer): Promise<Buffer> {
  return new Promise((done, fail) => {
    const options = { encoding: 'buffer', maxBuffer: 1 << 20, env: scrubbedEnvironment(), timeout: 60_000 } as const;
    const child = execFile('openssl', words, options, (error, stdout, stderr) => {
      const missing = (error as NodeJS.ErrnoException | null)?.code === 'ENOENT';
      if (!error) done(stdout);
      else fail(
        missing
          ? new InfrastructureError('openssl is not installed', { hint: 'apt-get install openssl' })
          : new InfrastructureError('the module could not be signed', { details: stderr.toString().trim().split('\n').slice(0, 5) }),
      );
    });
    // It may end before it has read everything; its status says why.
    child.stdin?.on('error', () => undefined).end(input);
  });
}
