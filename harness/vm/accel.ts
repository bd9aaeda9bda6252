// SPDX-License-Identifier: MIT
import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { arch as hostArch } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { architectures, type Arch } from '../arch.js';
import { cacheRoot, digest } from '../cache.js';
import { UsageError } from '../errors.js';
import { lastLines } from '../host.js';
import { namelessFile } from './nameless.js';
import { findProgram, tiedToUs } from './qemu.js';

/** What `--accel` may say. */
export type AccelChoice = 'auto' | 'kvm' | 'tcg';

/** How the guest's instructions are executed. */
export type Accel = 'kvm' | 'tcg';

export interface AccelDecision {
  readonly accel: Accel;
  /** For `klp doctor` and the results: why this one. */
  readonly reason: string;
}

/** @throws UsageError for anything `--accel` does not know */
export function parseAccel(word: string): AccelChoice {
  if (word === 'auto' || word === 'kvm' || word === 'tcg') return word;
  throw new UsageError(`unknown accelerator "${word}"`, { hint: 'use auto, kvm or tcg' });
}

/**
 * Decides on the accelerator. The existence of /dev/kvm says nothing: there are hosts whose KVM opens and then never
 * gets an ordinary guest anywhere. So something is run. A positive answer is kept until the host boots again; a
 * negative one may only mean that the host was busy, and is not.
 *
 * @throws InfrastructureError when QEMU itself is missing
 */
export async function chooseAccel(arch: Arch, choice: AccelChoice, milliseconds = 2000): Promise<AccelDecision> {
  const info = architectures[arch];
  const qemu = findProgram(info.qemu, info.qemuPackage);
  if (choice !== 'auto') return { accel: choice, reason: `--accel ${choice}` };
  if (arch !== 'x86_64' || hostArch() !== 'x64') {
    return { accel: 'tcg', reason: `an ${arch} guest on this host's ${hostArch()} processor is emulated` };
  }
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => undefined);
  const note = bootId === undefined ? undefined : join(cacheRoot(), 'accel', digest(bootId, qemu, bootSector().toString('hex')).slice(0, 32));
  if (note !== undefined && (await readFile(note, 'utf8').catch(() => '')) === 'kvm') {
    return { accel: 'kvm', reason: 'KVM ran a guest since the host was booted' };
  }
  const failure = await probe(qemu, 'kvm', milliseconds);
  if (failure !== undefined) return { accel: 'tcg', reason: `KVM is of no use here: ${failure}` };
  if (note !== undefined) {
    await mkdir(join(cacheRoot(), 'accel'), { recursive: true });
    await writeFile(note, 'kvm');
  }
  return { accel: 'kvm', reason: 'KVM ran a guest just now' };
}

/**
 * A boot sector that counts down from a hundred million and then ends QEMU with 0x21 (isa-debug-exit). The count is what
 * tells a processor from a hypervisor that emulates each instruction (a KVM inside a virtual machine may): 50 ms here,
 * half a second under TCG, a minute there, where firmware and a short sector alone would still be in time.
 */
function bootSector(): Buffer {
  const sector = Buffer.alloc(512);
  sector.set([0x66, 0xb9, 0x00, 0xe1, 0xf5, 0x05]); // mov ecx, 100000000
  sector.set([0x66, 0x49, 0x75, 0xfc], 6); // dec ecx; jnz back
  sector.set([0xba, 0xf4, 0x00, 0xb0, 0x10, 0xee], 10); // mov dx, 0xf4; mov al, 0x10; out dx, al
  sector.set([0xf4, 0xeb, 0xfd], 16); // hlt; jmp back
  sector.set([0x55, 0xaa], 510);
  return sector;
}

/**
 * Runs the firmware and a boot sector that computes for a moment.
 * @returns undefined when the boot sector's own exit status comes back in time, else what happened instead
 */
export async function probe(qemu: string, accel: Accel, milliseconds: number): Promise<string | undefined> {
  const disk = await namelessFile((file) => writeFile(file, bootSector()));
  try {
    const { command, args } = tiedToUs(qemu, [
      // SeaBIOS boots no q35's disk in reasonable time.
      ...['-accel', accel, '-machine', 'pc', '-cpu', accel === 'kvm' ? 'host' : 'max', '-smp', '2', '-m', '32'],
      ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
      ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=1', '-add-fd', 'fd=3,set=1'],
      ...['-drive', 'if=ide,driver=raw,auto-read-only=off,file.filename=/dev/fdset/1,file.auto-read-only=off'],
    ]);
    const time = AbortSignal.timeout(milliseconds);
    const child = spawn(command, args, {
      stdio: ['ignore', 'ignore', 'pipe', disk.fd],
      signal: time,
      killSignal: 'SIGKILL',
    });
    child.on('error', () => undefined); // 'close' comes too, and says as much
    const [complaint, code] = await Promise.all([
      child.stderr ? text(child.stderr) : '',
      new Promise<number | string>((resolve) => child.on('close', (status, signal) => resolve(status ?? String(signal)))),
    ]);
    if (code === 0x21) return undefined;
    if (time.aborted) return `a boot sector did not end within ${milliseconds / 1000} s`;
    return complaint.trim() === '' ? `QEMU ended with ${code}` : lastLines(complaint, 1).join();
  } finally {
    await disk.close();
  }
}
