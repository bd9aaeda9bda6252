// SPDX-License-Identifier: MIT
import t from 'tap';
import { fuzz, fuzzInputs } from './fuzz.js';

void t.test('mutated modules are refused with offset and field, or written back as they were', (t) => {
  const { accepted, refused } = fuzz(fuzzInputs(), 20_000, 414);
  t.ok(accepted > 2_000 && accepted < 18_000, `both outcomes are met: ${accepted} were read`);
  for (const field of ['e_ident', 'e_shoff', 'e_shstrndx', 'sh_name', 'sh_offset', 'sh_size', 'sh_link', 'st_name']) {
    t.ok(refused.has(field), `${field} is met`);
  }
  t.end();
});
