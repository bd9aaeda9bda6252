// SPDX-License-Identifier: MIT
import type { Arch, MachineName } from '../harness/arch.js';

/** One package of a distribution's archive, as it was resolved and verified. */
export interface PackageRecord {
  readonly name: string;
  readonly version: string;
  readonly arch: string;
  /** SHA-256 of the .deb, hex, as the signed index states it. */
  readonly sha256: string;
}

/** How modules for a kernel are compiled. */
export interface Toolchain {
  /** `CROSS_COMPILE=` of kbuild; empty for the host's own compiler. */
  readonly crossCompile: string;
  /** First line of `<crossCompile>gcc --version`, or of the compiler the build directory asks for. */
  readonly version: string;
  /** Private root of another Debian release, which compiler and make are run in; undefined for the host's own. */
  readonly root?: string;
  /** What in that root can change what is compiled: compiler, binutils, make, libc. */
  readonly packages?: readonly PackageRecord[];
  /** Words for every `make`, `LLVM=1` for example. */
  readonly make?: readonly string[];
}

/** What `--boot` may say. */
export type BootChoice = 'auto' | 'image';

/** Where a kernel's own source tree is: a source package of Debian's, of exactly its version, or a folder. */
export type KernelSource =
  | { readonly suite: string; readonly name: string; readonly version: string }
  | { readonly folder: string };

/** A kernel that is on disk and can be booted, and for which modules can be built. */
export interface AcquiredKernel {
  /** Name in the catalogue, or `image:<file name>-<digest of its path>` when brought along without one. */
  readonly name: string;
  readonly arch: Arch;
  readonly origin: 'stock' | 'built' | 'brought';
  /** `uname -r`: the build directory's include/config/kernel.release. */
  readonly release: string;
  /** What was resolved, for a person: package version, or the build directory's path. */
  readonly version: string;
  /** The kernel's image as it was built; `bootFile` of pvh.ts says what QEMU is given for it. */
  readonly image: string;
  /** `--boot`: `image` has it started as it is; `auto`, or nothing, without its decompressor where that can be. */
  readonly boot?: BootChoice;
  /** `--append`: words for the kernel's command line, beside the judged guest's own. */
  readonly append?: readonly string[];
  /** Machine profile it is to run on; the architecture's own when left out. */
  readonly machine?: MachineName;
  /** Directory for `make -C <buildDir> M=…`. */
  readonly buildDir: string;
  /** `.config` of this kernel. */
  readonly config: string;
  /** Root under which `kernel/drivers/…/*.ko` lie, or undefined when everything needed is built in. */
  readonly modulesDir: string | undefined;
  readonly toolchain: Toolchain;
  /** Packages it came from; empty when brought along. */
  readonly packages: readonly PackageRecord[];
  /** Left out where nothing says where it is. */
  readonly source?: KernelSource;
  /** Hex digest that changes with anything that could change a module built for it or a guest booted from it. */
  readonly fingerprint: string;
}

/** What a long-running step says while it works: one line, no newline. */
export type Progress = (line: string) => void;
