// SPDX-License-Identifier: MIT
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { chooseReporters, outputs, withAbsoluteFiles } from '../../harness/cli/outputs.js';
import { UsageError } from '../../harness/errors.js';
import { JunitReporter } from '../../harness/report/junit.js';
import { ListReporter } from '../../harness/report/list.js';
import { TapReporter } from '../../harness/report/tap.js';

void t.test('names, and files', (t) => {
  const folder = t.testdir({});
  const file = join(folder, 'deep/er/out.xml');
  const [list, junit, ...more] = chooseReporters(`list,junit=${file}`);
  t.ok(list?.reporter instanceof ListReporter && list.file === undefined);
  t.ok(junit?.reporter instanceof JunitReporter);
  t.equal(junit?.file, file);
  t.equal(more.length, 0);
  t.ok(existsSync(file), 'its folder is made, and it can be written');
  const [only] = chooseReporters('tap');
  t.ok(only?.reporter instanceof TapReporter);
  const [shown, ...files] = chooseReporters(`junit=${file}, md=${join(folder, 'b.md')}`);
  t.ok(shown?.reporter instanceof ListReporter, 'standard output is never empty');
  t.strictSame(files.map((f) => f.name), ['junit', 'md']);
  t.equal(withAbsoluteFiles('list,junit=a/b.xml'), `list,junit=${join(process.cwd(), 'a/b.xml')}`);
  t.end();
});

void t.test('what is written into files: those asked for, and those of every run', (t) => {
  const folder = t.testdir({ run: {} });
  const file = join(folder, 'out.xml');
  writeFileSync(file, 'of the run before');
  const all = outputs(chooseReporters(`junit=${file}`), join(folder, 'run'));
  t.strictSame(all.map((o) => o.name), ['list', 'junit', 'tap', 'json', 'markdown', 'html']);
  for (const output of all.slice(1)) output.write(output.reporter.end());
  t.match(readFileSync(file, 'utf8'), /^<\?xml /, 'nothing is left of what was there');
  t.match(readFileSync(join(folder, 'run/results.tap'), 'utf8'), /^TAP version 14/);
  t.end();
});

void t.test('what is refused, before anything has begun', (t) => {
  const folder = t.testdir({ 'a-file': '' });
  const wrong = (text: string, message: RegExp): void => {
    t.throws(() => chooseReporters(text), { message });
    t.throws(() => chooseReporters(text), UsageError);
  };
  wrong('junt', /there is no reporter "junt"/);
  wrong('list,', /standard output is for one of list and /);
  wrong('list,tap', /standard output is for one of list and tap/);
  t.throws(() => chooseReporters('list,tap'), { message: /one of/, hint: 'give the others a file: list,tap=FILE' });
  wrong('junit=', /a file belongs behind the "="/);
  wrong(`junit=${folder}`, /can't write .*EISDIR/);
  wrong(`junit=${join(folder, 'a-file/x.xml')}`, /can't write .*(EEXIST|ENOTDIR)/);
  wrong(`tap=${join(folder, 'x')},json=${join(folder, 'x')}`, /is there twice/);
  if (process.getuid?.() !== 0) {
    mkdirSync(join(folder, 'closed'));
    chmodSync(join(folder, 'closed'), 0o500);
    wrong(`tap=${join(folder, 'closed/x')}`, /EACCES/);
  }
  t.end();
});
