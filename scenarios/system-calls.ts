// SPDX-License-Identifier: MIT
import { type Capability, type Scenario, gateOf, livepatch, scenario, target, vmlinux } from '../harness/index.js';

/* The function of a system call is patched that tasks make all the time. Its name is the generation's and the architecture's. */

const lib = target('klp_target');

function patchedSystemCall(id: string, name: string, needs: Capability): Scenario {
  const getpid = { object: vmlinux, name };
  const objects = { vmlinux: [name], klp_target: ['klp_target_alpha'] };
  const first = livepatch('klp_first', objects, { uses: [gateOf(lib)] });
  const second = livepatch('klp_second', objects, { uses: [gateOf(lib)] });
  return scenario({
    id,
    title: `${name}() is patched while tasks call getpid() without end: in transitions that a sleeper holds, with a second patch on it, in both disables`,
    clauses: ['ENA-12', 'DIS-4', 'TRN-1', 'TRN-2', 'TRN-5', 'TRN-7'],
    needs: ['livepatch', 'reliable-stacks', needs],
    modules: [lib, first, second],
    async run({ load, disable, park, systemCalls, observe }) {
      await load(lib);
      const callers = await systemCalls(getpid);
      await callers.look();
      for (const patch of [first, second]) {
        const sleeper = await park(lib.alpha);
        await load(patch);
        await observe.settledThreads();
        await callers.look();
        await observe.transitionEnd(patch);
        await sleeper.witness();
        await sleeper.release();
        await observe.transitionEnd(patch);
        await callers.look();
      }
      for (const patch of [second, first]) {
        const sleeper = await park(lib.alpha);
        await disable(patch);
        await observe.settledThreads();
        await callers.look();
        await observe.transitionEnd(patch);
        await sleeper.witness();
        await sleeper.release();
        await observe.transitionEnd(patch);
        await callers.look();
      }
      await callers.release();
      await observe.threads();
    },
  });
}

export const patchedGetpid = patchedSystemCall('patched-system-call', '__x64_sys_getpid', 'getpid-x64');
export const patchedGetpidOfArm64 = patchedSystemCall('patched-system-call-arm64', '__arm64_sys_getpid', 'getpid-arm64');
export const patchedPlainGetpid = patchedSystemCall('patched-system-call-without-wrapper', 'sys_getpid', 'getpid-plain');
