// SPDX-License-Identifier: MIT
import { z } from 'zod';

/** Version of {@link trialSchema}. */
export const trialVersion = 1;

/**
 * What a trial came to, from best to worst: it applies and reverts as it should; the lint takes exception to it, or the kernel
 * does; a transition does not end; something is not as it should be though all of it went through; the kernel broke.
 */
export const trialVerdicts = ['clean', 'refused', 'held', 'unclean', 'crashed'] as const;
export type TrialVerdict = (typeof trialVerdicts)[number];

/** One step, and what came of it. `at` and `took` are milliseconds of the host's clock, since the trial's begin. */
const step = z.object({
  at: z.number(),
  took: z.number(),
  what: z.string(),
  outcome: z.string(),
  ok: z.boolean(),
  lines: z.array(z.string()),
});
export type TrialStep = z.infer<typeof step>;

/** patch_state of the threads in one transition; milliseconds of the guest's clock since the operation began. */
const transition = z.object({
  what: z.string(),
  patch: z.string(),
  to: z.enum(['patched', 'unpatched']),
  /** When the file `transition` went back to 0; null when it did not while it was watched. */
  ended: z.number().nullable(),
  threads: z.array(z.object({ pid: z.number(), tid: z.number(), comm: z.string(), switched: z.number().nullable() })),
  /** Longest time between two looks at all threads. */
  gap: z.number(),
});
export type TrialTransition = z.infer<typeof transition>;

/** What stood below /sys/kernel/livepatch at one time, a line each. */
const tree = z.object({ when: z.string(), lines: z.array(z.string()) });
export type TrialTree = z.infer<typeof tree>;

const module = z.object({ name: z.string(), file: z.string(), sha256: z.string(), role: z.enum(['patch', 'target']) });

/** What `klp try` leaves as evidence.json. */
export const trialSchema = z.object({
  v: z.literal(trialVersion),
  verdict: z.enum(trialVerdicts),
  /** One sentence each; empty for a clean one. */
  reasons: z.array(z.string()),
  harness: z.string(),
  begun: z.string(),
  repeat: z.string(),
  kernel: z.object({ name: z.string(), release: z.string(), version: z.string(), arch: z.string(), accel: z.string(), qemu: z.string() }),
  modules: z.array(module),
  /** Lines of the lint. */
  lint: z.array(z.string()),
  steps: z.array(step),
  transitions: z.array(transition),
  sysfs: z.array(tree),
  taint: z.object({ before: z.array(z.string()), after: z.array(z.string()) }),
  /** Kernel log since the begin; of a guest that is gone, its console. */
  log: z.array(z.string()),
});
export type TrialResult = z.infer<typeof trialSchema>;
export type TrialModuleRecord = z.infer<typeof module>;
