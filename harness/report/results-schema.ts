// SPDX-License-Identifier: MIT
import { z } from 'zod';

/** Version of results.json. It grows by optional fields; anything else is a new number. */
export const resultsVersion = 1;

const verdict = z.enum(['fail', 'error', 'deviates', 'pass', 'n/a']);
const span = z.object({ begin: z.string(), end: z.string() });
const failure = z.object({
  kind: z.enum([
    'assertion',
    'panic',
    'oops',
    'hang',
    'silence',
    'connection lost',
    'boot failed',
    'infrastructure',
  ]),
  message: z.string(),
  during: z.string().optional(),
  hint: z.string().optional(),
  details: z.array(z.string()).optional(),
  registers: z.array(z.string()).optional(),
});
const byVerdict = z.record(verdict, z.number().int().nonnegative());

const judgement = z.object({
  clause: z.string(),
  what: z.string(),
  seen: z.string(),
  mainline: z.object({ allowed: z.string(), does: z.boolean() }),
  documents: z.object({ stance: z.enum(['allow', 'forbid', 'silent']), reference: z.string().optional() }),
  verdict,
  note: z.string().optional(),
});

const scenario = z.object({
  kernel: z.string(),
  scenario: z.string(),
  title: z.string(),
  clauses: z.array(z.string()),
  verdict,
  reason: z.string().optional(),
  failure: failure.optional(),
  durationMs: z.number(),
  attempts: z.number(),
  flaky: z.boolean(),
  /** Not run, for the reason given; the verdict is error. */
  notRun: z.boolean().optional(),
  /** Reason from the expectations file, when this verdict was expected. */
  expected: z.string().optional(),
  repeat: z.string(),
  log: z.array(z.string()).optional(),
  /** Of the last attempt, like witnesses and splats. */
  judgements: z.array(judgement),
  witnesses: z.array(z.object({ situation: z.string(), proof: z.array(z.string()), span: span.optional() })),
  splats: z.array(
    z.object({ kind: z.string(), lines: z.array(z.string()), declared: z.boolean(), during: z.string().optional() }),
  ),
});

const packageRecord = z.object({ name: z.string(), version: z.string(), arch: z.string(), sha256: z.string() });

const kernel = z.object({
  kernel: z.string(),
  acquired: z
    .object({
      arch: z.enum(['x86_64', 'arm64']),
      origin: z.enum(['stock', 'built', 'brought']),
      release: z.string(),
      version: z.string(),
      fingerprint: z.string(),
      packages: z.array(packageRecord),
      toolchain: z.string(),
      toolchainPackages: z.array(packageRecord).optional(),
      config: z.string(),
    })
    .optional(),
  booted: z
    .object({
      accel: z.string(),
      qemu: z.string(),
      machine: z.string().optional(),
      argv: z.array(z.string()),
      commandLine: z.string(),
      bootMs: z.number(),
      restored: z.boolean().optional(),
      capabilities: z.array(z.string()),
    })
    .optional(),
  /** What the kernel can be asked, what showed that, and what the catalogue says that it must have. */
  probed: z
    .object({
      findings: z.array(z.object({ capability: z.string(), has: z.boolean(), evidence: z.string() })),
      promised: z.array(z.string()),
    })
    .optional(),
  /** Set when no scenario could run on it. */
  failure: failure.optional(),
});

const clause = z.object({
  kernel: z.string(),
  clause: z.string(),
  statement: z.string(),
  verdict,
  scenarios: z.array(z.string()),
  note: z.string().optional(),
  /**
   * What is not a pass was expected: every scenario that brought it about is named in the expectations file.
   */
  expected: z.boolean(),
});

/** What `results.json` holds: one run, folded from its journal. */
export const resultsSchema = z.object({
  v: z.literal(resultsVersion),
  run: z.string(),
  harness: z.string(),
  /** Version of the clause catalogue that the clause identifiers belong to. */
  catalogue: z.number(),
  command: z.array(z.string()),
  profile: z.enum(['mainline', 'documents']),
  strict: z.boolean(),
  host: z
    .object({ system: z.string(), cpus: z.number(), memoryMiB: z.number(), node: z.string() })
    .optional(),
  /** The run is one shard of a plan. */
  shard: z.object({ index: z.number(), count: z.number(), plan: z.string() }).optional(),
  /** The shards' own runs, when `klp merge` put this one together. */
  merged: z
    .array(
      z.object({
        shard: z.number(),
        run: z.string(),
        wall: z.string(),
        durationMs: z.number(),
        host: z.object({ system: z.string(), cpus: z.number(), memoryMiB: z.number(), node: z.string() }),
      }),
    )
    .optional(),
  /** The runs, when `klp report` made one of several. */
  combined: z
    .array(
      z.object({
        run: z.string(),
        harness: z.string(),
        wall: z.string(),
        durationMs: z.number(),
        finished: z.boolean(),
        host: z.object({ system: z.string(), cpus: z.number(), memoryMiB: z.number(), node: z.string() }),
      }),
    )
    .optional(),
  /** What no shard has a result of, as text. */
  missing: z.array(z.string()).optional(),
  /** Time of day, ISO 8601, UTC. */
  started: z.string(),
  /** False when the run was killed: there is no run.finished in its journal. */
  finished: z.boolean(),
  exit: z.number().optional(),
  interrupted: z.boolean(),
  durationMs: z.number(),
  kernels: z.array(kernel),
  scenarios: z.array(scenario),
  clauses: z.array(clause),
  counts: z.object({
    /** Scenario executions by verdict. */
    scenarios: byVerdict,
    /** Clauses × kernels by verdict. */
    clauses: byVerdict,
    /** Scenario executions whose verdict was expected. */
    expected: z.number().int().nonnegative(),
    flaky: z.number().int().nonnegative(),
  }),
  staleExpectations: z.array(z.string()),
});

export type Results = z.infer<typeof resultsSchema>;
export type ScenarioResult = Results['scenarios'][number];
export type ClauseResult = Results['clauses'][number];
export type KernelResult = Results['kernels'][number];
export type Judgement = ScenarioResult['judgements'][number];
export type Verdict = ScenarioResult['verdict'];
export type ByVerdict = Results['counts']['scenarios'];
