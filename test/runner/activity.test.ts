// SPDX-License-Identifier: MIT
import t from 'tap';
import type { Guest } from '../../harness/guest/guest.js';
import { Activity, narrated } from '../../harness/runner/activity.js';

/** An activity whose clock stands where it is put. */
function clocked(): { activity: Activity; at: (time: number) => Activity } {
  let time = 0;
  const activity = new Activity(() => time);
  return {
    activity,
    at: (now) => {
      time = now;
      return activity;
    },
  };
}

void t.test('one step after the other', (t) => {
  const { activity, at } = clocked();
  t.equal(activity.current.what, 'nothing yet');
  at(10).step('first');
  at(20).step('second');
  t.equal(activity.at(9), undefined);
  t.equal(activity.at(10)?.what, 'first');
  t.equal(activity.at(19)?.what, 'first');
  t.match(activity.at(21), { what: 'second', begin: 20 });
  t.match(activity.current, { what: 'second', begin: 20 });
  t.end();
});

void t.test('what lasts is under way beneath what came and went', async (t) => {
  const { activity, at } = clocked();
  let end = (): void => undefined;
  const long = at(10).during('long', () => new Promise<void>((resolve) => (end = resolve)));
  await at(20).during('short', () => Promise.resolve());
  t.equal(activity.at(20)?.what, 'short');
  t.equal(activity.at(25)?.what, 'long', 'the short one is over');
  t.equal(activity.current.what, 'long');
  at(30);
  end();
  await long;
  t.equal(activity.at(31)?.what, 'long', 'after all, the one that ended last');
});

void t.test('what failed is what is being done, until something else is', async (t) => {
  const { activity, at } = clocked();
  const failing = at(10).during('failing', () => Promise.reject(new Error('no')));
  const other = at(11).during('other', () => new Promise<void>(() => undefined));
  other.catch(() => undefined);
  await t.rejects(failing);
  t.equal(activity.current.what, 'failing', 'though another is still under way');
  t.equal(activity.at(500)?.what, 'other');
  at(600).step('next');
  t.equal(activity.current.what, 'next');
});

void t.test("a guest's calls are steps", async (t) => {
  const activity = new Activity();
  const fake = { agentPid: 7, write: () => Promise.resolve('written'), run: () => Promise.reject(new Error('lost')) };
  const guest = narrated(fake as unknown as Guest, activity);
  t.equal(guest.agentPid, 7);
  t.equal(await guest.write('/proc/sysrq-trigger', 'c'), 'written');
  t.equal(activity.current.what, 'write /proc/sysrq-trigger');
  await t.rejects(guest.run(`echo ${'x'.repeat(100)}`), /lost/);
  t.match(activity.current.what, /^run echo x{72}\.\.\.$/);
});
