// SPDX-License-Identifier: MIT
import { randomBytes } from 'node:crypto';
import { constants } from 'node:os';
import { taskOutcome, type AgentClient } from './agent-client.js';
import { calls, must } from './guest.js';
import type { Guest, Log, Recording, Source, SweepOptions, Task, TaskEnd, TaskSpec, TimelineSpec } from './guest.js';
import { parseLogRecord, type LogRecord } from './kmsg.js';
import { execGroup } from './operations.js';
import { encodeCall } from './protocol.js';
import type { Awaited, Call, Outcome, OutcomeOf, Thread, TreeEntry, ValueOf } from './protocol.js';
import { Recorder } from './recorder.js';
import type { ExecOptions, ExecResult } from './ssh.js';
import type { FileToPush } from './tar.js';
import { encode, text } from './wire.js';

const endOfLog = (1n << 64n) - 1n;

/** The half of a Guest that an agent alone provides, however its bytes travel. */
export abstract class AgentGuest implements Guest {
  /** @throws ConnectionLostError when there is none */
  protected abstract agent(): AgentClient;
  abstract readonly connected: boolean;
  abstract run(command: string, options?: ExecOptions): Promise<ExecResult>;
  abstract push(directory: string, files: readonly FileToPush[]): Promise<void>;
  abstract disconnect(): void;
  abstract reconnect(options?: { readonly deadline?: number; readonly signal?: AbortSignal }): Promise<void>;

  get agentPid(): number {
    return this.agent().hello.pid;
  }

  insmod(path: string, params?: string): Promise<Outcome<undefined>> {
    return this.ask(calls.insmod(path, params));
  }

  rmmod(name: string): Promise<Outcome<undefined>> {
    return this.ask(calls.rmmod(name));
  }

  async read(path: string, most?: number): Promise<Outcome<Buffer>> {
    return map(await this.ask(calls.read(path, most)), ({ data }) => data);
  }

  async readText(path: string, most?: number): Promise<Outcome<string>> {
    return map(await this.read(path, most), (data) => data.toString());
  }

  write(path: string, data: string | Uint8Array, flags?: number): Promise<Outcome<number>> {
    return this.ask(calls.write(path, data, flags));
  }

  tree(path: string, depth?: number): Promise<Outcome<readonly TreeEntry[]>> {
    return this.ask(calls.tree(path, depth));
  }

  sweep(options?: SweepOptions): Promise<Outcome<readonly Thread[]>> {
    return this.ask(calls.sweep(options));
  }

  async stacks(tids: readonly number[]): Promise<readonly Outcome<string>[]> {
    const outcomes = must(await this.batch(tids.map(calls.stack)), 'reading stacks');
    return outcomes.map((outcome) => map(outcome, ({ data }) => data.toString()));
  }

  async startTimeline(spec: TimelineSpec): Promise<Recording> {
    const { files = [], tids = [], everyMicroseconds = 1000, sweepEveryMilliseconds = 0, bytes = 1 << 20 } = spec;
    const call = { op: 'sample', files, tids, everyMicroseconds, sweepEveryMilliseconds, bytes } as const;
    const pid = must(await this.ask(call), 'starting a timeline');
    const sources: Source[] = [
      ...files.map((path) => ({ kind: 'file', path }) as const),
      ...tids.map((tid) => ({ kind: 'thread', tid }) as const),
    ];
    // Of the agent that has the sampler: after a reconnect another one would not know it.
    const agent = this.agent();
    return new Recorder(pid, sources, async (args) =>
      must(await agent.request({ op: 'samples', ...args }), 'reading a timeline'),
    );
  }

  async log(from = 0n): Promise<Log> {
    const records: LogRecord[] = [];
    for (let next = from; ; ) {
      const page = must(await this.ask({ op: 'log', from: next }), 'reading /dev/kmsg');
      records.push(...page.records.map((record) => parseLogRecord(record.toString())));
      next = page.next;
      if (!page.more) return { next, records };
    }
  }

  async logEnd(): Promise<bigint> {
    return (await this.log(endOfLog)).next;
  }

  async spawn<const C extends Call = Call>(spec: TaskSpec<C>): Promise<Outcome<Task<C>>> {
    const call = spec.kind === 'op' || spec.kind === 'exec' ? spec.call : undefined;
    const outcome = await this.agent().request({
      op: 'spawn',
      kind: spec.kind,
      name: spec.name ?? 'klp-task',
      cpus: (spec.cpus ?? []).reduce((mask, cpu) => mask | (1n << BigInt(cpu)), 0n),
      threads: spec.threads ?? 0,
      call: requestOf(spec),
    });
    return map(outcome, (pid) => ({ pid, call }));
  }

  async wait<C extends Call>({ pid, call }: Task<C>, milliseconds = 0): Promise<Outcome<TaskEnd<C>>> {
    const outcome = await this.agent().request({ op: 'wait', pid, milliseconds });
    return map(outcome, ({ state, status, result }) => ({
      state,
      status,
      outcome: call && (taskOutcome(call, result) as OutcomeOf<C> | undefined),
    }));
  }

  kill(pid: number, signal: NodeJS.Signals | number): Promise<Outcome<undefined>> {
    return this.ask(calls.kill(pid, typeof signal === 'number' ? signal : constants.signals[signal]));
  }

  awaitContent(path: string, content: string, milliseconds: number): Promise<Outcome<Awaited>> {
    return this.ask(calls.awaitContent(path, content, milliseconds));
  }

  awaitGone(path: string, milliseconds: number): Promise<Outcome<Awaited>> {
    return this.ask(calls.awaitGone(path, milliseconds));
  }

  batch<const C extends readonly Call[]>(
    list: C,
  ): Promise<Outcome<ValueOf<{ readonly op: 'batch'; readonly calls: C }>>> {
    return this.agent().request({ op: 'batch', calls: list });
  }

  renew(): Promise<Outcome<undefined>> {
    return this.ask({ op: 'renew', entropy: randomBytes(64), realtime: BigInt(Date.now()) * 1_000_000n });
  }

  // async, so that a lost connection is always a rejection
  private async ask<const C extends Call>(call: C): Promise<Outcome<ValueOf<C>>> {
    return this.agent().request(call);
  }
}

/** What a task of its kind is told. */
function requestOf(spec: TaskSpec): Buffer {
  switch (spec.kind) {
    case 'op':
      return encodeCall(spec.call);
    case 'exec': {
      const { doer, executor, script } = spec;
      return encode(execGroup, { doer, executor, script, operation: encodeCall(spec.call) });
    }
    case 'getpid':
      return encode(text, spec.file);
    case 'spin':
    case 'sleep':
    case 'forks':
      return Buffer.alloc(0);
  }
}

function map<A, B>(outcome: Outcome<A>, change: (value: A) => B): Outcome<B> {
  return outcome.ok ? { ...outcome, value: change(outcome.value) } : outcome;
}
