// SPDX-License-Identifier: MIT
import { z } from 'zod';
import { base, eventVersion, payloads } from './schema.js';

/**
 * JSON Schema (draft 2020-12) of one line of a journal, for readers in other languages. Fields and types of events that it does not know
 * are allowed, as docs/events.md promises.
 */
export function eventsJsonSchema(): object {
  const types = Object.entries(payloads).map(([type, payload]) => ({
    if: { properties: { type: { const: type } }, required: ['type'] },
    then: schemaOf(payload).rest,
  }));
  const { dialect, rest } = schemaOf(z.object({ ...base, type: z.string() }));
  const title = `An event of a journal of klp-conformance, version ${eventVersion}`;
  return { $schema: dialect, $id: `urn:klp-conformance:events-${eventVersion}`, title, ...rest, allOf: types };
}

/** The part that says what is allowed, and the part that says in which language. */
function schemaOf(type: z.ZodType): { readonly dialect: string | undefined; readonly rest: object } {
  const { $schema: dialect, ...rest } = z.toJSONSchema(type, { io: 'input' });
  return { dialect, rest };
}
