// SPDX-License-Identifier: MIT
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { architectures, type Arch } from '../harness/arch.js';
import { cached, digest } from '../harness/cache.js';
import { InfrastructureError, messageOf } from '../harness/errors.js';
import { lastLines, tryHost } from '../harness/host.js';
import { packagePath } from '../harness/package-root.js';
import type { Progress } from '../kernels/types.js';

const flags = ['-std=gnu11', '-O2', '-static', '-s', '-Wall', '-Wextra', '-Werror'];

/** Debian packages that a static program for an architecture takes, from an x86-64 host. */
const packages: Readonly<Record<Arch, string>> = {
  x86_64: 'gcc libc6-dev',
  arm64: 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross',
};

/**
 * The guest agent, compiled from `images/agent/*.c` by the host's compiler for that architecture and kept in the cache
 * under a key of source, flags and compiler version.
 *
 * @returns path of a static executable
 * @throws InfrastructureError when the compiler is missing, or with its lines when it refuses the source
 */
export async function buildAgent(arch: Arch, progress: Progress = () => undefined): Promise<string> {
  const compiler = compilerOf(arch);
  const version = await compilerVersion(compiler, arch);
  const folder = packagePath('images', 'agent');
  const names = (await readdir(folder)).filter((name) => /\.[ch]$/.test(name)).sort();
  const sources = await Promise.all(names.map((name) => readFile(join(folder, name))));
  const key = digest(arch, compiler, version, ...flags, ...names, ...sources);
  const built = await cached('agent', key, async (directory) => {
    progress(`compiling the guest agent for ${arch}`);
    const output = join(directory, 'klp-agent');
    // Relative names: the same bytes wherever the package lies.
    const inputs = names.filter((name) => name.endsWith('.c'));
    await compileStatic(arch, 'the guest agent', [...flags, '-o', output, ...inputs], folder);
  });
  return join(built, 'klp-agent');
}

/**
 * Compiles a static program for the guest with the host's compiler for its architecture.
 * @param what for a person
 * @param args of the compiler, relative to `folder`
 * @throws InfrastructureError with the compiler's lines when it refuses the source
 */
export async function compileStatic(arch: Arch, what: string, args: readonly string[], folder: string): Promise<void> {
  const compiler = compilerOf(arch);
  const result = await tryHost(compiler, args, { cwd: folder, timeout: 120_000 });
  if (result.exitCode === 0) return;
  throw new InfrastructureError(`${compiler} cannot build ${what} (status ${result.exitCode})`, {
    hint: `its packages: apt install ${packages[arch]}`,
    details: lastLines(result.all, 20),
  });
}

function compilerOf(arch: Arch): string {
  return arch === 'x86_64' ? 'gcc' : `${architectures[arch].triplet}-gcc`;
}

async function compilerVersion(compiler: string, arch: Arch): Promise<string> {
  try {
    return (await tryHost(compiler, ['--version'], { timeout: 30_000 })).stdout.split('\n')[0] ?? '';
  } catch (error) {
    throw new InfrastructureError(`no compiler for the guest agent (${arch}): ${messageOf(error)}`, {
      hint: `apt install ${packages[arch]}`,
      cause: error,
    });
  }
}
