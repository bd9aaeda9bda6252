// SPDX-License-Identifier: MIT
import type { Observation } from '../../harness/model/observations/index.js';
import type { Operation } from '../../harness/model/operations/index.js';
import { type Judgement, ReferenceModel, type SeenOutcome } from '../../harness/model/reference.js';

/** A model that takes notes and judges nothing: everything may happen. */
export class NotingModel extends ReferenceModel {
  readonly operations: { readonly op: Operation; readonly errno: string }[] = [];
  readonly observations: Observation[] = [];

  constructor() {
    super({ capabilities: new Set(), vmlinuxSymbols: () => 1 });
  }

  override operate(op: Operation, _what: string, { errno }: SeenOutcome): readonly Judgement[] {
    this.operations.push({ op, errno });
    return [];
  }

  override observe(seen: Observation): readonly Judgement[] {
    this.observations.push(seen);
    return [];
  }
}
