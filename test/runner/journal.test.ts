// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { InfrastructureError, UsageError } from '../../harness/errors.js';
import type { KlpEvent, Payload } from '../../harness/events/schema.js';
import type { Reporter } from '../../harness/report/reporter.js';
import { Journal, readJournal } from '../../harness/runner/journal.js';
import { ending, finished, hostileText, started } from '../report/runs.js';

function clock(): { monotonic: () => number; wall: () => Date } {
  let now = 1000;
  return { monotonic: () => (now += 0.5), wall: () => new Date(Date.UTC(2026, 10, 22)) };
}

class Recorder implements Reporter {
  readonly events: KlpEvent[] = [];
  event(event: KlpEvent): string {
    this.events.push(event);
    return event.type === 'progress' ? '' : `${event.type}\n`;
  }
  tick(mono: number): string {
    return `tick ${mono}\n`;
  }
  end(): string {
    return 'end\n';
  }
}

/** A journal with three events at `path`. */
function three(path: string): void {
  const journal = new Journal(path, 'r', clock());
  journal.emit('run.started', started(['k'], ['s']));
  journal.emit('progress', { topic: 't', text: 'x' });
  journal.emit('run.finished', ending([], []));
  journal.close();
}

void t.test('writes what a reader gets back, and tells the reporters the same', async (t) => {
  const path = join(t.testdir(), 'journal.ndjson');
  const recorder = new Recorder();
  let written = '';
  const output = { name: 'recorder', reporter: recorder, write: (text: string) => void (written += text) };
  const journal = new Journal(path, 'run-1', { ...clock(), outputs: [output] });
  const first = journal.emit('run.started', started(['k'], ['s']));
  t.match(first, {
    v: 1,
    seq: 0,
    run: 'run-1',
    type: 'run.started',
    mono: 0.5,
    wall: '2026-11-22T00:00:00.000Z',
  });
  journal.emit('progress', { topic: 't', text: 'x' });
  journal.tick();
  t.equal(readFileSync(path, 'utf8').split('\n').length, 3, 'each event is in the file at once');
  journal.emit('run.finished', ending([], []));
  t.same(journal.close(), []);
  t.same(journal.close(), [], 'a second time');
  t.equal(written, 'run.started\ntick 1.5\nrun.finished\nend\n');
  const content = await readJournal(path);
  const bytes = readFileSync(path).length;
  t.same(content, { events: recorder.events, finished: true, end: { seq: 3, mono: 2, bytes, open: false } });
  t.same(
    content.events.map((e) => e.seq),
    [0, 1, 2],
  );
  t.throws(() => journal.emit('progress', { topic: 't', text: 'x' }), {
    message: `the journal ${path} is closed: progress came too late`,
  });
});

void t.test('what a guest says is one line of valid JSON', async (t) => {
  const dir = t.testdir();
  let n = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(hostileText, { maxLength: 5 }), async (log) => {
      const path = join(dir, `${n++}.ndjson`);
      const journal = new Journal(path, 'r', clock());
      journal.emit('scenario.finished', finished('k', 's', 'fail', { log }));
      journal.close();
      const text = readFileSync(path, 'utf8');
      assert.equal(text.indexOf('\n'), text.length - 1);
      const { events } = await readJournal(path);
      assert.deepEqual(
        (events[0] as Payload<'scenario.finished'>).log,
        log.map((s) => s.replace(/\p{Cs}/gu, '\ufffd')),
      );
    }),
    { numRuns: 100 },
  );
  const path = join(dir, 'huge.ndjson');
  const journal = new Journal(path, 'r', clock());
  const huge = '\u2028\0'.repeat(1 << 19);
  journal.emit('scenario.finished', finished('k', 's', 'fail', { log: [huge] }));
  journal.emit('progress', { topic: 't', text: 'after it' });
  journal.close();
  const { events } = await readJournal(path);
  t.equal((events[0] as Payload<'scenario.finished'>).log?.[0], huge, 'a mebibyte in one line');
  t.equal(events.length, 2);
});

void t.test('the journal of a killed run, cut at any byte', async (t) => {
  const path = join(t.testdir(), 'j');
  three(path);
  const whole = readFileSync(path);
  const lengths = whole
    .toString()
    .split('\n')
    .slice(0, 3)
    .map((line) => line.length);
  const [one = 0, two = 0] = lengths;
  for (let size = whole.length; size >= 0; size -= 1) {
    writeFileSync(path, whole);
    truncateSync(path, size);
    const { events, finished: done, notice } = await readJournal(path);
    const complete = size >= whole.length - 1 ? 3 : size >= one + 1 + two ? 2 : size >= one ? 1 : 0;
    assert.equal(events.length, complete, `${size} bytes`);
    assert.equal(done, complete === 3);
    const atEdge = [0, one, one + 1, one + 1 + two, one + two + 2].includes(size);
    const were = complete === 1 ? '1 event' : `${complete} events`;
    const cut = 'the last line is cut short: the run was killed';
    const said =
      complete === 3
        ? undefined
        : atEdge
          ? `${path}: the run did not finish: there is no run.finished at its end`
          : `${path}:${complete + 1}: ${cut}; ${were} before it were read`;
    assert.equal(notice, said, `${size} bytes`);
  }
  t.pass('every length');
});

void t.test('a journal is gone on with from any byte at which it was cut', async (t) => {
  const path = join(t.testdir(), 'j');
  three(path);
  const whole = readFileSync(path);
  for (let size = whole.length; size >= 0; size -= 7) {
    writeFileSync(path, whole.subarray(0, size));
    const past = await readJournal(path);
    const recorder = new Recorder();
    const outputs = [{ name: 'recorder', reporter: recorder, write: () => undefined }];
    const journal = new Journal(path, 'r', { ...clock(), outputs, past });
    const event = journal.emit('progress', { topic: 't', text: 'goes on' });
    journal.close();
    assert.equal(event.seq, past.events.length);
    assert.ok(event.mono >= (past.events.at(-1)?.mono ?? 0), 'the clock never goes back');
    const { events, end } = await readJournal(path);
    assert.deepEqual(events, [...past.events, event], `${size} bytes`);
    assert.deepEqual(recorder.events, events, 'reporters see the whole');
    assert.equal(end.bytes, readFileSync(path).length, 'nothing of the line that was cut is left');
    assert.ok(whole.subarray(0, past.end.bytes).equals(readFileSync(path).subarray(0, past.end.bytes)), 'nothing is rewritten');
  }
  t.throws(() => new Journal(join(path, 'gone'), 'r', { past: { events: [], end: { seq: 0, mono: 0, bytes: 0, open: false } } }), {
    message: /^can't go on with the journal /,
  });
});

void t.test('what is over is told to reporters that ask for it as past', async (t) => {
  const path = join(t.testdir(), 'j');
  three(path);
  const calls: string[] = [];
  const reporter: Reporter = {
    event: (event) => (calls.push(`event ${event.type}`), ''),
    past: (event) => void calls.push(`past ${event.type}`),
    end: () => '',
  };
  const past = await readJournal(path);
  const journal = new Journal(path, 'r', { outputs: [{ name: 'r', reporter, write: () => undefined }], past });
  journal.emit('progress', { topic: 't', text: 'x' });
  journal.close();
  t.same(calls, ['past run.started', 'past progress', 'past run.finished', 'event progress']);
});

void t.test('an event of a later klp is passed over, and the numbers still count', async (t) => {
  const path = join(t.testdir(), 'j');
  three(path);
  const lines = readFileSync(path, 'utf8').split('\n');
  lines[1] = lines[1]?.replace('"type":"progress"', '"type":"novelty"') ?? '';
  writeFileSync(path, lines.join('\n'));
  const { events, end, finished: done } = await readJournal(path);
  t.same(events.map((e) => e.type), ['run.started', 'run.finished']);
  t.match({ end, done }, { end: { seq: 3 }, done: true });
});

void t.test('what is wrong in a journal is said with its line', async (t) => {
  const path = join(t.testdir(), 'j');
  three(path);
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  const bad = async (change: (lines: string[]) => unknown, message: string | RegExp): Promise<void> => {
    const copy = [...lines];
    change(copy);
    writeFileSync(path, `${copy.join('\n')}\n`);
    const error: unknown = await readJournal(path).catch((e: unknown) => e);
    t.type(error, UsageError);
    t.match((error as UsageError).message, message);
  };
  await bad((l) => (l[1] = '{"v":1'), /^.*j:2: not JSON: /);
  await bad((l) => (l[1] = ''), /^.*j:2: not JSON: /);
  await bad((l) => l.splice(1, 1), `${path}:2: event 2 stands where 1 should: the journal is incomplete`);
  await bad((l) => l.shift(), `${path}:1: event 1 stands where 0 should: the journal is incomplete`);
  await bad(
    (l) => (l[2] = l[2]?.replace('"v":1', '"v":2') ?? ''),
    `${path}:3: event version 2; this klp reads version 1`,
  );
  await bad(
    (l) => (l[2] = l[2]?.replace('"run":"r"', '"run":"q"') ?? ''),
    `${path}:3: event of run q in the journal of run r`,
  );
  await bad(
    (l) => (l[1] = l[1]?.replace('"topic"', '"tropic"') ?? ''),
    `${path}:2: not an event of a journal`,
  );
  await bad((l) => (l[0] = '[]'), `${path}:1: not an event of a journal`);
  const missing: unknown = await readJournal('/nonexistent/j').catch((e: unknown) => e);
  t.match((missing as Error).message, "can't read the journal /nonexistent/j: ENOENT");
});

void t.test('a file that exists is not written over', (t) => {
  const path = join(t.testdir({ j: 'precious' }), 'j');
  t.throws(() => new Journal(path, 'r'), InfrastructureError);
  t.equal(readFileSync(path, 'utf8'), 'precious');
  t.throws(() => new Journal(join(path, 'below'), 'r'), {
    message: /^can't create the journal .*\/j\/below: ENOTDIR/,
  });
  t.end();
});

void t.test('a payload that no reader would take is refused', (t) => {
  const path = join(t.testdir(), 'j');
  const journal = new Journal(path, 'r', clock());
  journal.emit('progress', { topic: 't', text: 'x' });
  t.throws(
    () => journal.emit('scenario.finished', finished('k', 's', 'pass', { durationMs: Number.NaN })),
    /durationMs/,
  );
  journal.emit('progress', { topic: 't', text: 'y' });
  journal.close();
  t.same(
    readFileSync(path, 'utf8').match(/"seq":\d/g),
    ['"seq":0', '"seq":1'],
    'the refused event left no trace',
  );
  t.end();
});

void t.test('a disk that is full: an error that says so, and whole lines only', async (t) => {
  const path = join(t.testdir(), 'j');
  const module = new URL('../../harness/runner/journal.js', import.meta.url).href;
  const script = `
    const { Journal } = await import(${JSON.stringify(module)});
    const journal = new Journal(${JSON.stringify(path)}, 'r');
    try {
      for (let i = 0; i < 10; i += 1) journal.emit('progress', { topic: 't', text: 'x'.repeat(300) });
    } catch (error) {
      process.stdout.write(error.name + ' ' + error.message);
      // There would be room for this one, but then one that is missing would stand before it.
      try { journal.emit('progress', { topic: 't', text: '' }); }
      catch (again) { process.stdout.write(again === error ? '; the same again' : '; another'); }
      journal.close();
    }`;
  // A file of 1024 bytes at most stands in for the full disk; the signal that comes with the limit is
  // ignored.
  const shell = `trap '' XFSZ; ulimit -f 2; exec "$0" --input-type=module -e "$1"`;
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', shell, process.execPath, script], {
    env: {},
    timeout: 60_000,
  });
  t.equal(stdout, `InfrastructureError can't write the journal ${path}: EFBIG: file too large, write; the same again`);
  const { events, notice } = await readJournal(path);
  t.equal(events.length, 2);
  t.equal(notice, `${path}: the run did not finish: there is no run.finished at its end`);
});

void t.test('a reporter that fails costs its own report only', (t) => {
  const path = join(t.testdir(), 'j');
  const recorder = new Recorder();
  const faulty: Reporter = {
    event: (event) => {
      if (event.type === 'progress') throw new Error('oh');
      return '';
    },
    end: () => 'never',
  };
  let written = '';
  const write = (text: string): void => void (written += text);
  const outputs = [
    { name: 'faulty', reporter: faulty, write },
    { name: 'good', reporter: recorder, write: () => undefined },
  ];
  const journal = new Journal(path, 'r', { ...clock(), outputs });
  journal.emit('run.started', started([], []));
  journal.emit('progress', { topic: 't', text: 'x' });
  journal.tick();
  journal.emit('run.finished', ending([], []));
  t.same(journal.close(), ['reporter faulty failed and was left out from then on: oh']);
  t.equal(written, '');
  t.equal(recorder.events.length, 3);
  t.end();
});

void t.test('bytes after a crash of the host', async (t) => {
  const path = join(t.testdir(), 'j');
  three(path);
  appendFileSync(path, Buffer.alloc(100));
  const { events, finished: done, notice } = await readJournal(path);
  t.equal(events.length, 3);
  t.equal(done, true);
  t.equal(notice, `${path}:4: the last line is cut short: the run was killed; 3 events before it were read`);
});
