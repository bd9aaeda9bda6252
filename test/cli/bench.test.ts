// SPDX-License-Identifier: MIT
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { brief, figureLine } from '../../harness/cli/bench.js';
import { spread } from '../../harness/runner/figures.js';
import { patience } from '../vm/stock.js';
import { klp } from './klp.js';

t.setTimeout(patience * 2);

void t.test('median and bounds', (t) => {
  t.same(spread([3, 1, 2]), { median: 2, least: 1, most: 3 });
  t.same(spread([4, 1, 3, 2]), { median: 2.5, least: 1, most: 4 });
  t.same(spread([7]), { median: 7, least: 7, most: 7 });
  t.end();
});

void t.test('a line has three digits of each, and 80 columns', (t) => {
  t.same([0.421, 9.996, 17.34, 231.4, 999.6, 3517].map(brief), ['0.42 ms', '10.0 ms', '17.3 ms', '231 ms', '1.00 s', '3.52 s']);
  const figure = { name: 'push of 1 MiB', samples: [300, 310, 305], bar: '<= 0.5 s' };
  t.equal(figureLine(figure, 6100), 'push of 1 MiB                       305 ms    300 ms … 310 ms    0.05  <= 0.5 s');
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0.001, max: 999_000, noNaN: true }), { minLength: 1 }), (samples) => {
      const line = figureLine({ ...figure, name: 'pristine guest, first operation', samples }, 5000);
      if (line.length > 80) throw new Error(line);
    }),
  );
  t.end();
});

void t.test('every figure of the stock kernel, once each', async (t) => {
  const cwd = t.testdir({});
  const { status, stdout, stderr } = await klp(['bench', '--count', '1', '--json', 'b.json', '--accel', 'tcg'], { cwd, timeout: patience });
  t.equal(status, 0, stderr);
  const results = JSON.parse(await readFile(join(cwd, 'b.json'), 'utf8')) as { figures: { name: string; samples: number[] }[]; pairGain: number; lintMemory: { peak: number; largestModule: number } };
  t.equal(results.figures.length, 13);
  for (const { name, samples } of results.figures) {
    t.ok(samples.length === 1 && samples.every((ms) => ms > 0), name);
    t.ok(stdout.includes(`\n${name} `), `${name} is printed`);
  }
  t.match(stdout, /^agent: sweep of [6-9]\d threads /m);
  t.ok(results.pairGain > 0);
  t.match(stdout, /^klp lint, \d{4} modules /m);
  const { peak, largestModule } = results.lintMemory;
  t.ok(largestModule > 1 << 20 && peak > largestModule, 'what the modules and the process took');
});
