// SPDX-License-Identifier: MIT
import { z } from 'zod';
import { UsageError } from '../errors.js';
import { nearest } from '../nearest.js';

const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._+-]*$/, 'a name has letters, digits and . _ + - only, and begins with a letter or digit');
const path = z.string().min(1, 'a path is not empty');
const common = {
  /** `x86_64` or `arm64`; what the build directory says when left out. */
  arch: z.string().optional(),
  /** A Debian suite, `host`, or a compiler's prefix. */
  toolchain: z.string().min(1).optional(),
  machine: z.enum(['pc', 'mt2731', 'virt']).optional(),
};
const prebuilt = z.strictObject({ ...common, image: path, buildDir: path, modulesDir: path.optional() });
const fromSource = z.strictObject({ ...common, source: path, config: z.array(z.string().min(1)).min(1) });

/** A kernel of the user's own: one that is built already, or a source tree and what to lay over allnoconfig. */
export type OwnKernel = z.infer<typeof prebuilt> | z.infer<typeof fromSource>;

/** What `klp.config.ts` exports by default. */
export interface KlpConfig {
  readonly kernels?: Readonly<Record<string, OwnKernel>>;
}

const outer = z.strictObject({ kernels: z.record(z.string(), z.unknown()).optional() });

/**
 * Checks what a configuration file holds.
 * @param file for messages
 * @throws UsageError naming file, path of the key, and what is wrong with it
 */
export function parseKlpConfig(value: unknown, file: string): KlpConfig {
  const { kernels = {} } = parse(outer, value, file, []);
  const parsed = Object.entries(kernels).map(([word, kernel]): [string, OwnKernel] => {
    const at = ['kernels', word];
    parse(name, word, file, at);
    const built = typeof kernel === 'object' && kernel !== null && ('source' in kernel || 'config' in kernel);
    return [word, built ? parse(fromSource, kernel, file, at) : parse(prebuilt, kernel, file, at)];
  });
  return { kernels: Object.fromEntries(parsed) };
}

function parse<T>(schema: z.ZodType<T>, value: unknown, file: string, at: readonly string[]): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [problem] = result.error.issues;
  if (!problem) throw result.error;
  const where = (more: readonly PropertyKey[]): string => [...at, ...more].map(String).join('.') || 'what it exports';
  if (problem.code !== 'unrecognized_keys') throw new UsageError(`${file}: ${where(problem.path)}: ${problem.message}`);
  const [key = ''] = problem.keys;
  const known = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
  const guess = nearest(key, known);
  throw new UsageError(`${file}: ${where([...problem.path, key])}: there is no such key`, {
    hint: `${guess === undefined ? '' : `did you mean ${guess}? `}Keys: ${known.join(', ')}`,
  });
}
