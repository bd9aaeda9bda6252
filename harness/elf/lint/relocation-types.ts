// SPDX-License-Identifier: MIT
import type { LintedModule } from './module.js';

/** Types of the x86-64 psABI that a module may have (arch/x86/kernel/module.c). */
export const x86 = { NONE: 0, ABS64: 1, PC32: 2, PLT32: 4, ABS32: 10, ABS32S: 11, PC64: 24 } as const;
export const x86Sizes = new Map<number, number>([
  [x86.NONE, 0], [x86.ABS64, 8], [x86.PC32, 4], [x86.PLT32, 4], [x86.ABS32, 4], [x86.ABS32S, 4], [x86.PC64, 8],
]); // prettier-ignore

/** Bytes that a relocation of an AArch64 type writes (arch/arm64/kernel/module.c); undefined for a type it does not have. */
function arm64Size(type: number): number | undefined {
  if (type === 0 || type === 256) return 0; // R_ARM_NONE, R_AARCH64_NONE
  if (type === 257 || type === 260) return 8; // ABS64, PREL64
  if (type === 258 || type === 261) return 4; // ABS32, PREL32
  if (type === 259 || type === 262) return 2; // ABS16, PREL16
  // MOVW_UABS_G0 to ADD_ABS_LO12_NC and LDST8; TSTBR14, CONDBR19; JUMP26, CALL26; LDST16 to LDST64; MOVW_PREL; LDST128.
  const ranges = [[263, 280], [282, 286], [287, 293], [299, 299]]; // prettier-ignore
  return type !== 281 && ranges.some(([from = 0, to = 0]) => type >= from && type <= to) ? 4 : undefined;
}

/**
 * How many bytes a relocation writes: 0 where it does nothing (R_X86_64_NONE, R_AARCH64_NONE).
 * @returns undefined for a type that the machine does not have
 */
export function sizeOf({ machine }: Pick<LintedModule, 'machine'>, type: number): number | undefined {
  return machine === 'arm64' ? arm64Size(type) : x86Sizes.get(type);
}
