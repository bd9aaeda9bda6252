// SPDX-License-Identifier: MIT
import { z } from 'zod';
import { resultsSchema, resultsVersion } from './results-schema.js';

/**
 * JSON Schema (draft 2020-12) of results.json, for readers in other languages. Fields that it does not know are allowed: a version
 * grows by optional fields.
 */
export function resultsJsonSchema(): object {
  const { $schema, ...rest } = z.toJSONSchema(resultsSchema, { io: 'input' });
  return { $schema, $id: `urn:klp-conformance:results-${resultsVersion}`, title: `Results of a run of klp-conformance, version ${resultsVersion}`, ...rest };
}
