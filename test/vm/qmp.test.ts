// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import fc from 'fast-check';
import t from 'tap';
import { DeadlineError, InfrastructureError } from '../../harness/errors.js';
import { Qmp, QmpError, type QmpEvent } from '../../harness/vm/qmp.js';

const greeting = '{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}}, "capabilities": []}}\r\n';

interface Request {
  execute: string;
  arguments: Record<string, unknown>;
  id: number;
}

/** A stream whose other end answers each request with what `reply` gives for it. */
function peer(reply: (request: Request) => string[] | undefined): Duplex {
  let rest = '';
  return new Duplex({
    read() {
      // pushed below
    },
    write(chunk: Buffer, _encoding, done) {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        for (const piece of reply(JSON.parse(line) as Request) ?? []) this.push(piece);
      }
      done();
    },
  });
}

function connectTo(reply: (request: Request) => string[] | undefined, milliseconds?: number): Promise<Qmp> {
  const stream = peer((request) =>
    request.execute === 'qmp_capabilities' ? [`{"return": {}, "id": ${request.id}}\r\n`] : reply(request),
  );
  stream.push(greeting);
  return Qmp.connect(stream, milliseconds);
}

/** Cuts text at the given places. */
function pieces(text: string, cuts: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text);
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end));
}

void t.test('answers and events survive any chunking', async () => {
  const values = fc.array(fc.record({ text: fc.string({ unit: 'grapheme' }), event: fc.boolean() }), { maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(values, fc.array(fc.nat(5000), { maxLength: 30 }), async (items, cuts) => {
      const requests: Request[] = [];
      const stream = peer((request) => {
        requests.push(request);
        return [];
      });
      const connecting = Qmp.connect(stream);
      const seen: QmpEvent[] = [];
      stream.push(greeting);
      while (requests.length === 0) await new Promise(setImmediate);
      stream.push(`{"return": {}, "id": ${requests[0]?.id ?? 0}}\n`);
      const qmp = await connecting;
      qmp.emitter.on('event', (event) => seen.push(event));
      const asked = items.filter((item) => !item.event).map(({ text }) => qmp.execute('echo', { text }));
      const ids = requests.slice(1).map((request) => request.id);
      const wire = items.map(({ text, event }) =>
        event ? JSON.stringify({ event: 'E', data: { text } }) : JSON.stringify({ id: ids.shift(), return: text }),
      );
      pieces(wire.map((line) => `${line}\r\n`).join(''), cuts).forEach((piece) => piece.length > 0 && stream.push(piece));
      assert.deepEqual(await Promise.all(asked), items.filter((item) => !item.event).map((item) => item.text));
      while (seen.length < items.filter((item) => item.event).length) await new Promise(setImmediate);
      assert.deepEqual(seen, items.filter((item) => item.event).map(({ text }) => ({ event: 'E', data: { text } })));
      qmp.close();
    }),
    { seed: 414, numRuns: 200 },
  );
});

void t.test('answers find their command by id, in whatever order they come', async (t) => {
  let first: Request | undefined;
  const qmp = await connectTo((request) => {
    if (!first) return void (first = request);
    return [`{"return": "second", "id": ${request.id}}\n{"return": "first", "id": ${first.id}}\n`];
  });
  t.same(await Promise.all([qmp.execute('a'), qmp.execute('b')]), ['first', 'second']);
  qmp.close();
});

void t.test('a refusal is a QmpError', async (t) => {
  const qmp = await connectTo(({ id }) => [
    `{"error": {"class": "CommandNotFound", "desc": "The command x has not been found"}, "id": ${id}}\n`,
  ]);
  await t.rejects(qmp.execute('x'), {
    name: 'QmpError',
    message: 'QEMU refused x: The command x has not been found (CommandNotFound)',
    errorClass: 'CommandNotFound',
  });
  qmp.close();
});

void t.test('silence, an end and rubbish are told apart', async (t) => {
  const silent = await connectTo(() => []);
  await t.rejects(silent.execute('query-status', {}, 50), new DeadlineError('QEMU to answer query-status', 50));
  silent.close();
  await t.rejects(silent.execute('query-status'), new InfrastructureError("QEMU's control connection was closed"));

  const mute = new Duplex({ read: () => undefined, write: (_c, _e, done) => done() });
  await t.rejects(Qmp.connect(mute, 50), new DeadlineError("QEMU's greeting", 50));

  const ending = peer(() => []);
  const connecting = Qmp.connect(ending);
  ending.push(null);
  await t.rejects(connecting, new InfrastructureError("QEMU's control connection was closed"));

  const rubbish = await connectTo(() => ['SSH-2.0-OpenSSH\r\n']);
  await t.rejects(rubbish.execute('x'), {
    message: 'QEMU\'s control connection sent what is not QMP: "SSH-2.0-OpenSSH\\r"',
  });
});

void t.test('a real QEMU', async (t) => {
  const child = spawn(
    'qemu-system-x86_64',
    ['-nodefaults', '-display', 'none', '-S', '-M', 'none', '-chardev', 'socket,id=qmp,fd=3', '-mon', 'chardev=qmp,mode=control'],
    { stdio: ['ignore', 'ignore', 'inherit', 'pipe'] },
  );
  const ended = once(child, 'close');
  t.teardown(() => child.kill('SIGKILL'));
  const qmp = await Qmp.connect(child.stdio[3] as Duplex, 60_000);
  const version = (await qmp.execute('query-version')) as { qemu: { major: number } };
  t.ok(version.qemu.major >= 7);
  t.match(await qmp.human('info status'), /^VM status: paused/);
  await t.rejects(qmp.execute('no-such-command'), QmpError);
  const events = qmp.events();
  const next = events.next();
  await qmp.execute('quit');
  t.match(await next, { done: false, value: { event: 'SHUTDOWN', data: { reason: 'host-qmp-quit' } } });
  t.same(await events.next(), { done: true, value: undefined });
  t.same(await ended, [0, null]);
});
