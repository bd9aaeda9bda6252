// SPDX-License-Identifier: MIT
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { calls, must, segments } from '../../harness/guest/guest.js';
import type { Recording, Span, Timeline, Track } from '../../harness/guest/guest.js';
import { writeFlags } from '../../harness/guest/protocol.js';
import { LocalGuest } from './local-agent.js';

// Files of a temporary folder play `transition`; patch_state, which the host's kernel may lack, is ENOENT then.
const guest = await LocalGuest.start();
t.teardown(() => guest.end());
const folder = t.testdir({ transition: '0\n', enabled: '1\n' });
const transition = join(folder, 'transition');

/** The timeline, once it shows what is waited for. */
async function until(recording: Recording, shows: (timeline: Timeline) => boolean): Promise<Timeline> {
  for (;;) {
    const timeline = await recording.read();
    if (shows(timeline)) return timeline;
    await sleep(2);
  }
}

const values = (track: Track | undefined): string[] => (track?.changes ?? []).map(({ value }) => value.text || value.name);
const lastOf = (timeline: Timeline, track = 0): string | undefined => values(timeline.tracks[track]).at(-1);
const isGone = async (pid: number): Promise<boolean> => must(await guest.sweep(), 'sweep').every((thread) => thread.pid !== pid);

await t.test('every change is seen, in its order and around its time', async (t) => {
  const recording = await guest.startTimeline({ files: [transition, join(folder, 'enabled')] });
  t.equal(lastOf(await recording.read()), '0', 'all has been read once');
  const written: Span[] = [];
  for (let i = 1; i <= 20; i++) {
    const outcome = await guest.write(transition, `${i % 10}\n`);
    must(outcome, 'writing');
    written.push(outcome.span);
    await until(recording, (timeline) => lastOf(timeline) === String(i % 10));
  }
  const timeline = await recording.stop();
  const [track, other] = timeline.tracks;
  t.strictSame(values(track), Array.from({ length: 21 }, (_, i) => String(i % 10)));
  t.strictSame(values(other), ['1']);
  for (const [i, { begin, end }] of written.entries()) {
    const change = track?.changes[i + 1];
    if (!change?.before) throw new Error(`change ${i} has no reading before it`);
    if (change.before.begin > end || change.span.end < begin) t.fail(`change ${i} was written outside of its readings`);
    if (change.before.end > change.span.begin) t.fail(`readings around change ${i} overlap`);
  }
  t.match(timeline, { running: true, dropped: 0 });
  t.ok((track?.readings ?? 0) > 20 && (other?.readings ?? 0) > 20);
  t.ok(track && track.longestGap > 0n);
  t.strictSame(track?.held, track?.last);
  t.strictSame(await recording.stop(), timeline, 'stopping again gives the same');
  t.ok(await isGone(recording.pid), 'and leaves nothing behind');
});

await t.test('what comes too fast is missed, but never out of order or place', async (t) => {
  const recording = await guest.startTimeline({ files: [transition], everyMicroseconds: 0 });
  const texts = Array.from({ length: 300 }, (_, i) => String(1000 + i));
  // Some stand for a millisecond, some for no time.
  const pause = calls.awaitContent(transition, 'never', 1);
  const batch = texts.flatMap((text, i) => (i % 7 === 0 ? [calls.write(transition, text), pause] : [calls.write(transition, text)]));
  const outcomes = must(await guest.batch(batch), 'batch').filter((_, i) => batch[i]?.op === 'write');
  const timeline = await until(recording, (timeline) => lastOf(timeline) === texts.at(-1));
  await recording.stop();
  const [track] = timeline.tracks;
  t.ok((track?.changes.length ?? 0) > 10);
  let previous = -1;
  for (const { certain, possible, value } of track ? segments(track) : []) {
    const at = texts.indexOf(value.text);
    if (at < 0) continue; // what was there before
    t.ok(at > previous, `${value.text} comes after the one before`);
    previous = at;
    const [mine, next] = [outcomes[at]?.span, outcomes[at + 1]?.span];
    if (!mine) throw new Error('every value was written');
    t.ok(possible.end === undefined || possible.end >= mine.begin);
    t.ok(!certain || certain.begin >= mine.begin, 'not certain before it was written');
    t.ok(!certain || !next || certain.end <= next.end, 'nor after the next one was');
  }
});

await t.test('it goes on during an operation that keeps the agent busy', async (t) => {
  const recording = await guest.startTimeline({ files: [transition] });
  const waiting = guest.awaitContent(transition, 'never', 400);
  await sleep(100);
  await writeFile(transition, '1\n');
  await sleep(100);
  await writeFile(transition, '0\n');
  const { span } = await waiting;
  const timeline = await recording.stop();
  const inside = (timeline.tracks[0]?.changes ?? []).filter((c) => span.begin < c.span.begin && c.span.end < span.end);
  t.strictSame(inside.map(({ value }) => value.text).filter((text) => text !== ''), ['1', '0']);
});

await t.test('files vanish and come back; that they are not there is a value', async (t) => {
  const late = join(folder, 'late');
  const task = must(await guest.spawn({ kind: 'sleep' }), 'spawn');
  const adjust = `/proc/${task.pid}/oom_score_adj`;
  const recording = await guest.startTimeline({ files: [late, folder, adjust], tids: [task.pid, 4_194_304] });
  await guest.write(late, '1\n', writeFlags.create);
  await until(recording, (timeline) => lastOf(timeline) === '1');
  await rm(late);
  await until(recording, (timeline) => lastOf(timeline) === 'ENOENT');
  await guest.write(late, '1\n', writeFlags.create);
  await until(recording, (timeline) => lastOf(timeline) === '1');
  await guest.write(adjust, '7');
  await until(recording, (timeline) => lastOf(timeline, 2) === '7');
  await guest.kill(task.pid, 'SIGKILL');
  await guest.wait(task, 5000);
  await until(recording, (timeline) => lastOf(timeline, 2) === 'ENOENT');
  const { tracks } = await recording.stop();
  t.strictSame(values(tracks[0]), ['ENOENT', '1', 'ENOENT', '1']);
  t.strictSame(values(tracks[1]), ['EISDIR']);
  t.strictSame(values(tracks[2]).slice(1), ['7', 'ESRCH', 'ENOENT'], 'a file that was open says so when it goes');
  t.strictSame(values(tracks[4]), ['ENOENT']);
  t.match(tracks[3]?.source, { kind: 'thread', tid: task.pid });
});

await t.test('what there is no room for is counted, and the next change tells of it', async (t) => {
  await writeFile(transition, '0');
  const recording = await guest.startTimeline({ files: [transition], everyMicroseconds: 100, bytes: 4096 });
  // From byte 0 each time: nothing is let go of.
  const peek = async () =>
    must(await guest.agent().request({ op: 'samples', pid: recording.pid, from: 0n, end: false }), 'samples');
  let seen = 1;
  for (let page = await peek(); (page.sources[0]?.dropped ?? 0) < 5; seen++) {
    await guest.write(transition, String(seen % 10));
    do page = await peek();
    while (page.records.length + (page.sources[0]?.dropped ?? 0) <= seen);
  }
  const full = await recording.read();
  t.match(full.dropped, 5);
  const held = full.tracks[0]?.held?.end ?? 0n;
  t.ok(held < (full.tracks[0]?.last?.end ?? 0n), 'the last recorded value is not the last one');
  const timeline = await until(recording, ({ tracks }) => (tracks[0]?.changes.at(-1)?.lost ?? 0) > 0);
  await recording.stop();
  const changes = timeline.tracks[0]?.changes ?? [];
  t.match(changes.at(-1), { lost: 5, value: { text: String((seen - 1) % 10) }, before: { end: held } });
  t.equal(changes.length + 5, seen + 1, 'with room again, the present value is recorded');
});

await t.test('sweeps follow every thread from its first to its last', async (t) => {
  const recording = await guest.startTimeline({ sweepEveryMilliseconds: 5 });
  const task = must(await guest.spawn({ kind: 'sleep', threads: 2 }), 'spawn');
  const own = ({ sweeps }: Timeline): Track[] =>
    sweeps.threads.filter(({ source }) => source.kind === 'thread' && source.pid === task.pid);
  await until(recording, (timeline) => own(timeline).length === 3);
  await guest.kill(task.pid, 'SIGKILL');
  await guest.wait(task, 5000);
  await until(recording, (timeline) => own(timeline).every((track) => values(track).at(-1) === 'ESRCH'));
  const timeline = await recording.stop();
  const { spans, threads } = timeline.sweeps;
  t.equal(own(timeline).length, 3);
  t.equal(timeline.dropped, 0);
  for (const [i, { begin, end }] of spans.entries()) {
    if (begin >= end || (spans[i - 1]?.end ?? 0n) > begin) t.fail(`sweep ${i} overlaps another`);
  }
  const alive = threads.filter((track) => values(track).at(-1) !== 'ESRCH');
  t.equal(alive.length, spans.at(-1)?.threads, 'what the tracks add up to is what the last sweep counted');
  for (const track of own(timeline)) {
    const [first, last] = track.changes;
    t.equal(track.changes.length, 2);
    t.ok(first && last && spans.some((s) => s.begin <= first.span.begin && first.span.end <= s.end));
    t.ok(last?.before && spans.some((s) => s.end === last.before?.end));
  }
});

await t.test('a sampler ends with its agent, whichever way that ends', async (t) => {
  for (const how of ['closed', 'killed']) {
    const other = await LocalGuest.start();
    const { pid } = await other.startTimeline({ files: [transition], sweepEveryMilliseconds: 5 });
    t.notOk(await isGone(pid));
    if (how === 'closed') await other.end();
    else other.child.kill('SIGKILL');
    const state = async () => must(await guest.sweep(), 'sweep').find((thread) => thread.pid === pid)?.state ?? 'Z';
    while ((await state()) !== 'Z') await sleep(5);
    other.disconnect();
  }
});

await t.test('one that was killed is told of, with all it had', async (t) => {
  const recording = await guest.startTimeline({ files: [transition] });
  await guest.kill(recording.pid, 'SIGKILL');
  const timeline = await until(recording, ({ running }) => !running);
  t.equal(timeline.tracks[0]?.changes.length, 1);
  t.notOk((await recording.stop()).running);
  t.ok(await isGone(recording.pid));
  const stopped = await guest.startTimeline({ files: [transition] });
  await guest.kill(stopped.pid, 'SIGSTOP');
  t.equal((await stopped.stop()).tracks[0]?.changes.length, 1, 'one that does not answer is ended all the same');
  t.ok(await isGone(stopped.pid));
});

await t.test('several at once, but not without end', async (t) => {
  const all = await Promise.all(Array.from({ length: 8 }, () => guest.startTimeline({ files: [transition] })));
  await t.rejects(guest.startTimeline({ files: [transition] }), {
    message: 'the guest agent refused sample: 8 samplers were started and not ended',
  });
  await Promise.all(all.map((recording) => Promise.all([recording.read(), recording.read(), recording.stop()])));
  for (const { pid } of all) t.ok(await isGone(pid));
  await t.rejects(guest.startTimeline({}), { message: 'the guest agent refused sample: nothing to sample' });
  t.match(await guest.agent().request({ op: 'samples', pid: 1, from: 0n, end: true }), { name: 'ECHILD' });
});
