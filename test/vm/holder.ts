// SPDX-License-Identifier: MIT
// Started by lifecycle.test.ts, and killed by it: holds a machine and says QEMU's pid.
import { Machine, type MachineOptions } from '../../harness/vm/machine.js';

const machine = await Machine.start(JSON.parse(process.argv[2] ?? '{}') as MachineOptions);
process.stdout.write(`${machine.pid}\n`);
await machine.exited;
