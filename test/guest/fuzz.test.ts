// SPDX-License-Identifier: MIT
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Duplex, PassThrough } from 'node:stream';
import fc from 'fast-check';
import t from 'tap';
import { AgentClient } from '../../harness/guest/agent-client.js';
import { ProtocolError } from '../../harness/guest/errors.js';
import { frame, FrameDecoder, type Framed } from '../../harness/guest/frames.js';
import {
  decodeCall,
  decodeReply,
  decodeRequest,
  encodeHello,
  encodeRequest,
  frameLimit,
  protocolMagic,
  protocolVersion,
} from '../../harness/guest/protocol.js';
import type { Call } from '../../harness/guest/protocol.js';
import { anyRequest, bytes, u32 } from './arbitraries.js';
import { startAgent, streamOf } from './local-agent.js';

/** Whether the agent may be asked this on a developer's own machine. */
function isHarmless(call: Call): boolean {
  switch (call.op) {
    case 'ping':
    case 'sweep':
      return true;
    case 'samples':
      // Those of nobody.
      return true;
    case 'read':
    case 'tree':
      return !call.path.startsWith('/') && call.path.length > 3;
    case 'await':
      return call.milliseconds < 3 && !call.path.startsWith('/');
    case 'wait':
      return call.milliseconds < 3;
    case 'spawn':
      // An inner call of any kind would be carried out too.
      return (call.kind === 'spin' || call.kind === 'sleep') && call.threads < 5;
    case 'insmod':
    case 'rmmod':
    case 'write':
    case 'io':
    case 'log':
    case 'kill':
    case 'sample':
    case 'renew':
      return false;
  }
}

/** Malformed, or well formed and harmless. */
function isSafe(message: Buffer): boolean {
  try {
    const { request } = decodeRequest(message);
    return request.op === 'batch' ? request.calls.every(isHarmless) : isHarmless(request);
  } catch {
    // In a batch with one unreadable call the others are carried out nevertheless.
    if (message[4] === 14) return false;
    try {
      decodeCall(message.subarray(4));
      return false;
    } catch (error) {
      return error instanceof ProtocolError || error instanceof RangeError;
    }
  }
}

const noise = bytes;
const broken = fc
  .tuple(u32, anyRequest, fc.nat(), fc.nat(255), fc.constantFrom('change', 'cut', 'add', 'keep'))
  .map(([id, request, place, byte, how]) => {
    const message = encodeRequest(id, request);
    const at = place % message.length;
    if (how === 'change') message[at] = byte;
    if (how === 'cut') return message.subarray(0, at);
    return how === 'add' ? Buffer.concat([message, Buffer.from([byte])]) : message;
  });

void t.test('thousands of random frames: each is answered, none ends the agent', async (t) => {
  const seed = 414;
  const frames = fc.sample(fc.oneof(noise, broken), { seed, numRuns: 5000 }).filter(isSafe);
  t.comment(`${frames.length} frames, seed ${seed}`);
  t.ok(frames.length > 1500, 'enough of them may be sent');
  const child = await startAgent();
  const decoder = new FrameDecoder();
  const replies: Framed[] = [];
  const all = new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      replies.push(...decoder.push(chunk));
      if (replies.length === frames.length + 2) resolve();
    });
    child.on('exit', (code, signal) => reject(new Error(`the agent ended: ${code ?? signal ?? ''}`)));
  });
  // An empty message would open another session; whatever is of another session is not even answered.
  const session = 7;
  child.stdin.write(frame(session, Buffer.alloc(0)));
  for (const message of frames) {
    child.stdin.write(frame(8, message.length === 0 ? Buffer.alloc(1) : message));
    child.stdin.write(frame(session, message));
  }
  await all;
  t.strictSame([...new Set(replies.map((r) => r.session))], [0, session], 'its first words, and those of the session');
  const outcomes = replies.slice(2).map(({ message }) => decodeReply(message));
  for (const [i, { id, outcome }] of outcomes.entries()) {
    const message = frames[i] ?? Buffer.alloc(0);
    if (id !== (message.length >= 4 ? message.readUInt32LE() : 0)) t.fail(`frame ${i}: answer to ${id}`);
    if (outcome.errno < -4) t.fail(`frame ${i}: errno ${outcome.errno}`);
  }
  const refused = outcomes.filter(({ outcome }) => outcome.errno < 0).length;
  t.ok(refused > 500 && refused < outcomes.length, `${refused} of ${outcomes.length} were refused`);
  child.removeAllListeners('exit');
  child.stdin.end();
  t.strictSame(await once(child, 'exit'), [0, null]);
});

void t.test('noise between frames is no frame, however long it is', async (t) => {
  const child = await startAgent();
  const client = await AgentClient.open(streamOf(child));
  for (const noise of [Buffer.alloc(frameLimit + (1 << 20), 1), Buffer.from([0, 200, 1, 0]), Buffer.from([2, 1])]) child.stdin.write(noise);
  t.match(await client.request({ op: 'ping', payload: Buffer.from('still there') }), { value: Buffer.from('still there') });
  child.stdin.end();
});

void t.test('a new session ends the one before, and its tasks', async (t) => {
  const child = await startAgent();
  const stream = streamOf(child);
  const first = await AgentClient.open(stream);
  const { value: pid = 0 } = await first.request({ op: 'spawn', kind: 'sleep', name: 'old', cpus: 0n, threads: 0, call: Buffer.alloc(0) });
  t.ok(process.kill(pid, 0));
  const second = await AgentClient.open(stream);
  t.match(await second.request({ op: 'wait', pid, milliseconds: 0 }), { name: 'ECHILD' }, 'nobody knows it any more');
  const stat = await second.request({ op: 'read', path: `/proc/${pid}/stat`, most: 1000 });
  t.ok(!stat.ok || stat.value.data.includes(' Z '), 'and it is dead');
  child.stdin.end();
});

void t.test('an agent that takes the place of another is no surprise before the hello, and the end of a session after it', async (t) => {
  const there = new PassThrough();
  const back = new PassThrough();
  const opening = AgentClient.open(Duplex.from({ readable: back, writable: there }));
  const [sent] = new FrameDecoder().push((await once(there, 'data'))[0] as Buffer);
  const hello = encodeHello({ magic: protocolMagic, version: protocolVersion, frameLimit, pageSize: 4096, pid: 1, clock: 1n });
  back.write(Buffer.from('the end of something older'));
  back.write(frame(0, hello));
  back.write(frame(sent?.session ?? 0, hello));
  const client = await opening;
  const request = client.request({ op: 'sweep', what: 1 });
  back.write(frame(0, hello));
  await t.rejects(request, { name: 'ConnectionLostError', message: 'the guest agent ended, and another was started' });
  t.notOk(client.alive);
});

void t.test('a stream that ends inside a frame ends the agent', async (t) => {
  const child = await startAgent();
  child.stdout.resume();
  child.stdin.end(frame(7, Buffer.alloc(100)).subarray(0, 50));
  t.strictSame(await once(child, 'exit'), [1, null]);
});

void t.test('another program in its place is noticed', async (t) => {
  const child = spawn('echo', ['Welcome to this host!'], { stdio: 'pipe' });
  await t.rejects(AgentClient.open(streamOf(child)), {
    name: 'ConnectionLostError',
    message: 'connection to the guest agent lost',
  });
  const silent = spawn('true', { stdio: 'pipe' });
  await t.rejects(AgentClient.open(streamOf(silent)), { name: 'ConnectionLostError' });
});
