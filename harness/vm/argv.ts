// SPDX-License-Identifier: MIT
import type { ArchInfo } from '../arch.js';
import type { Accel } from './accel.js';

/**
 * How QEMU emulates the CPUs of a guest: each in a thread of its own, or all in one by turns. That is slower; but then no CPU
 * translates code while another stores it.
 */
export type Threads = 'multi' | 'single';

/** Everything QEMU's command line depends on. */
export interface Hardware {
  readonly arch: ArchInfo;
  readonly accel: Accel;
  /** Of emulation; `multi` when left out. */
  readonly threads?: Threads;
  /** File for `-kernel`. */
  readonly kernel: string;
  /** File for `-initrd`. */
  readonly initramfs: string;
  /** `pci`, or `mmio` for a kernel without PCI. */
  readonly transport: 'pci' | 'mmio';
  /** MiB, instead of the profile's. */
  readonly memory?: number;
  /** Instead of the profile's. */
  readonly cpus?: number;
  /** Words added to the kernel's command line. */
  readonly append?: readonly string[];
  /** `rdinit=`, instead of the initramfs's `/init`. */
  readonly rdinit?: string;
  /** A virtio port for the guest agent; for kernels with its driver. */
  readonly agentPort?: boolean;
  /** How the file of saved states is read and written: `io_uring` is three times as fast, where the host allows it. */
  readonly aio?: 'threads' | 'io_uring';
  /** Do not run until told to: the guest's state will be loaded. */
  readonly paused?: boolean;
  /** Where a debugger reaches the guest: path of a unix socket that QEMU makes. The guest itself is the same with or without. */
  readonly gdb?: string;
}

/** Descriptors QEMU inherits. */
export const inherited = {
  /** Socket of the QMP connection. */
  qmp: 3,
  /** The qcow2 file that holds the guest's saved states; it has no name any more. */
  states: 4,
  /** Socket of the agent's port. */
  agent: 5,
} as const;

/** Name of the agent's port, which images/init/init.sh looks for. */
const agentPort = 'klp.agent';

/**
 * The kernel's command line: the console; and a panic ends the guest a second after it was shown, which `-no-reboot`
 * turns into the end of QEMU. Nothing else, so that the judged guest has its kernel's own defaults.
 */
export function kernelCommandLine(hardware: Hardware): string {
  const { rdinit, append = [] } = hardware;
  const words = [`console=${hardware.arch.machine.console}`, 'panic=1'];
  if (rdinit !== undefined) words.push(`rdinit=${rdinit}`);
  return [...words, ...append].join(' ');
}

/**
 * QEMU's arguments, without the program's own name. Pure.
 *
 * The console is QEMU's standard output. The SSH port is chosen by the host's kernel (`info usernet` tells which). The
 * drive is attached to nothing: it only gives savevm a place to write to, so the guest needs no disk driver.
 */
export function qemuArguments(hardware: Hardware): string[] {
  const { arch, accel } = hardware;
  const { machine, cpu, memory, cpus } = arch.machine;
  const device = hardware.transport === 'pci' ? 'pci' : 'device';
  const rom = hardware.transport === 'pci' ? ',romfile=' : '';
  return [
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...['-machine', machine],
    ...['-accel', accel === 'tcg' ? `tcg,thread=${hardware.threads ?? 'multi'}` : accel],
    ...['-cpu', accel === 'tcg' ? cpu : 'host'],
    ...['-smp', String(hardware.cpus ?? cpus)],
    ...['-m', String(hardware.memory ?? memory)],
    ...['-kernel', hardware.kernel],
    ...['-initrd', hardware.initramfs],
    ...['-append', kernelCommandLine(hardware)],
    ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...['-chardev', `socket,id=qmp,fd=${inherited.qmp}`, '-mon', 'chardev=qmp,mode=control'],
    ...['-netdev', 'user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:0-10.0.2.15:22'],
    ...['-device', `virtio-net-${device},netdev=net0${rom}`],
    ...['-device', `virtio-rng-${device}`],
    ...(hardware.agentPort === true
      ? [
          ...['-device', `virtio-serial-${device}`],
          ...['-chardev', `socket,id=agent,fd=${inherited.agent}`],
          ...['-device', `virtserialport,chardev=agent,name=${agentPort}`],
        ]
      : []),
    ...['-add-fd', `fd=${inherited.states},set=1`],
    ...[
      '-drive',
      'if=none,id=states,driver=qcow2,auto-read-only=off,file.driver=file,file.filename=/dev/fdset/1' +
        `,file.auto-read-only=off,file.aio=${hardware.aio ?? 'threads'}`,
    ],
    ...(hardware.paused === true ? ['-S'] : []),
    // Last, and no TCP port: whoever reaches the stub owns the guest and its memory.
    ...(hardware.gdb === undefined ? [] : gdbStub(hardware.gdb)),
  ];
}

function gdbStub(path: string): string[] {
  // A comma in a value is doubled.
  const socket = `socket,id=gdb,path=${path.replaceAll(',', ',,')},server=on,wait=off`;
  return ['-chardev', socket, '-gdb', 'chardev:gdb'];
}

/** A command line as a person would type it. */
export function shellQuoted(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ');
}
