// SPDX-License-Identifier: MIT
import type { Guest } from '../guest/guest.js';
import type { ModuleDescription } from '../model/description.js';
import { type Judgement, type ReferenceModel, SituationError } from '../model/reference.js';
import { type Activity, narrated } from './activity.js';
import { switchCpu } from './cpus.js';
import { drivenApi } from './driven.js';
import { openFifo } from './fifo.js';
import { zombie } from './forks.js';
import { FunctionCalls } from './function-calls.js';
import { startPasses } from './passes.js';
import { ftraceEnabled, probe, trace, unprobe, untrace } from './probes.js';
import type { ScenarioContext } from './scenario.js';
import { observations } from './session-observations.js';
import { force, load, unload, write } from './session-operations.js';
import { type Emit, SessionRecord } from './session-record.js';
import { performShadowCall, shadowVariables } from './shadow.js';
import { park } from './sleepers.js';
import { spin } from './spinners.js';
import { startStorm } from './storms.js';
import { systemCalls } from './system-calls.js';
import { threadGroup } from './thread-group.js';
import { turn } from './turns.js';
import { watch } from './watch.js';
import { recordWays } from './ways.js';

/**
 * One scenario's hold on a pristine guest: what the scenario has in its hands, all of which goes through the session's
 * record, and nothing of which reaches the guest once it has ended.
 */
export class Session {
  readonly context: ScenarioContext;
  private readonly record: SessionRecord;
  private readonly functions: FunctionCalls;
  #ended = false;

  /** The others as {@link SessionRecord} has them. */
  constructor(
    guest: Guest,
    model: ReferenceModel,
    modules: readonly ModuleDescription[],
    slowdown: number,
    emit: Emit,
    hostWait: () => Promise<number> = () => Promise.resolve(0),
  ) {
    const record = new SessionRecord(this.leashed(guest), model, slowdown, emit, hostWait);
    const functions = new FunctionCalls(record, modules);
    this.record = record;
    this.functions = functions;
    this.context = {
      guest: narrated(record.guest, record.activity),
      model,
      observe: observations(record, functions),
      load: (module) => load(record, module),
      unload: (module) => unload(record, module),
      write: (patch, text) => write(record, patch, text),
      enable: (patch) => write(record, patch, '1'),
      disable: (patch) => write(record, patch, '0'),
      turn: (patch, times) => turn(record, patch, times),
      force: (patch, text) => force(record, patch, text),
      api: drivenApi(record),
      shadow: shadowVariables((patch, call) => performShadowCall(record, patch, call)),
      park: (f, options) => park(record, functions, f, options),
      spin: () => spin(record, functions),
      zombie: () => zombie(record),
      openFifo: () => openFifo(record),
      threadGroup: (f, options) => threadGroup(record, functions, f, options),
      systemCalls: (f) => systemCalls(record, functions, f),
      switchCpu: (cpu, online) => switchCpu(record, cpu, online),
      storm: (kind) => startStorm(record, kind),
      ways: () => recordWays(record),
      watch: (...patches) => watch(record, patches),
      passes: (outer, inner) => startPasses(record, functions, [outer, inner]),
      probe: (f, options) => probe(record, f, options),
      unprobe: (module) => unprobe(record, module),
      ftraceEnabled: (on) => ftraceEnabled(record, on),
      trace: (tracer, f) => trace(record, tracer, f),
      untrace: () => untrace(record),
    };
  }

  get activity(): Activity {
    return this.record.activity;
  }

  get judgements(): readonly Judgement[] {
    return this.record.judgements;
  }

  /** Whether something failed, and all that did is that calls reached another body than they may. */
  get onlyCallsFailed(): boolean {
    return this.record.onlyCallsFailed;
  }

  /** Who held a transition that nobody should, for a person. */
  get unexpectedHold(): readonly string[] {
    return this.record.unexpectedHold;
  }

  get doing(): string {
    return this.record.doing;
  }

  set doing(what: string) {
    this.record.doing = what;
  }

  /**
   * The guest, out of reach once the session has ended: what an abandoned scenario still tries, its steps and waits
   * included, must not touch the guest of the next one.
   */
  private leashed(guest: Guest): Guest {
    return new Proxy(guest, {
      get: (target, key) => {
        if (this.#ended) throw new SituationError('the scenario has ended');
        const value: unknown = Reflect.get(target, key);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }

  /** After this the scenario has no guest any more: it is over, or its time is up. */
  end(): void {
    this.#ended = true;
  }

  /** Before the scenario: what the unpatched kernel says. */
  prepare(): Promise<void> {
    return this.functions.prepare();
  }
}
