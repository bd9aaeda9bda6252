// SPDX-License-Identifier: MIT

/**
 * The public API: what a scenario is written with. A scenario states operations and situations; what is expected comes
 * from the reference model alone. See docs/scenarios.md.
 */
export {
  scenario,
  type ClauseUse,
  type DrivenApi,
  type GroupOptions,
  type Observe,
  type ParkOptions,
  type Passers,
  type PassLook,
  type ProbeOptions,
  type Scenario,
  type ScenarioContext,
  type ShadowVariables,
  type Sleeper,
  type Spinner,
  type Storm,
  type StormKind,
  type SystemCalls,
  type ThreadGroup,
  type Watch,
  type Unregistering,
} from './runner/scenario.js';
export {
  gateOf,
  livepatch,
  plain,
  replacementOf,
  target,
  vmlinux,
  type FaultId,
  type FunctionName,
  type LivepatchDescription,
  type ModuleDescription,
  type PatchedObject,
  type PlainDescription,
  type ReplacedFunction,
  type TargetDescription,
  type UsedSymbol,
} from './model/description.js';
export { stormModule } from './runner/shell-storms.js';
export { warningUnderForks } from './model/observations/kinds.js';
export { capabilityTexts, type Capability } from './model/capabilities.js';
export type { ProbePlace, Tracer, WhichPatch } from './model/operations/index.js';
export type { ReferenceModel } from './model/reference.js';
export type { Construction, ShadowKey } from './model/shadow.js';
export { segments } from './guest/guest.js';
export type { Change, Guest, Recording, Segment, Source, Timeline, TimelineSpec, Track, Value } from './guest/guest.js';
