// SPDX-License-Identifier: MIT
import type { Durations } from './durations.js';

/**
 * What scenarios took under emulation on a two-core host, in milliseconds, taken from a cache's `durations`. Only their
 * proportions count. They are the same wherever this version of klp runs, which what a cache recorded is not: a split that
 * several machines work out for themselves goes by them.
 */
export const nominalDurations: Durations = new Map(
  Object.entries({
    'bad-strings-in-enabled': 5000,
    'badly-named-relocation-section': 2500,
    'current-value-in-enabled': 3800,
    'disable-older-patch-first': 5900,
    'enable-again': 9200,
    'kernel-without-livepatch': 2100,
    'missing-symbol': 2800,
    'module-loaded-after-patch': 5100,
    'no-livepatch-field': 1000,
    'patch-module-function': 5100,
    'patch-vmlinux-function': 4500,
    'relocation-to-unexported-symbol': 5800,
    'reversal-during-transition': 4400,
    'rmmod-of-enabled-patch': 8500,
    'sleeper-holds-transition': 6400,
    'sleeper-in-neighbour-does-not-hold': 3900,
    'stacked-patches-on-one-function': 6400,
  }),
);
