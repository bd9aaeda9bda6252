// SPDX-License-Identifier: MIT
import { accessSync, constants, existsSync, statfsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Command } from 'commander';
import { type Arch, architectures, parseArch } from '../arch.js';
import { cacheRoot } from '../cache.js';
import { ExitStatus } from '../errors.js';
import { chooseAccel } from '../vm/accel.js';

/** One thing a host needs, and Debian's package that has it. */
interface Need {
  readonly what: string;
  readonly package: string;
  readonly present: () => boolean;
}

function program(name: string, debianPackage: string): Need {
  return { what: name, package: debianPackage, present: () => onPath(name) };
}

function file(path: string, debianPackage: string): Need {
  return { what: path, package: debianPackage, present: () => existsSync(path) };
}

function onPath(name: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** What every run needs. */
const always: readonly Need[] = [
  program('make', 'make'),
  program('gcc', 'gcc'),
  file('/usr/include/stdio.h', 'libc6-dev'),
  program('dpkg-deb', 'dpkg'),
  program('xz', 'xz-utils'),
  program('zstd', 'zstd'),
  program('setpriv', 'util-linux'),
  // Toolchains of other Debian releases.
  program('mmdebstrap', 'mmdebstrap'),
  program('readelf', 'binutils'),
  // For kernels that take signed modules only.
  program('openssl', 'openssl'),
  // QEMU's packages only recommend it.
  program('qemu-img', 'qemu-utils'),
  file('/usr/share/keyrings/debian-archive-keyring.gpg', 'debian-archive-keyring'),
  // kbuild's objtool and modpost are linked against it.
  file('/usr/lib/x86_64-linux-gnu/libelf.so.1', 'libelf1'),
];

const byArch: Readonly<Record<Arch, readonly Need[]>> = {
  x86_64: [program(architectures.x86_64.qemu, architectures.x86_64.qemuPackage)],
  arm64: [
    program(architectures.arm64.qemu, architectures.arm64.qemuPackage),
    program('aarch64-linux-gnu-gcc', 'gcc-aarch64-linux-gnu'),
    file('/usr/aarch64-linux-gnu/include/stdio.h', 'libc6-dev-arm64-cross'),
    // To build the kernel itself.
    program('flex', 'flex'),
    program('bison', 'bison'),
    program('bc', 'bc'),
    program('perl', 'perl'),
    program('python3', 'python3'),
    file('/usr/include/openssl/ssl.h', 'libssl-dev'),
    file('/usr/include/libelf.h', 'libelf-dev'),
  ],
};

/** What this project's own tests need besides. */
const forTests: readonly Need[] = [
  // What others make of our archives and modules.
  program('cpio', 'cpio'),
  program('modinfo', 'kmod'),
  // The CLI at a terminal, and Ctrl-C there.
  program('script', 'bsdutils'),
  program('python3', 'python3'),
  // The HTML report is looked at in it.
  program('chromium', 'chromium'),
];

/** Debian packages that are missing for these architectures, and what for. */
function missingPackages(archs: readonly Arch[], tests: boolean): readonly Need[] {
  return [...always, ...(tests ? forTests : []), ...archs.flatMap((arch) => byArch[arch])].filter((need) => !need.present());
}

/** `klp doctor`: what is missing on this host, with the command that mends it. */
export function doctorCommand(done: (status: number) => void): Command {
  return new Command('doctor')
    .description('what is missing on this host, and the command that mends it')
    .option('--arch <arch...>', 'only for these architectures')
    .option('--tests', 'also what the tests of klp itself need')
    .option('--packages', 'print only the names of the missing packages, for scripts')
    .action(async (options: { readonly arch?: readonly string[]; readonly packages?: boolean; readonly tests?: boolean }) => {
      const archs = options.arch?.map(parseArch) ?? (Object.keys(architectures) as Arch[]);
      const missing = missingPackages(archs, options.tests === true);
      const packages = [...new Set(missing.map((need) => need.package))];
      if (options.packages === true) {
        process.stdout.write(packages.map((p) => `${p}\n`).join(''));
        return;
      }
      const say = (line: string): void => void process.stdout.write(`${line}\n`);
      for (const need of missing) say(`missing  ${need.what} (Debian package ${need.package})`);
      if (packages.length > 0) {
        say(`\nTo mend it, as root:\n  apt-get install --no-install-recommends ${packages.join(' ')}`);
        done(ExitStatus.infrastructure);
        return;
      }
      say(`programs  all there for ${archs.join(', ')}`);
      for (const arch of archs) {
        const { accel, reason } = await chooseAccel(arch, 'auto');
        say(`${arch.padEnd(8)}  ${accel}: ${reason}`);
      }
      const root = cacheRoot();
      say(`cache     ${root}${freeText(root)}`);
    });
}

function freeText(path: string): string {
  const existing = existsSync(path) ? path : '/';
  const { bavail, bsize } = statfsSync(existing);
  return `, ${((bavail * bsize) / 2 ** 30).toFixed(0)} GiB free`;
}
