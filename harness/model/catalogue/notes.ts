// SPDX-License-Identifier: MIT

/** What may be seen in the middle of an operation; shared by several clauses. */

export const enabledFollows =
  '4.14 writes `enabled` only after its first attempt to complete the transition: while an enable is ' +
  'being started, `transition` may read 1 with `enabled` still 0, and while a disable is being ' +
  'started, `transition` may read 1 with `enabled` still 1. If that attempt succeeds, `transition` is ' +
  'even back at 0 before `enabled` changes. From 5.1 on `enabled` is written before the attempt.';

export const stateClearedFirst =
  'At the end all threads are set to -1 first, and `transition` reads 0 a moment later; on kernels ' +
  'with callbacks the post callbacks run in between. That `patch_state` is -1 exactly when nothing is in ' +
  'transition is therefore true at rest only.';

export const completeBeforeZero =
  'The log line that ends in `complete` is written before `transition` reads 0.';

export const directoryGoesLater =
  'From 5.1 on the directory of a disabled patch is removed asynchronously: `ENOENT` and `ENODEV` are ' +
  'allowed for a while after the disable.';

export const sweepIsAnInterval =
  'A sweep over all threads is not atomic: what it found holds for some moment of the interval it took.';

export const objectMustBeListed =
  'A section `.klp.rela.O.…` is applied only if the patch has an object O. Without one the module ' +
  'loads, the relocation is never written, and nothing is logged.';
