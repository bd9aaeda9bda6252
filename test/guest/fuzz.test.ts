// SPDX-License-Identifier: MIT
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fc from 'fast-check';
import t from 'tap';
import { AgentClient } from '../../harness/guest/agent-client.js';
import { ProtocolError } from '../../harness/guest/errors.js';
import { frame, FrameDecoder } from '../../harness/guest/frames.js';
import { decodeCall, decodeReply, decodeRequest, encodeRequest, frameLimit } from '../../harness/guest/protocol.js';
import type { Call } from '../../harness/guest/protocol.js';
import { anyRequest, bytes, u32 } from './arbitraries.js';
import { startAgent, streamOf } from './local-agent.js';

/** Whether the agent may be asked this on a developer's own machine. */
function isHarmless(call: Call): boolean {
  switch (call.op) {
    case 'ping':
    case 'sweep':
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
      return call.kind !== 'op' && call.kind !== 'forks' && call.threads < 5;
    case 'insmod':
    case 'rmmod':
    case 'write':
    case 'io':
    case 'log':
    case 'kill':
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
  const replies: Buffer[] = [];
  const all = new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      replies.push(...decoder.push(chunk));
      if (replies.length === frames.length + 1) resolve();
    });
    child.on('exit', (code, signal) => reject(new Error(`the agent ended: ${code ?? signal ?? ''}`)));
  });
  for (const message of frames) child.stdin.write(frame(message));
  await all;
  const outcomes = replies.slice(1).map(decodeReply);
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

void t.test('a frame over the limit is refused and ends the agent, since nothing behind it can be found', async (t) => {
  const child = await startAgent();
  const client = await AgentClient.open(streamOf(child));
  const exit = once(child, 'exit');
  const head = Buffer.alloc(4);
  head.writeUInt32LE(frameLimit + 1);
  child.stdin.write(head);
  t.strictSame(await exit, [1, null]);
  await t.rejects(client.request({ op: 'sweep' }), { message: 'the guest agent reports a frame over the size limit' });
});

void t.test('a stream that ends inside a frame ends the agent', async (t) => {
  const child = await startAgent();
  child.stdout.resume();
  child.stdin.end(frame(Buffer.alloc(100)).subarray(0, 50));
  t.strictSame(await once(child, 'exit'), [1, null]);
});

void t.test('another program in its place is noticed', async (t) => {
  const child = spawn('echo', ['Welcome to this host!'], { stdio: 'pipe' });
  await t.rejects(AgentClient.open(streamOf(child)), {
    name: 'ProtocolError',
    message: 'a frame of 1668048215 bytes is over the limit of 8388608',
  });
  const silent = spawn('true', { stdio: 'pipe' });
  await t.rejects(AgentClient.open(streamOf(silent)), { name: 'ConnectionLostError' });
});
