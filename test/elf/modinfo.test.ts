// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import {
  isLivepatch,
  modinfo,
  modinfoFields,
  readObject,
  withModinfo,
  withoutModinfo,
  writeObject,
} from '../../harness/elf/index.js';
import { buildObject, handmadeModule } from './build.js';

void t.test('fields are read across padding', (t) => {
  const object = readObject(handmadeModule());
  t.strictSame(modinfoFields(object), [
    { key: 'license', value: 'GPL', offset: 0 },
    { key: 'livepatch', value: 'Y', offset: 12 },
    { key: 'depends', value: '', offset: 25 },
    { key: 'name', value: 'lp', offset: 34 },
  ]);
  t.equal(modinfo(object, 'depends'), '');
  t.equal(modinfo(object, 'vermagic'), undefined);
  t.ok(isLivepatch(object));
  t.notOk(isLivepatch(readObject(handmadeModule(false))));
  t.end();
});

void t.test('a field is removed, the others keep their offsets', (t) => {
  const before = readObject(handmadeModule());
  const after = readObject(writeObject(withoutModinfo(before, 'livepatch')));
  t.notOk(isLivepatch(after));
  t.notOk(after.section(4).data.subarray(12, 25).some((byte) => byte !== 0), 'nothing of it is left');
  t.strictSame(
    modinfoFields(after),
    modinfoFields(before).filter(({ key }) => key !== 'livepatch'),
  );
  t.equal(withoutModinfo(before, 'alias'), before, 'nothing to remove');
  t.end();
});

void t.test('fields set and removed in any order are as last set', (t) => {
  const key = fc.constantFrom('livepatch', 'depends', 'vermagic', 'name', 'license');
  // Any bytes but NUL; an equals sign in a value is fine.
  const value = fc.string({
    unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
    maxLength: 30,
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(key, fc.option(value)), { maxLength: 6 }), (edits) => {
      const start = readObject(handmadeModule());
      const wanted = new Map(modinfoFields(start).map((field) => [field.key, field.value]));
      let object = start;
      for (const [name, text] of edits) {
        object = text === null ? withoutModinfo(object, name) : withModinfo(object, name, text);
        if (text === null) wanted.delete(name);
        else wanted.set(name, text);
      }
      const found = modinfoFields(readObject(writeObject(object)));
      assert.deepEqual(new Map(found.map((field) => [field.key, field.value])), wanted);
      assert.equal(found.length, wanted.size, 'each once');
    }),
    { seed: 414, numRuns: 300 },
  );
  t.end();
});

void t.test('an object without .modinfo', (t) => {
  const object = readObject(buildObject({}));
  t.strictSame(modinfoFields(object), []);
  t.equal(withoutModinfo(object, 'livepatch'), object);
  t.throws(() => withModinfo(object, 'livepatch', 'Y'), {
    name: 'LivepatchError',
    kind: 'no-such-section',
    message: 'the object has no .modinfo section',
  });
  t.end();
});
