// SPDX-License-Identifier: MIT
import type { Section } from './types.js';

/** The sections in reading order; each is one page of the specification. */
export const sections: readonly Section[] = [
  {
    id: 'registration',
    title: 'Registration',
    introduction:
      'Up to 5.0 a livepatch module makes its patch known with `klp_register_patch()` and enables it in ' +
      'a second step. From 5.1 on there is only `klp_enable_patch()`, which does both: what is said here ' +
      'of registering then holds for that call.',
  },
  {
    id: 'life-cycle',
    title: 'Enabling, disabling and unregistering',
    introduction:
      'Registered patches form a stack in the order of their registration. From 5.1 on a disabled patch ' +
      'leaves the kernel, nothing is registered or unregistered by itself, and the rules on the order of ' +
      'patches are gone.',
  },
  {
    id: 'sysfs',
    title: 'Sysfs',
    introduction: 'The files below `/sys/kernel/livepatch/<patch>`.',
  },
  {
    id: 'transition',
    title: 'Transition and patch_state',
    introduction:
      'While a patch is being enabled or disabled, every thread switches on its own. ' +
      '`/proc/<pid>/patch_state` and `/proc/<pid>/task/<tid>/patch_state` read 0 for a thread that runs ' +
      'the old functions, 1 for one that runs the new ones, and -1 when no transition is under way.',
  },
  {
    id: 'stack-check',
    title: 'Stack check',
    introduction:
      'A thread that is blocked keeps its initial patch_state for as long as the situation lasts and ' +
      '`transition` stays 1, while all other threads switch. The transition completes within the retry ' +
      'interval, about a second, once the situation has ended.',
  },
  {
    id: 'immediate',
    title: 'The immediate flag',
    introduction:
      'The flags `klp_patch.immediate` and `klp_func.immediate` exist up to 4.15 and are gone from 4.16 ' +
      'on: a later kernel cannot be asked these questions.',
  },
  {
    id: 'modules',
    title: 'Modules that come and go',
    introduction: 'M is a module that a patch wants to change, X the patch.',
  },
  {
    id: 'ftrace',
    title: 'Ftrace and kprobes',
    introduction: 'How livepatch shares function entries with the other users of ftrace.',
  },
  {
    id: 'elf',
    title: 'Module ELF format',
    introduction:
      'The relocation sections and symbols by which a livepatch module reaches what an ordinary module ' +
      'cannot link to. The faults that a module can have are listed apart from these clauses, as EF-01 ' +
      'to EF-53.',
  },
  {
    id: 'replace',
    title: 'Atomic replace',
    introduction:
      'From 5.1 on a patch with the flag `replace` takes the place of all patches that are there. What ' +
      'only they have is undone in the same transition.',
  },
  {
    id: 'force',
    title: 'Force',
    introduction:
      'From 4.16 on a transition that tasks hold can be ended by force, at the price of the consistency ' +
      'that it is there for.',
  },
  {
    id: 'callbacks',
    title: 'Callbacks',
    introduction:
      'From 4.15 on each object of a patch may have four functions that run before and after it is patched ' +
      'and unpatched.',
  },
  {
    id: 'shadow',
    title: 'Shadow variables',
    introduction:
      'From 4.15 on patches can attach data to objects of the kernel without changing them. A variable is known ' +
      'by its object, of which only the address counts, and a number, the id. What is said here is asked from 4.18 ' +
      'on, since when they have constructors and destructors.',
  },
  {
    id: 'states',
    title: 'System states',
    introduction: 'From 5.5 on a patch can say which states of the system it changes, each with a version.',
  },
  {
    id: 'signals',
    title: 'Signals of the kernel',
    introduction:
      'From 5.1 on the kernel itself interrupts the tasks that hold a transition; from 4.15 to 5.0 a write into the ' +
      'file `signal` of the patch did.',
  },
];
