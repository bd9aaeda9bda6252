// SPDX-License-Identifier: MIT
import { must } from '../guest/guest.js';
import { type FunctionName, type ModuleDescription, type TargetKey, functionKey, targetKeyOf, targetKeys, targetSymbols, vmlinux } from '../model/description.js';
import type { ProbePlace } from '../model/operations/index.js';
import { SituationError } from '../model/reference.js';
import { gateBelow } from '../model/reliability.js';
import { type Body, original } from '../model/state.js';
import type { SessionRecord } from './session-record.js';

/** The one function of vmlinux that can be called: reading /proc/cmdline does. */
const cmdline = 'cmdline_proc_show';

/** Calls of functions that patches replace, and what they say of the body that was reached. */
export class FunctionCalls {
  #commandLine = '';

  /** @param modules those of the scenario, whose patches a call may reach */
  constructor(
    private readonly record: SessionRecord,
    private readonly modules: readonly ModuleDescription[],
  ) {}

  /** Before the scenario: what the unpatched kernel says. */
  async prepare(): Promise<void> {
    this.record.doing = 'reading /proc/cmdline';
    this.#commandLine = must(await this.record.guest.readText('/proc/cmdline'), '/proc/cmdline').trim();
  }

  /**
   * One call from the agent, judged.
   * @throws SituationError for a function that nothing calls
   */
  async observe(f: FunctionName): Promise<void> {
    const file = callFile(f);
    this.record.doing = `calling ${functionKey(f)}`;
    const outcome = await this.record.guest.readText(file);
    const body = this.bodyOf(f, must(outcome, file));
    const caller = this.record.guest.agentPid;
    this.record.observe(`call of ${functionKey(f)}`, body, outcome.span, { kind: 'call', function: f, caller, body });
  }

  /** Names of the scenario's patches. */
  get patches(): readonly string[] {
    return this.modules.filter((m) => m.kind === 'livepatch').map((m) => m.name);
  }

  /**
   * The body that said this.
   * @param most what was said is cut behind so many characters
   */
  bodyOf(f: FunctionName, said: string, most = Infinity): Body {
    const text = said.trim();
    const [first = ''] = text.split('\n');
    const unpatched = f.object === vmlinux ? this.#commandLine.slice(0, most).trim() : original;
    const patch = this.modules.find((m) => m.kind === 'livepatch' && m.name === first);
    return patch ? patch.name : text === unpatched ? original : `unknown: ${first}`;
  }
}

/**
 * The file that calls a function when it is read.
 * @throws SituationError for a function that nothing calls
 */
export function callFile(f: FunctionName): string {
  if (f.object === vmlinux && f.name === cmdline) return '/proc/cmdline';
  const key = targetKeyOf(f);
  if (f.object !== vmlinux && key !== undefined && targetSymbols[key].what !== 'data') return `/proc/${f.object}/${key}`;
  const callable = targetKeys.filter((k) => targetSymbols[k].what !== 'data').join(', ');
  throw new SituationError(
    `nothing calls ${functionKey(f)}: of vmlinux ${cmdline} can be called, of a target module ${callable}`,
  );
}

/** Functions that target modules export, so that a module finds them by name: a sleeper's, a handler's, a pass's. */
const exported: readonly TargetKey[] = ['alpha', 'beta', 'quiet'];

/** Their names, for a message. */
export const exportedNames = new Intl.ListFormat('en-GB').format(exported);

/** Whether whatever runs in the kernel can be had to call a function. */
export function isExported(f: FunctionName): boolean {
  const key = targetKeyOf(f);
  return f.object !== vmlinux && key !== undefined && exported.includes(key);
}

/**
 * The word for a function of a target module in which a probe of that kind can be set: where tasks can be parked, and, for a
 * kretprobe, the gate that they call to stay there.
 * @throws SituationError for any other
 */
export function probeKnob(f: FunctionName, place: ProbePlace): 'alpha' | 'beta' | 'gate' {
  return place === 'return' && functionKey(f) === functionKey(gateBelow(f)) ? 'gate' : knobOf(f, 'set a probe in');
}

/**
 * A function of a target module in which tasks can sleep, and probes be set.
 * @param what completes "cannot": `park a task in`
 * @throws SituationError for any other
 */
export function knobOf(f: FunctionName, what: string): 'alpha' | 'beta' {
  const key = targetKeyOf(f);
  if (key === 'alpha' || key === 'beta') return key;
  throw new SituationError(`cannot ${what} ${functionKey(f)}: only alpha and beta of a target module allow it`);
}
