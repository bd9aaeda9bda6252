// SPDX-License-Identifier: MIT
import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

/**
 * The import rule of docs/architecture.md. A folder's code may import only what stands beside it here;
 * Node's own modules count as I/O, so the pure folders may not have them either.
 */
const boundary = (files, groups, message) => ({
  files,
  rules: { 'no-restricted-imports': ['error', { patterns: [{ group: groups, message }] }] },
});

const folders = ['cli', 'model', 'elf', 'modules', 'vm', 'guest', 'runner', 'report'];
const others = (...own) => folders.filter((f) => !own.includes(f)).map((f) => `**/${f}/**`);

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'klp-results/', '.tap/'] },
  eslint.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-definitions': ['error', 'interface'],
      'no-console': 'error',
      eqeqeq: 'error',
    },
  },
  { files: ['**/*.js'], ...tseslint.configs.disableTypeChecked },
  boundary(['harness/model/**'], [...others('model'), 'node:*', '**/kernels/**', '**/images/**'], 'model imports nothing of the others'),
  boundary(['harness/elf/**'], [...others('elf'), 'node:*', '**/kernels/**', '**/images/**'], 'elf imports nothing of the others'),
  boundary(['harness/report/**'], [...others('report'), '**/kernels/**', '**/images/**'], 'report reads events only'),
  boundary(
    ['harness/{modules,vm,guest,runner}/**', 'harness/*.ts', 'kernels/**', 'images/**'],
    ['**/cli/**'],
    'nothing imports cli',
  ),
  boundary(['scenarios/**'], ['**/harness/*/**', '**/kernels/**', '**/images/**', 'node:*'], 'scenarios import harness/index.ts only'),
);
