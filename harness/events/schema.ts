// SPDX-License-Identifier: MIT
import { z } from 'zod';

/** Version of the event stream. It grows by optional fields and by new types; anything else is a new number. */
export const eventVersion = 1;

const verdict = z.enum(['fail', 'error', 'deviates', 'pass', 'n/a']);
const stance = z.enum(['allow', 'forbid', 'silent']);
/** Guest CLOCK_MONOTONIC in nanoseconds; a decimal string, since JSON has no 64-bit integer. */
const nanoseconds = z.string().regex(/^\d+$/);
const span = z.object({ begin: nanoseconds, end: nanoseconds });

const packageRecord = z.object({ name: z.string(), version: z.string(), arch: z.string(), sha256: z.string() });

const failure = z.object({
  kind: z.enum(['assertion', 'panic', 'oops', 'hang', 'silence', 'connection lost', 'boot failed', 'infrastructure']),
  message: z.string(),
  /** The operation during which it happened. */
  during: z.string().optional(),
  hint: z.string().optional(),
  /** Lines worth showing: the compiler's, the console's. */
  details: z.array(z.string()).optional(),
  /** One line `CPU <n>: …` for each, then QEMU's dump of all registers. */
  registers: z.array(z.string()).optional(),
});
export type Failure = z.infer<typeof failure>;

const host = z.object({ system: z.string(), cpus: z.number(), memoryMiB: z.number(), node: z.string() });

const portions = z.array(z.object({ kernel: z.string(), scenarios: z.array(z.string()) }));
/** Which shard of how many, and the digest of the plan that split them. */
const shardOf = z.object({ index: z.number(), count: z.number(), plan: z.string() });
const mergedRun = z.object({ shard: z.number(), run: z.string(), wall: z.string(), durationMs: z.number(), host });
const combinedRun = mergedRun.omit({ shard: true }).extend({ harness: z.string(), finished: z.boolean() });

/** What every event has beside its type. */
export const base = {
  v: z.literal(eventVersion),
  seq: z.number().int().nonnegative(),
  run: z.string(),
  /** Milliseconds since the run began, monotonic. */
  mono: z.number(),
  /** Time of day, ISO 8601, UTC. */
  wall: z.string(),
};
const inKernel = { kernel: z.string() };
const inScenario = { kernel: z.string(), scenario: z.string() };

/** What was read over time: for pictures, since `seen` sums it up. Milliseconds since the begin of the event's span. */
const samples = z.object({
  tracks: z.array(
    z.object({
      kind: z.enum(['threads', 'file']),
      /** Threads (`41 bash`, `9 [kworker/0:1]`, or the number alone) that went the same way, or one file by its path. */
      of: z.array(z.string()),
      /** From the first reading that gave the value to the last; the change came between two of them. */
      values: z.array(z.object({ value: z.string(), from: z.number(), to: z.number() })),
    }),
  ),
  /** Threads for which there was no room. */
  left: z.number(),
});

/** What each type of event holds beside {@link base}. */
export const payloads = {
  'run.started': z.object({
    harness: z.string(),
    catalogue: z.number(),
    command: z.array(z.string()),
    profile: z.enum(['mainline', 'documents']),
    strict: z.boolean(),
    host,
    kernels: z.array(z.string()),
    scenarios: z.array(z.object({ id: z.string(), title: z.string(), clauses: z.array(z.string()) })),
    /** How many guests were asked for. */
    jobs: z.union([z.literal('auto'), z.number()]).optional(),
    /** The folder in which `command` was given: what it names is relative to it. */
    cwd: z.string().optional(),
    /** The run is one shard of a plan: of kernels × scenarios only these are run. */
    shard: shardOf.extend({ executions: portions }).optional(),
    /** Of kernels × scenarios only these are run (`--last-failed`). */
    executions: portions.optional(),
    /** The run was put together from these, by `klp merge`; `host` is where that was done. */
    merged: z.array(mergedRun).optional(),
    /** `klp report` made one of several whole runs; of kernels × scenarios they were to do `executions`. Stands in no journal. */
    combined: z.object({ runs: z.array(combinedRun), executions: portions }).optional(),
  }),
  /** A run that had not finished goes on in the same journal; the time between is in `wall` alone. */
  'run.resumed': z.object({
    harness: z.string(),
    catalogue: z.number(),
    command: z.array(z.string()),
    host,
    jobs: z.union([z.literal('auto'), z.number()]).optional(),
  }),
  /** Something slow is under way. `topic` stays the same while it lasts, so that a terminal can rewrite the line. */
  progress: z.object({ topic: z.string(), text: z.string() }),
  /** Milliseconds that scenarios took in earlier runs, as far as that was recorded. */
  'kernel.estimated': z.object({ ...inKernel, milliseconds: z.record(z.string(), z.number()) }),
  'kernel.acquired': z.object({
    ...inKernel,
    arch: z.enum(['x86_64', 'arm64']),
    origin: z.enum(['stock', 'built', 'brought']),
    release: z.string(),
    version: z.string(),
    fingerprint: z.string(),
    packages: z.array(packageRecord),
    toolchain: z.string(),
    /** What in the private root that it was compiled in decides on the result; left out when the host's tools were used. */
    toolchainPackages: z.array(packageRecord).optional(),
    config: z.string(),
  }),
  'kernel.booted': z.object({
    ...inKernel,
    accel: z.string(),
    qemu: z.string(),
    /** Machine profile: `pc`, `mt2731`, `virt`. */
    machine: z.string().optional(),
    argv: z.array(z.string()),
    commandLine: z.string(),
    bootMs: z.number(),
    /** Not booted but taken from the cache, as it was saved after an earlier boot; `bootMs` is what that took. */
    restored: z.boolean().optional(),
    capabilities: z.array(z.string()),
  }),
  /** What the kernel can be asked, and what showed that. */
  'kernel.probed': z.object({
    ...inKernel,
    findings: z.array(z.object({ capability: z.string(), has: z.boolean(), evidence: z.string() })),
    /** What the catalogue says that it must have. */
    promised: z.array(z.string()),
  }),
  /** Which results of the run's earlier parts hold: those of the other scenarios, and all of the kernel's clauses, do not. */
  'kernel.resumed': z.object({
    ...inKernel,
    kept: z.array(z.string()),
    /** Scenarios that had finished and are run again, and why. */
    superseded: z.array(z.object({ scenario: z.string(), why: z.string() })),
  }),
  /** No (further) scenario can run on it; each that has no result gets its own scenario.finished with verdict error. */
  'kernel.failed': z.object({ ...inKernel, failure }),
  'scenario.started': z.object({
    ...inScenario,
    title: z.string(),
    clauses: z.array(z.string()),
    attempt: z.number(),
    /** Number of the guest it runs on, from 1; none for what needs no guest. */
    guest: z.number().optional(),
    /** How its CPUs are emulated, where that is not QEMU's usual way, a thread for each. */
    threads: z.literal('single').optional(),
  }),
  operation: z.object({ ...inScenario, what: z.string(), result: z.string(), span: span.optional() }),
  observation: z.object({ ...inScenario, what: z.string(), seen: z.string(), span: span.optional(), samples: samples.optional() }),
  /** Proof that the situation a scenario claims existed. */
  witness: z.object({ ...inScenario, situation: z.string(), proof: z.array(z.string()), span: span.optional() }),
  judgement: z.object({
    ...inScenario,
    clause: z.string(),
    what: z.string(),
    seen: z.string(),
    /** What the model allowed, as text for a person. */
    mainline: z.object({ allowed: z.string(), does: z.boolean() }),
    documents: z.object({ stance, reference: z.string().optional() }),
    verdict,
    note: z.string().optional(),
  }),
  splat: z.object({
    ...inScenario,
    kind: z.string(),
    lines: z.array(z.string()),
    declared: z.boolean(),
    /** What was under way when its first line came. */
    during: z.string().optional(),
  }),
  'scenario.finished': z.object({
    ...inScenario,
    verdict,
    /** Why it is not a pass; for n/a the capability that is missing. */
    reason: z.string().optional(),
    failure: failure.optional(),
    durationMs: z.number(),
    attempts: z.number(),
    flaky: z.boolean(),
    /** It was not run, and `reason` says why: `verdict` is then error. */
    notRun: z.boolean().optional(),
    /** Reason from the expectations file, when this verdict was expected. */
    expected: z.string().optional(),
    /** One line that repeats just this case. */
    repeat: z.string(),
    /** Kernel log of the scenario, when it did not pass. */
    log: z.array(z.string()).optional(),
    /** What the result holds for: a digest of scenario and harness (the kernel's is in kernel.acquired). */
    fingerprint: z.string().optional(),
    /** What it adds to the clauses' verdicts. */
    clauseVerdicts: z.array(z.object({ clause: z.string(), verdict, note: z.string().optional() })).optional(),
  }),
  /** The worst over all scenarios that name the clause, on one kernel. */
  'clause.judged': z.object({
    ...inKernel,
    clause: z.string(),
    statement: z.string(),
    verdict,
    scenarios: z.array(z.string()),
    note: z.string().optional(),
  }),
  'run.finished': z.object({
    exit: z.number(),
    interrupted: z.boolean(),
    durationMs: z.number(),
    /** Scenario executions by verdict. */
    counts: z.record(verdict, z.number()),
    /** Clauses × kernels by verdict. */
    clauses: z.record(verdict, z.number()),
    expected: z.number(),
    /** Entries of the expectations file that no longer hold or have expired, as text. */
    staleExpectations: z.array(z.string()),
    /** Of a merged run: what no shard has a result of, as text. */
    missing: z.array(z.string()).optional(),
  }),
};

export type EventType = keyof typeof payloads;
export type Payload<T extends EventType> = z.infer<(typeof payloads)[T]>;
export type EventOf<T extends EventType> = Payload<T> & {
  readonly type: T;
  readonly v: typeof eventVersion;
  readonly seq: number;
  readonly run: string;
  readonly mono: number;
  readonly wall: string;
};
/** One line of the journal. */
export type KlpEvent = { [T in EventType]: EventOf<T> }[EventType];

const envelope = z.looseObject({ ...base, type: z.string() });
/** What every event has, those of later versions of klp included. */
export type EventHead = z.infer<typeof envelope>;

/**
 * Checks one line of a journal.
 * @param line JSON text of one event
 * @returns what every event has; and the event, unless its type is none that this version knows. Fields this version does
 *   not know are kept
 * @throws Error that says what is wrong with it
 */
export function parseLine(line: string): { readonly head: EventHead; readonly event?: KlpEvent } {
  const raw: unknown = JSON.parse(line);
  const head = envelope.parse(raw);
  if (!Object.hasOwn(payloads, head.type)) return { head };
  const payload = payloads[head.type as EventType].loose().parse(raw);
  return { head, event: { ...head, ...payload } as unknown as KlpEvent };
}

/**
 * As {@link parseLine}, for an event whose type must be known.
 * @throws Error that says what is wrong with it
 */
export function parseEvent(line: string): KlpEvent {
  const { head, event } = parseLine(line);
  if (!event) throw new Error(`unknown event type ${head.type}`);
  return event;
}
