// SPDX-License-Identifier: MIT
import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

/**
 * The import rule of docs/architecture.md. `only`: what a folder's code may import, as a pattern; packages and Node's own
 * modules count too, since they may do I/O.
 */
const only = (files, allowed, message) => ({
  files,
  rules: { 'no-restricted-imports': ['error', { patterns: [{ regex: `^(?!${allowed})`, message }] }] },
});
const sibling = '\\./[\\w-]+\\.js$';

export default tseslint.config(
  { ignores: ['dist/', 'harness/report/html/page/', 'node_modules/', 'klp-results/', '.tap/'] },
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
  only(['harness/model/*.ts'], `(${sibling}|\\./(catalogue|operations|observations)/)`, 'model imports nothing of the others'),
  only(
    ['harness/model/{catalogue,operations,observations}/*.ts'],
    `(${sibling}|\\.${sibling}|\\.\\./(catalogue|operations)/)`,
    'model imports nothing of the others',
  ),
  only(['harness/elf/*.ts'], `(${sibling}|\\./(lint|faults)/)`, 'elf imports nothing of the others'),
  only(['harness/elf/{lint,faults}/*.ts'], `(${sibling}|\\.${sibling}|\\.\\./lint/)`, 'elf imports nothing of the others'),
  only(['harness/report/**'], `(${sibling}|\\./html/reporter\\.js$|\\.\\./events/|\\.\\./errors\\.js$|zod$)`, 'report reads events only'),
  only(['harness/report/html/*.ts'], `(${sibling}|\\.${sibling}|\\.\\./\\.\\./(events/|model/catalogue/index\\.js$))`, 'the page shows events and the catalogue'),
  only(['harness/report/html/assets.ts'], '(node:fs|\\.\\./\\.\\./package-root\\.js)$', 'of the world, only the files of the page are read'),
  only(['scenarios/**'], `(${sibling}|\\.\\./harness/index\\.js$)`, 'scenarios import harness/index.ts only'),
  {
    files: ['harness/**', 'kernels/**', 'images/**'],
    ignores: ['harness/{cli,model,elf,report}/**'],
    rules: { 'no-restricted-imports': ['error', { patterns: [{ group: ['**/cli/**'], message: 'nothing imports cli' }] }] },
  },
);
