// SPDX-License-Identifier: MIT
import t from 'tap';
import { chooseJobs, hostRoom } from '../../harness/runner/jobs.js';

void t.test('as many guests as cores, memory and scenarios allow', (t) => {
  const room = { cores: 8, availableMiB: 16_000 };
  const auto = (scenarios: number, guest = 512, more: Partial<typeof room> = {}): number =>
    chooseJobs('auto', scenarios, guest, { ...room, ...more }).jobs;
  t.equal(auto(100), 8, 'cores');
  t.equal(auto(3), 3, 'scenarios');
  t.equal(auto(100, 512, { availableMiB: 512 + 3 * 712 }), 3, 'memory, to the last MiB');
  t.equal(auto(100, 512, { availableMiB: 512 + 3 * 712 - 1 }), 2);
  t.equal(auto(100, 512, { availableMiB: 10 }), 1, 'at least one');
  t.equal(auto(0), 1);
  t.end();
});

void t.test('a number is obeyed, but no guest is started for nothing', (t) => {
  const room = { cores: 1, availableMiB: 100 };
  t.equal(chooseJobs(5, 100, 512, room).jobs, 5);
  t.equal(chooseJobs(5, 2, 512, room).jobs, 2);
  t.equal(chooseJobs(5, 0, 512, room).jobs, 1);
  t.end();
});

void t.test('the reason names what there is', (t) => {
  const { why } = chooseJobs('auto', 15, 512, { cores: 2, availableMiB: 5000 });
  t.equal(why, '2 cores, 5000 MiB of memory free (enough for 6), 15 to run');
  t.equal(chooseJobs(3, 15, 512, { cores: 2, availableMiB: 5000 }).why, '--jobs 3, 15 to run');
  const { cores, availableMiB } = hostRoom();
  t.ok(Number.isInteger(cores) && cores >= 1);
  t.ok(Number.isInteger(availableMiB) && availableMiB > 0);
  t.end();
});
