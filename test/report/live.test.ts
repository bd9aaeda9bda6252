// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { isPasted } from '../../harness/report/failure.js';
import { fold, paintedWidth } from '../../harness/report/fold.js';
import { ListReporter } from '../../harness/report/list.js';
import { eraseLive } from '../../harness/report/live.js';
import { width } from '../../harness/report/text.js';
import { hostileText, runArb } from './runs.js';
import { Screen } from './screen.js';

const columns = fc.integer({ min: 20, max: 120 });
const rows = fc.integer({ min: 2, max: 30 });

void t.test('whatever happens, no line is wider than the terminal, and live lines leave nothing behind', (t) => {
  fc.assert(
    fc.property(runArb, columns, rows, fc.boolean(), fc.boolean(), (run, wide, high, colour, quiet) => {
      const list = new ListReporter({ colour, live: true, columns: wide, rows: high, quiet });
      const screen = new Screen(wide, width);
      let permanent = '';
      let shown = 0;
      const write = (text: string): void => {
        if (text === '') return;
        screen.write(text);
        const erased = text.startsWith(eraseLive);
        assert.equal(erased, shown > 0, 'what stands there is erased before anything is written, and only then');
        const body = erased ? text.slice(eraseLive.length) : text;
        // Live lines end with the cursor's way back to the first of them.
        const back = /(?:\x1b\[(\d+)A)?\r$/.exec(body); // eslint-disable-line no-control-regex
        const all = body.slice(0, back?.index).split('\n');
        const lines = back ? all.splice(-(Number(back[1] ?? 0) + 1)) : [];
        permanent += back ? all.map((line) => `${line}\n`).join('') : body;
        shown = lines.length;
        assert.ok(shown < high, 'there is a row left');
        for (const line of lines) assert.ok(paintedWidth(line) < wide, `live: ${JSON.stringify(line)}`);
        assert.equal(screen.cursor[1], 0, 'the cursor is at the begin of a row');
      };
      for (const event of run.events) {
        write(list.event(event));
        write(list.tick(event.mono + 50));
      }
      write(list.end());
      assert.equal(shown, 0);
      for (const line of permanent.split('\n')) {
        if (!isPasted(line)) assert.ok(paintedWidth(line) <= wide, `stays: ${JSON.stringify(line)}`);
      }
      // What is left on the screen is what was to stay, and nothing else.
      const fresh = new Screen(wide, width);
      fresh.write(permanent);
      assert.deepEqual(screen.lines, fresh.lines);
    }),
    { numRuns: 200 },
  );
  t.pass('for arbitrary runs and terminals');
  t.end();
});

void t.test('where it is no terminal, there is no escape, and lines are whole', (t) => {
  fc.assert(
    fc.property(runArb, columns, fc.boolean(), (run, wide, quiet) => {
      const list = new ListReporter({ colour: false, live: false, columns: wide, quiet });
      const text = run.events.map((event) => list.event(event) + list.tick(event.mono + 60_000)).join('') + list.end();
      assert.doesNotMatch(text, /[\x1b\r]/); // eslint-disable-line no-control-regex
      assert.ok(text.endsWith('\n'));
    }),
    { numRuns: 100 },
  );
  t.pass('for arbitrary runs');
  t.end();
});

void t.test('a terminal that was resized', (t) => {
  const display = { colour: false, live: true, columns: 80, rows: 24 };
  fc.assert(
    fc.property(runArb, fc.array(columns, { minLength: 1 }), (run, widths) => {
      const list = new ListReporter(display);
      for (const [i, event] of run.events.entries()) {
        display.columns = widths[i % widths.length] ?? 80;
        const text = list.event(event) + list.tick(event.mono + 2000);
        for (const line of text.split(/\n|\r/)) {
          if (!isPasted(line)) assert.ok(paintedWidth(line.replace(/\x1b\[(?:J|\d+A)/g, '')) <= display.columns, JSON.stringify(line)); // eslint-disable-line no-control-regex
        }
      }
    }),
    { numRuns: 100 },
  );
  t.pass('every line has the width of its time');
  t.end();
});

void t.test('folding loses nothing but blanks', (t) => {
  const painted = hostileText.map((text) => `\x1b[31m${text.replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, '')}\x1b[39m`);
  fc.assert(
    fc.property(fc.array(painted, { maxLength: 20 }), fc.constantFrom('', '  ', '    | ', '    > '), columns, (parts, start, wide) => {
      const line = start + parts.join(' ');
      const folded = fold(line, wide);
      for (const part of folded) assert.ok(paintedWidth(part) <= wide, JSON.stringify(part));
      const bare = (text: string): string => text.replace(/[\s|>]/g, '');
      assert.equal(bare(folded.join('')), bare(line));
    }),
  );
  t.same(fold('    | one two three four', 20), ['    | one two three', '    | four']);
  t.same(fold('  word '.repeat(1) + 'x'.repeat(30), 20), ['  word', `    ${'x'.repeat(16)}`, `    ${'x'.repeat(14)}`]);
  t.same(fold(`  ${'x'.repeat(30)}`, 20), [`  ${'x'.repeat(18)}`, `    ${'x'.repeat(12)}`]);
  t.same(fold('界界界界界界界界界界界', 20), ['界'.repeat(10), '  界']);
  t.same(fold('\x1b[31mabc\x1b[39m', 20), ['\x1b[31mabc\x1b[39m'], 'a colour takes no column');
  t.end();
});
