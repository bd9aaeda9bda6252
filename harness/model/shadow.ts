// SPDX-License-Identifier: MIT
import type { ClauseId } from './catalogue/types.js';

/*
 * Shadow variables (shadow-vars.rst; with constructors from 4.18 on): data that belong to an object of the kernel and stand
 * apart from it. Objects are numbers here, which every module takes for the same address.
 */

/** What a variable is found by. */
export interface ShadowKey {
  readonly object: number;
  readonly id: number;
}

/** What the constructor does with the zeroed data: stores this number, or stores something and then fails with ENODEV. */
export type Construction = number | 'fails';

/** One call of the API. Without `construct` no constructor is handed over, and with `destructor` false no destructor. */
export type ShadowCall =
  | (ShadowKey & { readonly call: 'get' })
  | (ShadowKey & { readonly call: 'alloc' | 'get_or_alloc'; readonly construct?: Construction })
  | (ShadowKey & { readonly call: 'free'; readonly destructor: boolean })
  | { readonly call: 'free_all'; readonly id: number; readonly destructor: boolean }
  /** klp_shadow_get_or_alloc() by so many tasks at the same time; the constructor of the n-th stores n, counted from 1. */
  | (ShadowKey & { readonly call: 'race'; readonly tasks: number });

/** What a call came to, as the module says it. */
export interface ShadowReport {
  /** The number in the data that each caller was given, or NULL; nothing of a call that returns nothing. */
  readonly returned: readonly string[];
  /** `constructor 1=42`: constructors and destructors that ran, with object and data, sorted: free_all keeps no order. */
  readonly ran: readonly string[];
}

export interface ShadowVariable extends ShadowKey {
  readonly value: number;
  /** The patch that had it made. */
  readonly maker: string;
}

export interface ShadowState {
  readonly variables: readonly ShadowVariable[];
  /** Variables that there are not, and the clause that says so: they were freed, or never constructed. */
  readonly gone: readonly (ShadowKey & { readonly clause: ClauseId })[];
  /** What the last call comes to, and the clause that says so. */
  readonly last: { readonly clause: ClauseId; readonly report: ShadowReport } | null;
}

export const noShadow: ShadowState = { variables: [], gone: [], last: null };

/** The variable of an object and an id. */
export function shadowVariable({ variables }: ShadowState, key: ShadowKey): ShadowVariable | undefined {
  return variables.find(isOf(key));
}

/** Whether something is about this object and this id. */
export function isOf({ object, id }: ShadowKey): (other: ShadowKey) => boolean {
  return (other) => other.object === object && other.id === id;
}

/** The variables that there are, for violation reports: object, id and data. */
export function describeShadow({ variables }: ShadowState): string {
  return `shadow variables: ${variables.map((v) => `${v.object},${v.id}=${v.value}`).join(' ')}`;
}

/** A call as text: `klp_shadow_get(object 1, id 7) by klp_x`. */
export function shadowCallText(patch: string, call: ShadowCall): string {
  switch (call.call) {
    case 'get':
      return `klp_shadow_get(${keyText(call)}) by ${patch}`;
    case 'alloc':
    case 'get_or_alloc':
      return `klp_shadow_${call.call}(${keyText(call)}, ${constructionText(call.construct)}) by ${patch}`;
    case 'free':
      return `klp_shadow_free(${keyText(call)}, ${destructionText(call.destructor)}) by ${patch}`;
    case 'free_all':
      return `klp_shadow_free_all(id ${call.id}, ${destructionText(call.destructor)}) by ${patch}`;
    case 'race':
      return `klp_shadow_get_or_alloc(${keyText(call)}) by ${call.tasks} tasks of ${patch} at once`;
  }
}

function keyText({ object, id }: ShadowKey): string {
  return `object ${object}, id ${id}`;
}

function constructionText(construct: Construction | undefined): string {
  if (construct === undefined) return 'no constructor';
  return construct === 'fails' ? 'a constructor that fails' : `a constructor that stores ${construct}`;
}

function destructionText(destructor: boolean): string {
  return destructor ? 'a destructor' : 'no destructor';
}
