// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { clean, cleanLines, duration, fit, jsonText, width, wrap } from '../../harness/report/text.js';
import { hostileText } from './runs.js';

void t.test('clean', (t) => {
  t.equal(clean('\x1b[31mred\x07\t.\n\u202e\u{e0001}'), '\\x1b[31mred\\x07 . \\u{202e}\\u{e0001}');
  t.equal(clean('a\ud800b é 界 😀'), 'a\\u{d800}b é 界 😀');
  t.equal(
    clean('std::x ::error::y ##[group] ##vso[x] ## [y'),
    'std::x : :error::y # #[group] # #vso[x] ## [y',
  );
  t.equal(clean('x'.repeat(401)), `${'x'.repeat(400)}… (401 characters)`);
  t.same(cleanLines('a\r\nb\nc', 2), ['a', 'b', '…']);
  t.ok(cleanLines('\n'.repeat(1 << 20)).length <= 13);
  fc.assert(
    fc.property(hostileText, (text) => {
      assert.doesNotMatch(clean(text), /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      assert.equal(clean(clean(text)), clean(text), 'idempotent');
    }),
  );
  t.end();
});

void t.test('fit and wrap keep to the columns', (t) => {
  t.equal(fit('abcdef', 4), 'abc…');
  t.equal(fit('界界界', 4), '界…');
  t.equal(fit('abc', 3), 'abc');
  t.equal(fit('abc', 0), '');
  t.same(wrap(['aa', 'bb', 'cc'], 7, '> ', '  '), ['> aa bb', '  cc']);
  t.same(wrap([], 7, '> ', '  '), ['>']);
  fc.assert(
    fc.property(hostileText, fc.integer({ min: 0, max: 100 }), (text, columns) => {
      assert.ok(width(fit(clean(text), columns)) <= columns);
    }),
  );
  t.end();
});

void t.test('duration', (t) => {
  const cases: [number, string][] = [
    [0, '0 ms'],
    [999.4, '999 ms'],
    [999.6, '1.0 s'],
    [59_949, '59.9 s'],
    [59_960, '1 min 00 s'],
    [245_000, '4 min 05 s'],
    [7_380_000, '2 h 03 min'],
  ];
  for (const [milliseconds, text] of cases) t.equal(duration(milliseconds), text);
  t.end();
});

void t.test('jsonText is JSON of the same value, printable throughout', (t) => {
  t.equal(
    jsonText('\x7f\u009b\u2028\u{e0001}\ud800\0'),
    '"\\u007f\\u009b\\u2028\\udb40\\udc01\ufffd\\u0000"',
  );
  fc.assert(
    fc.property(fc.array(hostileText), fc.constantFrom(undefined, 2), (value, space) => {
      const text = jsonText({ value }, space);
      assert.doesNotMatch(text, /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      assert.deepEqual(JSON.parse(text), { value: value.map((item) => item.replace(/\p{Cs}/gu, '\ufffd')) });
    }),
  );
  t.end();
});
