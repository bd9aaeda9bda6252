// SPDX-License-Identifier: MIT
import t from 'tap';
import { clangWords, toolchainOf } from '../../kernels/toolchain.js';

const clang = new Map([['CONFIG_CC_IS_CLANG', 'y'], ['CONFIG_CLANG_VERSION', '990001']]);
const lld = new Map([...clang, ['CONFIG_LD_IS_LLD', 'y'], ['CONFIG_AS_IS_LLVM', 'y']]);

void t.test('a kernel built by gcc gets gcc', async (t) => {
  const toolchain = await toolchainOf(new Map([['CONFIG_CC_IS_GCC', 'y']]), 'x86_64');
  t.match(toolchain, { crossCompile: '', version: /^gcc / });
  t.equal(toolchain.make, undefined);
});

void t.test('a kernel built by Clang gets its words', (t) => {
  t.strictSame(clangWords(lld, ''), ['LLVM=1', 'LLVM_IAS=1']);
  t.strictSame(clangWords(clang, ''), ['CC=clang']);
  t.strictSame(clangWords(clang, '-14'), ['CC=clang-14']);
  t.strictSame(clangWords(new Map([['CONFIG_LD_IS_LLD', 'y']]), '-14').slice(0, 4), [
    'LLVM=1', 'CC=clang-14', 'HOSTCC=clang-14', 'LD=ld.lld-14',
  ]);
  t.end();
});

void t.test('a Clang that is missing is named', async (t) => {
  const { PATH } = process.env;
  process.env.PATH = '/nonexistent';
  t.teardown(() => {
    process.env.PATH = PATH;
  });
  await t.rejects(toolchainOf(lld, 'x86_64'), {
    message: 'the compiler clang-99 is not installed',
    hint: 'apt-get install clang-99 lld-99 llvm-99 (or clang lld llvm)',
  });
});
