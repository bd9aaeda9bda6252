// SPDX-License-Identifier: MIT
import type { Attempt } from './collect.js';
import { clean, duration, fit, width } from './text.js';

/** Narrower than this, only what differs between the lines is shown. */
const narrow = 60;

/** What is under way in a run, for the lines that tell of it. */
export interface Status {
  /** In milliseconds, as in the events. */
  readonly mono: number;
  readonly done: number;
  readonly total: number;
  /** Results that were not expected. */
  readonly failed: number;
  readonly running: readonly Attempt[];
  /** Milliseconds, as far as they can be told. */
  readonly remaining: number | undefined;
  /** Something slow that is no scenario, as one line. */
  readonly progress: string | undefined;
}

/**
 * The lines at the end of a terminal: where the run is, and what each guest works on and since when. None is as wide as the
 * terminal: some wrap as soon as the last column is written. The first column stays free for the cursor.
 *
 * @param rows of the terminal; there are fewer lines
 */
export function liveLines(status: Status, columns: number, rows: number): string[] {
  const { running, progress } = status;
  if (running.length === 0 && progress === undefined) return [];
  const head = status.total > 0 ? [headline(status)] : [];
  const tail = progress === undefined ? [] : [progress];
  const room = Math.max(1, rows - 2 - head.length - tail.length);
  const shown = running.length > room ? running.slice(0, Math.max(0, room - 1)) : running;
  const scenario = Math.max(0, ...shown.map((r) => width(clean(r.scenario))));
  const guests = shown.map((r) => {
    const age = clock(status.mono - r.since).padStart(5);
    if (columns < narrow) return `${age} ${clean(r.scenario)}`;
    return `${age} ${clean(r.kernel)} ${clean(r.scenario).padEnd(scenario)} ${clean(r.title)}`;
  });
  const more = running.length > shown.length ? [`… and ${running.length - shown.length} more`] : [];
  const all = [...head, ...guests, ...more, ...tail];
  return all.slice(0, Math.max(1, rows - 1)).map((line) => ` ${fit(line.trimEnd(), columns - 2)}`);
}

/** The same on one line, for a log. */
export function heartbeat(status: Status): string {
  const now = status.running.map((r) => `${clean(r.scenario)} ${clock(status.mono - r.since)}`);
  if (now.length === 0 && status.progress !== undefined) now.push(status.progress);
  return `${headline(status)}${now.length > 0 ? `; now: ${now.join(', ')}` : ''}`;
}

/** `3/12 done, 1 failed, ~4 min left`. */
function headline({ done, total, failed, remaining }: Status): string {
  const parts = [`${done}/${total} done`];
  if (failed > 0) parts.push(`${failed} failed`);
  if (remaining !== undefined && done < total) parts.push(left(remaining));
  return parts.join(', ');
}

function left(milliseconds: number): string {
  const minutes = Math.ceil(milliseconds / 60_000);
  if (minutes <= 1) return 'under 1 min left';
  return minutes < 60 ? `~${minutes} min left` : `~${duration(minutes * 60_000)} left`;
}

/** `0:07`, `12:34`, `1:02:03`: whole seconds, so that the lines are not rewritten for each event. */
export function clock(milliseconds: number): string {
  const seconds = Math.floor(Math.max(0, milliseconds) / 1000);
  const two = (n: number): string => String(n).padStart(2, '0');
  const [minutes, hours] = [Math.floor(seconds / 60) % 60, Math.floor(seconds / 3600)];
  return hours === 0 ? `${minutes}:${two(seconds % 60)}` : `${hours}:${two(minutes)}:${two(seconds % 60)}`;
}
