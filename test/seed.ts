// SPDX-License-Identifier: MIT
/** Loaded before every test file (.taprc): the same properties are tried everywhere, other ones with KLP_SEED=<number>. */
import fc from 'fast-check';

const seed = Number(process.env.KLP_SEED ?? 414);
if (!Number.isInteger(seed)) throw new Error(`KLP_SEED: ${process.env.KLP_SEED}; a whole number is wanted`);
fc.configureGlobal({ seed });
