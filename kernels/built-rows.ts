// SPDX-License-Identifier: MIT
import type { Arch } from '../harness/arch.js';
import type { BuiltKernel } from './built.js';

const backports7 = ['trixie-backports', 'linux-source-7.*'] as const;

function small(name: string, arch: Arch, [suite, source]: readonly [string, string], fragments: readonly string[]): BuiltKernel {
  return { name, arch, suite, source, fragments, title: 'with livepatch', livepatch: true };
}

/** Kernels built from source: add a row for another source or architecture. arm64 has livepatch since 6.17. */
export const builtRows: readonly BuiltKernel[] = [
  small('built-7-arm64', 'arm64', backports7, ['base', 'arm64', 'livepatch']),
  small('built-7-x86_64', 'x86_64', backports7, ['base', 'x86_64', 'livepatch']),
  small('built-6.12-x86_64', 'x86_64', ['trixie', 'linux-source-6.12'], ['base', 'before-7', 'x86_64', 'livepatch']),
  small('built-6.1-x86_64', 'x86_64', ['bookworm', 'linux-source-6.1'], ['base', 'before-7', 'x86_64', 'livepatch']),
  {
    ...small('built-7-x86_64-unreliable', 'x86_64', backports7, ['base', 'x86_64', 'livepatch', 'x86-no-reliable-stacks']),
    title: 'without reliable stack traces',
  },
  {
    ...small('built-7-x86_64-no-livepatch', 'x86_64', backports7, ['base', 'x86_64', 'livepatch', 'no-livepatch']),
    title: 'without livepatch',
    livepatch: false,
  },
];
