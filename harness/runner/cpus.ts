// SPDX-License-Identifier: MIT
import { must } from '../guest/guest.js';
import { SituationError } from '../model/reference.js';
import type { SessionRecord } from './session-record.js';

/** Takes a CPU offline or brings it back, and proves it. */
export async function switchCpu(record: SessionRecord, cpu: number, online: boolean): Promise<void> {
  const file = `/sys/devices/system/cpu/cpu${cpu}/online`;
  const what = `CPU ${cpu} ${online ? 'online' : 'offline'}`;
  await record.require(file, 'there is no such CPU, or it cannot be taken offline (CONFIG_HOTPLUG_CPU)');
  await record.operate({ kind: 'switch-cpu', cpu, online }, what, () => record.guest.write(file, online ? '1' : '0'));
  const outcome = await record.guest.readText(file);
  const said = must(outcome, file).trim();
  if (said !== (online ? '1' : '0')) throw new SituationError(`${file} reads ${said}`);
  const stat = must(await record.guest.readText('/proc/stat'), '/proc/stat');
  const listed = new RegExp(`^cpu${cpu} `, 'm').test(stat);
  if (listed !== online) throw new SituationError(`/proc/stat ${listed ? 'has' : 'lacks'} cpu${cpu}`);
  record.witness(what, [`${file}: ${said}`, `/proc/stat ${listed ? 'has' : 'lacks'} cpu${cpu}`], outcome.span);
}
