// SPDX-License-Identifier: MIT
import type { ClauseId } from '../catalogue/types.js';
import { type ShadowCall, type ShadowReport, type ShadowState, type ShadowVariable, isOf, shadowVariable } from '../shadow.js';
import { type Facts, type State, findPatch } from '../state.js';
import { type Context, type LogLine, type OperationOf, type Outcome, lines, staged } from './types.js';

/** A call with what it finds. */
interface Call<C extends ShadowCall = ShadowCall> extends Context<OperationOf<'shadow'>> {
  readonly call: C;
  /** The variable that is there already. */
  readonly own: ShadowVariable | undefined;
  /** Of tasks that call at the same time, the one that comes first. */
  readonly first: number;
}

type CallOf<K extends ShadowCall['call']> = Call<Extract<ShadowCall, { readonly call: K }>>;

/**
 * The first rule whose `when` holds says what a call comes to. The errno is that of our module's file, and no verdict: what
 * the kernel returned and ran is looked at by itself.
 */
interface ShadowRule<C> {
  /** The clause that what is returned and run is judged by. */
  readonly speaks: (call: C) => ClauseId;
  readonly because: string;
  readonly when: (call: C) => boolean;
  readonly report: (call: C) => ShadowReport;
  readonly log?: (call: C) => readonly LogLine[];
  readonly unlogged?: (call: C) => readonly LogLine[];
  readonly next?: (call: C) => Pick<ShadowState, 'variables' | 'gone'>;
}

const nothing: ShadowReport = { returned: [], ran: [] };
const returns = (value: number | 'NULL', ...ran: readonly string[]): ShadowReport => ({ returned: [String(value)], ran });

// ---- get ---------------------------------------------------------------------------------------------------------

const getRules: readonly ShadowRule<CallOf<'get'>>[] = [
  {
    speaks: (c) => finderClause(c, 'SHD-1'),
    because: 'the object has a variable of that id',
    when: ({ own }) => own !== undefined,
    report: ({ own }) => returns(own?.value ?? 'NULL'),
  },
  {
    speaks: ({ state, call }) => state.shadow.gone.find(isOf(call))?.clause ?? 'SHD-1',
    because: 'the object has no variable of that id',
    when: () => true,
    report: () => returns('NULL'),
  },
];

/** The clause by which a variable is found: its maker is not enabled any more, or is another patch, or it is the caller's own. */
function finderClause({ state, op, own }: Call, ordinary: ClauseId): ClauseId {
  if (own && findPatch(state, own.maker)?.enabled !== true) return 'SHD-10';
  return own && own.maker !== op.patch ? 'SHD-9' : ordinary;
}

// ---- alloc, get_or_alloc -----------------------------------------------------------------------------------------

const duplicate = ({ call }: CallOf<'alloc' | 'get_or_alloc'>, clause: ClauseId): readonly LogLine[] =>
  lines(clause, `Duplicate shadow variable <\\S+, ${call.id.toString(16)}>`);

const allocRules: readonly ShadowRule<CallOf<'alloc' | 'get_or_alloc'>>[] = [
  {
    speaks: () => 'SHD-3',
    because: 'the object has a variable of that id: it stays as it is, and the caller gets a warning',
    when: ({ call, own }) => own !== undefined && call.call === 'alloc',
    log: (c) => duplicate(c, 'SHD-3'),
    report: () => returns('NULL'),
  },
  {
    speaks: (c) => finderClause(c, 'SHD-4'),
    because: 'the object has a variable of that id, and the caller gets it as it is',
    when: ({ own }) => own !== undefined,
    unlogged: (c) => duplicate(c, 'SHD-4'),
    report: ({ own }) => returns(own?.value ?? 'NULL'),
  },
  {
    speaks: () => 'SHD-6',
    because: 'the constructor fails, and no variable is left',
    when: ({ call }) => call.construct === 'fails',
    log: ({ call }) => lines('SHD-6', `livepatch: Failed to construct shadow variable <\\S+, ${call.id.toString(16)}> \\(-19\\)`),
    report: ({ call }) => returns('NULL', `constructor ${call.object}=failed`),
    next: ({ state, call }) => without(state.shadow, isOf(call), [{ object: call.object, id: call.id, clause: 'SHD-6' }]),
  },
  {
    speaks: ({ call }) => (call.call === 'alloc' ? 'SHD-2' : 'SHD-4'),
    because: 'the object has no variable of that id: one is made',
    when: () => true,
    report: ({ call }) =>
      call.construct === undefined ? returns(0) : returns(Number(call.construct), `constructor ${call.object}=${call.construct}`),
    next: ({ state, op, call }) => withVariable(state.shadow, { object: call.object, id: call.id, value: Number(call.construct ?? 0), maker: op.patch }),
  },
];

const raceRules: readonly ShadowRule<CallOf<'race'>>[] = [
  {
    speaks: (c) => finderClause(c, 'SHD-4'),
    because: 'the object has a variable of that id, and all of the callers get it',
    when: ({ own }) => own !== undefined,
    report: ({ call, own }) => ({ returned: Array<string>(call.tasks).fill(String(own?.value)), ran: [] }),
  },
  {
    speaks: () => 'SHD-5',
    because: 'one of the callers has the variable made, and all of them get it',
    when: () => true,
    report: ({ call, first }) => ({
      returned: Array<string>(call.tasks).fill(String(first)),
      ran: [`constructor ${call.object}=${first}`],
    }),
    next: ({ state, op, call, first }) => withVariable(state.shadow, { object: call.object, id: call.id, value: first, maker: op.patch }),
  },
];

function withVariable(shadow: ShadowState, variable: ShadowVariable): Pick<ShadowState, 'variables' | 'gone'> {
  return { variables: [...shadow.variables, variable], gone: shadow.gone.filter((g) => !isOf(variable)(g)) };
}

// ---- free, free_all ----------------------------------------------------------------------------------------------

const freeRules: readonly ShadowRule<CallOf<'free'>>[] = [
  {
    speaks: () => 'SHD-7',
    because: 'the variable is taken away',
    when: ({ own }) => own !== undefined,
    report: ({ call, own }) => freed(own ? [own] : [], call.destructor),
    next: ({ state, call }) => without(state.shadow, isOf(call), [{ object: call.object, id: call.id, clause: 'SHD-7' }]),
  },
  {
    speaks: () => 'SHD-7',
    because: 'the object has no variable of that id, and nothing is freed',
    when: () => true,
    report: () => nothing,
  },
];

const freeAllRules: readonly ShadowRule<CallOf<'free_all'>>[] = [
  {
    speaks: () => 'SHD-8',
    because: 'every variable of that id is taken away, and no other',
    when: () => true,
    report: ({ state, call }) => freed(state.shadow.variables.filter((v) => v.id === call.id), call.destructor),
    next: ({ state, call }) => {
      const all = state.shadow.variables.filter((v) => v.id === call.id);
      return without(state.shadow, (v) => v.id === call.id, all.map(({ object, id }) => ({ object, id, clause: 'SHD-8' })));
    },
  },
];

function freed(variables: readonly ShadowVariable[], destructor: boolean): ShadowReport {
  return { returned: [], ran: destructor ? variables.map((v) => `destructor ${v.object}=${v.value}`).sort() : [] };
}

function without(
  shadow: ShadowState,
  which: (variable: ShadowVariable) => boolean,
  gone: ShadowState['gone'],
): Pick<ShadowState, 'variables' | 'gone'> {
  const others = shadow.gone.filter((g) => !gone.some(isOf(g)));
  return { variables: shadow.variables.filter((v) => !which(v)), gone: [...others, ...gone] };
}

// ------------------------------------------------------------------------------------------------------------------

/** What a call of the shadow variable API by a patch's module may come to: of calls at once, who comes first is open. */
export function shadow(state: State, op: OperationOf<'shadow'>, facts: Facts): readonly Outcome[] {
  const { call, patch } = op;
  const loaded = state.modules.some((m) => m.kind === 'livepatch' && m.name === patch && m.shadow === true);
  if (!loaded || !facts.capabilities.has('shadow-constructors')) return [];
  const own = call.call === 'free_all' ? undefined : shadowVariable(state.shadow, call);
  const context = { state, op, facts, own, first: 1 };
  switch (call.call) {
    case 'get':
      return decided(getRules, { ...context, call });
    case 'alloc':
    case 'get_or_alloc':
      return decided(allocRules, { ...context, call });
    case 'free':
      return decided(freeRules, { ...context, call });
    case 'free_all':
      return decided(freeAllRules, { ...context, call });
    case 'race':
      return Array.from({ length: own ? 1 : call.tasks }, (_, i) => i + 1).flatMap((first) =>
        decided(raceRules, { ...context, call, first }),
      );
  }
}

function decided<C extends Call>(rules: readonly ShadowRule<C>[], call: C): readonly Outcome[] {
  const { state } = call;
  return rules.filter((r) => r.when(call)).slice(0, 1).map((r) => {
    const last = { clause: r.speaks(call), report: r.report(call) };
    const next = { ...state, shadow: { ...state.shadow, ...r.next?.(call), last } };
    return { ...staged(r.because, next), log: r.log?.(call) ?? [], unlogged: r.unlogged?.(call) ?? [] };
  });
}
