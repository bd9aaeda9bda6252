// SPDX-License-Identifier: MIT
import { type Span, must } from '../guest/guest.js';
import { writeFlags } from '../guest/protocol.js';
import type { PlainDescription } from '../model/description.js';
import { SituationError } from '../model/reference.js';
import { moduleDirectory } from './session-operations.js';
import type { SessionRecord } from './session-record.js';

/* Storms that a shell of its own in the guest makes, until it finds a file. The model knows nothing of them. */

/** Milliseconds of work, multiplied by the machine's slowdown. */
const patience = 20_000;

/** How far a storm has got. */
export interface Progress {
  readonly count: number;
  readonly span: Span;
  /** What else shows that it goes on. */
  readonly proof?: string;
}

/** One way to keep the system busy. */
export interface Busy {
  /** What is counted, and how much more of it a look wants. */
  readonly unit: string;
  readonly enough: number;
  readonly progress: () => Promise<Progress>;
  readonly end: () => Promise<void>;
}

const stop = '/tmp/klp-storm-stop';

/** How the line begins that a module of a storm writes into the log. */
const stormMark = 'klp-storm: ';

/** The C source of a module that says that it was loaded, and does nothing else. */
const stormSource = [
  '// SPDX-License-Identifier: GPL-2.0-only',
  '#include <linux/module.h>',
  '',
  'static int __init storm_init(void)',
  '{',
  `\tprintk(KERN_INFO "${stormMark}loaded\\n");`,
  '\treturn 0;',
  '}',
  '',
  'static void __exit storm_exit(void)',
  '{',
  '}',
  '',
  'module_init(storm_init);',
  'module_exit(storm_exit);',
  'MODULE_LICENSE("GPL");',
  'MODULE_DESCRIPTION("Comes and goes");',
  '',
].join('\n');

/** A module for a storm of loads. */
export function stormModule(name: string): PlainDescription {
  return { kind: 'plain', name, source: stormSource };
}

/** A module is loaded and unloaded. */
export async function moduleLoads(record: SessionRecord, { name }: PlainDescription): Promise<Busy> {
  const { guest } = record;
  let from = await guest.logEnd();
  let count = 0;
  await shell(record, `while [ ! -e ${stop} ]; do busybox insmod ${moduleDirectory}/${name}.ko; busybox rmmod ${name}; done`);
  const progress = async (): Promise<Progress> => {
    const { next, records } = await guest.log(from);
    from = next;
    count += records.filter(({ text }) => text.startsWith(stormMark)).length;
    return { count, span: (await guest.readText('/proc/uptime')).span };
  };
  return { unit: 'modules were loaded', enough: 5, progress, end: () => end(record) };
}

/** A task executes a program that executes it again: one thread with ever new address spaces. Its last argument is the count. */
export async function execs(record: SessionRecord): Promise<Busy> {
  const { guest } = record;
  const script = '/tmp/klp-execs';
  must(await guest.write(script, `[ -e ${stop} ] && exec rm ${stop}\nexec sh ${script} $(($1 + 1))\n`, writeFlags.create), script);
  const pid = await shell(record, `exec sh ${script} 0`);
  const progress = async (): Promise<Progress> => {
    const outcome = await guest.readText(`/proc/${pid}/cmdline`);
    return { count: executed(must(outcome, `command line of thread ${pid}`)), span: outcome.span };
  };
  return { unit: 'programs were executed', enough: 20, progress, end: () => end(record) };
}

/**
 * Programs that a storm of execs has executed.
 * @param commandLine as /proc/<pid>/cmdline has it: before the first of them it is the shell's that is to begin, and there is
 *   none while the address space is being exchanged
 */
export function executed(commandLine: string): number {
  const [, , count = ''] = commandLine.split('\0');
  return /^\d+$/.test(count) ? Number(count) : 0;
}

/** MiB that are left free, of which a loop takes and gives back a part. */
const leftFree = 48;
const taken = 16;

/** A file fills the memory; in what is left, another is written and taken away again and again. */
export async function lowMemory(record: SessionRecord): Promise<Busy> {
  const { guest } = record;
  const folder = '/tmp/klp-memory';
  const turns = '/tmp/klp-memory-turns';
  const fill = (await available(record)) - leftFree;
  const dd = (file: string, size: number): string => `busybox dd if=/dev/zero of=${folder}/${file} bs=1M count=${size}`;
  const full = await guest.run(`mkdir -p ${folder} && mount -t tmpfs -o size=100% klp ${folder} && ${dd('filling', fill)}`);
  if (full.code !== 0) throw new SituationError(`the memory can't be filled: ${full.stderr.trim()}`);
  must(await guest.write(turns, '0', writeFlags.create), turns);
  const turn = `${dd('part', taken)}; rm ${folder}/part; n=$((n + 1)); echo $n > ${turns}`;
  await shell(record, `n=0; while [ ! -e ${stop} ]; do ${turn}; done; umount ${folder}`);
  const progress = async (): Promise<Progress> => {
    const left = await available(record);
    if (left > 2 * leftFree) throw new SituationError(`${left} MiB of memory are available: that is not low`);
    const outcome = await guest.readText(turns);
    return { count: Number(must(outcome, turns)), span: outcome.span, proof: `/proc/meminfo: ${left} MiB available` };
  };
  return { unit: `times ${taken} MiB were taken and given back`, enough: 1, progress, end: () => end(record) };
}

/** MiB that could be had. */
async function available({ guest }: SessionRecord): Promise<number> {
  const text = must(await guest.readText('/proc/meminfo'), '/proc/meminfo');
  return Math.floor(Number(/^MemAvailable: *(\d+) kB$/m.exec(text)?.[1]) / 1024);
}

/** Starts a shell that takes the file away as the last thing it does; gives its thread id. */
async function shell({ guest }: SessionRecord, command: string): Promise<number> {
  const { stdout } = await guest.run(`rm -f ${stop}; (${command}; rm -f ${stop}) </dev/null >/dev/null 2>&1 & echo $!`);
  return Number(stdout);
}

async function end({ guest, slowdown }: SessionRecord): Promise<void> {
  must(await guest.write(stop, '', writeFlags.create), stop);
  if (!must(await guest.awaitGone(stop, patience * slowdown), stop).came) throw new SituationError('the shell of the storm does not end');
}
