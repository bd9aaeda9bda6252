// SPDX-License-Identifier: MIT
import t from 'tap';
import { displayOf } from '../../harness/cli/outputs.js';

const terminal = { isTTY: true, columns: 100, rows: 30 };
const file = { isTTY: false, columns: 0, rows: 0 };

void t.test('colours and live lines, by terminal and environment', (t) => {
  const of = (place: typeof terminal, env: NodeJS.ProcessEnv): string => {
    const { colour, live } = displayOf(place, env);
    return `${colour ? 'colour' : 'plain'} ${live ? 'live' : 'lines'}`;
  };
  t.equal(of(terminal, {}), 'colour live');
  t.equal(of(file, {}), 'plain lines');
  t.equal(of(terminal, { NO_COLOR: '1' }), 'plain live');
  t.equal(of(terminal, { NO_COLOR: '' }), 'colour live', 'empty is not said');
  t.equal(of(file, { FORCE_COLOR: '1' }), 'colour lines');
  t.equal(of(file, { FORCE_COLOR: '1', NO_COLOR: '1' }), 'colour lines', 'it wins');
  t.equal(of(file, { FORCE_COLOR: '' }), 'plain lines');
  t.equal(of(terminal, { FORCE_COLOR: '0' }), 'plain live');
  t.equal(of(terminal, { CI: 'true' }), 'colour lines');
  t.equal(of(terminal, { TERM: 'dumb' }), 'plain lines');
  t.end();
});

void t.test('the size is the one there is now', (t) => {
  const place = { ...terminal };
  const display = displayOf(place, {});
  place.columns = 40;
  t.same([display.columns, display.rows], [40, 30]);
  t.same([displayOf(file, {}).columns, displayOf(file, {}).rows], [80, 24], 'unknown');
  t.end();
});
