// SPDX-License-Identifier: MIT
import { digest } from '../cache.js';
import { catalogueVersion } from '../model/catalogue/index.js';
import type { Scenario } from './scenario.js';

/**
 * What a scenario's result holds for, the kernel apart: its definition and the code that judged it. Helpers that `run` calls
 * are not part of its text: those of ours are covered by the version, those of a user's file are not.
 */
export function scenarioFingerprint(s: Scenario, harness: string): string {
  const { id, title, clauses, needs, modules, seconds } = s;
  const splats = (s.splats ?? []).map(String);
  const definition = JSON.stringify({ id, title, clauses, needs, modules, splats, seconds });
  return digest('1', harness, String(catalogueVersion), definition, s.run.toString());
}
