// SPDX-License-Identifier: MIT
import type { ClauseId } from '../catalogue/types.js';
import { entriesOf } from '../description.js';
import { type Facts, type State, stackOf } from '../state.js';
import { excludesPatch } from './obstacle.js';
import { isThere } from './register.js';
import { type Context, type OperationOf, type Outcome, type Rule, decide, lines, staged } from './types.js';

// ---- kprobes ---------------------------------------------------------------------------------------------------

type AddProbe = Context<OperationOf<'probe'>>;

/** Which clause speaks to a probe on a patched function: the document knows of kretprobes only. */
const clauseOf = ({ place }: { readonly place: string }): ClauseId => (place === 'return' ? 'FTR-2' : 'FTR-3');

const rejected: Rule<AddProbe>['documented'] = {
  because: 'the second user of the redirection is rejected',
  errno: 'EBUSY',
  next: ({ state }) => state,
};
const conflictUnknown: Rule<AddProbe>['documented'] = {
  because: 'only kretprobes conflict with patches',
  errno: 'OK',
  next: (c) => withProbe(c, true),
};

const probeRules = (clause: ClauseId): readonly Rule<AddProbe>[] => [
  {
    clause,
    because: 'a patch has the function, and the first user of its redirection wins',
    when: (c) => collides(c) && c.facts.capabilities.has('kprobes-report-errors'),
    errno: 'EBUSY',
    ...(clause === 'FTR-3' ? { documented: conflictUnknown } : {}),
  },
  {
    clause,
    because: 'a patch has the function: ftrace refuses the handler, and the probe is accepted but dead',
    when: collides,
    errno: 'OK',
    log: () => lines(clause, 'WARNING: .*kernel/kprobes\\.c'),
    next: (c) => withProbe(c, false),
    documented: clause === 'FTR-3' ? conflictUnknown : rejected,
  },
  {
    clause: 'FTR-4',
    because: 'a probe in the middle of a function has nothing to do with ftrace',
    when: ({ op }) => op.place === 'inside',
    errno: 'OK',
    next: (c) => withProbe(c, true),
  },
  {
    clause: 'FTR-2',
    because: 'a patch has the function, and a kretprobe shares it',
    when: ({ op }) => op.place === 'return',
    errno: 'OK',
    next: (c) => withProbe(c, true),
    documented: rejected,
  },
  {
    clause: 'FTR-3',
    because: 'a patch has the function, and a kprobe shares it',
    when: () => true,
    errno: 'OK',
    next: (c) => withProbe(c, true),
  },
];

function collides({ state, op, facts }: AddProbe): boolean {
  return stackOf(state, op.function).length > 0 && excludesPatch(op, facts);
}

function withProbe({ state, op }: AddProbe, alive: boolean): State {
  const { place, postHandler } = op;
  return { ...state, probes: [...state.probes, { function: op.function, place, postHandler, alive }] };
}

/** The ways register_kprobe() or register_kretprobe() may end. */
export function probe(state: State, op: OperationOf<'probe'>, facts: Facts): readonly Outcome[] {
  const context = { state, op, facts };
  if (stackOf(state, op.function).length === 0) {
    return [staged(`a probe at the ${op.place} of ${op.function.name}`, withProbe(context, true))];
  }
  const outcomes = decide(probeRules(clauseOf(op)), context);
  // 7.3 loses the error on its way (kernel/kprobes.c:1709-1719, 7.3.4): the probe is accepted but dead.
  const lost = outcomes.filter((o) => o.errno === 'EBUSY' && o.oracle === 'mainline' && facts.capabilities.has('ftrace-stays-on'));
  return [...outcomes, ...lost.map((o) => ({ ...o, errno: 'OK' as const, next: withProbe(context, false) }))];
}

/** The probe of a target is removed. */
export function unprobe(state: State, op: OperationOf<'unprobe'>): readonly Outcome[] {
  const probes = state.probes.filter((p) => p.function.object !== op.target);
  return [staged(`the probe of ${op.target} is removed`, { ...state, probes })];
}

// ---- ftrace_enabled ----------------------------------------------------------------------------------------------

type Switch = Context<OperationOf<'switch-ftrace'>>;

const switchRules: readonly Rule<Switch>[] = [
  {
    clause: 'FTR-5',
    because: 'ftrace is to be switched on',
    when: ({ op }) => op.on,
    errno: 'OK',
    next: ({ state }) => ({ ...state, ftraceOn: true }),
  },
  {
    clause: 'FTR-5',
    because: 'ftrace cannot be switched off any more',
    when: ({ facts }) => facts.capabilities.has('ftrace-stays-on'),
    errno: 'EOPNOTSUPP',
  },
  {
    clause: 'FTR-5',
    because: 'a patch is applied, and its operation must not be switched off',
    when: ({ state, facts }) => facts.capabilities.has('permanent-ftrace') && anythingPatched(state),
    errno: 'EBUSY',
  },
  {
    clause: 'FTR-5',
    because: 'ftrace is switched off, and patches with it',
    when: () => true,
    errno: 'OK',
    next: ({ state }) => ({ ...state, ftraceOn: false }),
  },
];

function anythingPatched(state: State): boolean {
  return state.patches.some((p) => p.stacked !== null && entriesOf(p.description).some((e) => isThere(state, e.object)));
}

/** The ways a write into /proc/sys/kernel/ftrace_enabled may end. */
export function switchFtrace(state: State, op: OperationOf<'switch-ftrace'>, facts: Facts): readonly Outcome[] {
  return decide(switchRules, { state, op, facts });
}

// ---- tracers -----------------------------------------------------------------------------------------------------

/** A tracer is set to one function, whether that is patched or not. */
export function trace(state: State, op: OperationOf<'trace'>): readonly Outcome[] {
  const { tracer, function: f } = op;
  const outcome = staged(`the ${tracer} tracer records ${f.name}`, { ...state, tracing: { tracer, function: f } });
  return [stackOf(state, f).length > 0 ? { ...outcome, clause: 'FTR-6' } : outcome];
}

/** No tracer is set any more. */
export function untrace(state: State): readonly Outcome[] {
  return [staged('no tracer is set', { ...state, tracing: null })];
}
