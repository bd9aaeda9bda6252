// SPDX-License-Identifier: MIT
import { livepatchRst, livepatchTxt, reliableStacks } from './documents.js';
import type { Clause } from './types.js';

const section = 'stack-check';

/** Stack check: livepatch.txt section 3, the first approach. */
export const stackCheck: readonly Clause[] = [
  {
    id: 'CHK-1',
    section,
    statement:
      'While a patch is enabled on a function for the first time, a task that sleeps with the original ' +
      'function on its stack is not switched.',
    documents: [
      livepatchTxt(
        '111-113',
        'A sleeping task is patched if none of the affected functions is on its stack.',
      ),
    ],
    code: [
      'kernel/livepatch/transition.c:214-219 (4.14.177)',
      'kernel/livepatch/transition.c:230-231 (4.14.177)',
    ],
    mainline: 'The thread keeps 0 until it has left the function.',
    later: {
      documents: [
        livepatchRst(
          '97-99',
          'A sleeping task is patched if none of the affected functions is on its stack.',
        ),
      ],
    },
    confirmed: true,
  },
  {
    id: 'CHK-2',
    section,
    statement:
      'While a patch is enabled on a function that another patch changes already, a task that sleeps in ' +
      'the previous replacement is not switched.',
    documents: [
      livepatchTxt(
        '111-113',
        'A sleeping task is patched if none of the affected functions is on its stack.',
      ),
      livepatchTxt('389-391', 'Several patches of a function form a list, of which the last is active.'),
    ],
    code: ['kernel/livepatch/transition.c:220-231 (4.14.177)'],
    mainline:
      'The thread keeps 0 until it has left the replacement of the patch below. The original function on ' +
      'a stack does not matter then.',
    later: {
      documents: [
        livepatchRst(
          '97-99',
          'A sleeping task is patched if none of the affected functions is on its stack.',
        ),
        livepatchRst(
          '336-340',
          'Several patches of a function form a list, from which the handler selects.',
        ),
      ],
    },
    confirmed: true,
  },
  {
    id: 'CHK-3',
    section,
    statement:
      'While a patch is disabled, a task that sleeps in one of its replacement functions is not switched.',
    documents: [
      livepatchTxt(
        '111-113',
        'A sleeping task is patched if none of the affected functions is on its stack.',
      ),
      livepatchTxt('101-103', 'In a disable tasks converge from the patched to the unpatched state.'),
      livepatchTxt('324-326', 'When the transition is over, the old code is on no stack and on no CPU.'),
    ],
    code: [
      'kernel/livepatch/transition.c:202-208 (4.14.177)',
      'kernel/livepatch/transition.c:230-231 (4.14.177)',
    ],
    mainline: 'The thread keeps 1 until it has left the replacement.',
    later: {
      documents: [
        livepatchRst(
          '97-99',
          'A sleeping task is patched if none of the affected functions is on its stack.',
        ),
        livepatchRst('86-88', 'In a disable tasks converge from the patched to the unpatched state.'),
        livepatchRst(
          '388-392',
          'Removing a module is safe only when nobody uses its functions, which the end of a transition ' +
          'that was not forced guarantees.',
        ),
      ],
    },
    confirmed: true,
  },
  {
    id: 'CHK-4',
    section,
    statement:
      'A patched function anywhere on the stack blocks the task, also where the task sleeps in a ' +
      'function that it called and that is not patched itself.',
    documents: [
      livepatchTxt(
        '111-113',
        'A sleeping task is patched if none of the affected functions is on its stack.',
      ),
    ],
    code: [
      'kernel/livepatch/transition.c:199-232 (4.14.177)',
      'arch/x86/kernel/stacktrace.c:98-138 (4.14.177)',
      'kernel/trace/trace_functions_graph.c:303-325 (4.14.177)',
      'arch/x86/kernel/unwind_frame.c:268-272 (4.14.177)',
      'arch/x86/kernel/unwind_orc.c:461-463 (5.10.262)',
      'arch/x86/include/asm/unwind.h:107-128 (6.1.192)',
      'arch/arm64/kernel/stacktrace.c:133-159 (7.3.4)',
      'kernel/livepatch/transition.c:254-282 (7.3.4)',
    ],
    mainline:
      'The thread keeps its initial state while the caller is on its stack, also when the function graph ' +
      'tracer follows the callee: every unwinder finds the return address that it has replaced. A ' +
      'kretprobe on the callee replaces it, too. On 4.14 nothing finds that address again: the trampoline ' +
      'of the probe stands in the trace where the caller should, and a task is switched that sleeps below ' +
      'an affected function. On 5.10 ORC knows no way on from the trampoline: the stack is unreliable, and ' +
      'every task that sleeps in such a callee holds the transition, whoever called it (CHK-5). From 5.15 on ' +
      'the address is found, on x86-64 and arm64.',
    deviation: {
      kind: 'contradicts',
      note:
        'With a kretprobe on the callee a task is switched although an affected function is on its ' +
        'stack.',
    },
    later: {
      documents: [
        livepatchRst(
          '97-99',
          'A sleeping task is patched if none of the affected functions is on its stack.',
        ),
        reliableStacks(
          '33-38',
          'A reliable trace has all functions to which the task may return, or else an error says that ' +
          'it is not reliable.',
        ),
        reliableStacks(
          '171-176',
          'Where a trampoline has replaced a return address, the original one is reported in its place, ' +
          'or the trace is unreliable.',
        ),
      ],
    },
    confirmed: true,
  },
  {
    id: 'CHK-5',
    section,
    statement: 'A task whose stack cannot be unwound reliably is not switched by the stack check.',
    documents: [
      livepatchTxt('115-116', 'Stack checking is only there on architectures with reliable stacks.'),
      livepatchTxt('188-190', 'Support needs a way to detect interrupts on the stack.'),
    ],
    code: [
      'arch/x86/kernel/stacktrace.c:26 (4.14.177)',
      'arch/x86/kernel/stacktrace.c:101-110 (4.14.177)',
      'arch/x86/kernel/stacktrace.c:136-137 (4.14.177)',
      'kernel/livepatch/transition.c:253-260 (4.14.177)',
      'kernel/stacktrace.c:85-93 (5.10.262)',
      'arch/x86/kernel/stacktrace.c:43-58 (7.3.4)',
      'arch/arm64/kernel/stacktrace.c:404-405 (7.3.4)',
      'kernel/livepatch/transition.c:264-266 (7.3.4)',
      'kernel/livepatch/transition.c:339-342 (7.3.4)',
    ],
    mainline:
      'It holds the transition, whatever is on its stack. Unreliable is a stack of more than 100 entries, ' +
      'from 5.10 on of 100 or more. With frame pointers, and on arm64, so is one with a fault or an ' +
      'interrupt inside the kernel on it; ORC unwinds those. The debug message is `livepatch: ' +
      'klp_check_stack: comm:pid has an unreliable stack`; from 5.16 on it begins with ' +
      '`klp_try_switch_task:`.',
    later: {
      documents: [
        livepatchRst('101-102', 'Stack checking is only there on architectures with reliable stacks.'),
        reliableStacks('33-38', 'A trace that may lack a function must be reported as unreliable.'),
        reliableStacks(
          '148-150',
          'Unwinding across exceptions must be rejected where it is not known to be reliable.',
        ),
      ],
    },
    confirmed: true,
  },
  {
    id: 'CHK-6',
    section,
    statement: 'A task that is running on a CPU is not switched by the stack check.',
    documents: [
      livepatchTxt('111-112', 'What is checked are the stacks of sleeping tasks.'),
    ],
    code: [
      'kernel/livepatch/transition.c:313-318 (4.14.177)',
      'kernel/livepatch/transition.c:269-273 (6.1.192)',
      'kernel/livepatch/transition.c:288-289 (7.3.4)',
      'kernel/livepatch/transition.c:335-338 (7.3.4)',
    ],
    mainline:
      'It switches in another way, or at a later attempt that finds it off its CPU. Running is, up to 5.15, ' +
      'who is still on a CPU, later who is the current task of one; who makes the attempt is not taken for ' +
      'running. The debug message is `livepatch: klp_try_switch_task: comm:pid is running`.',
    later: {
      documents: [
        livepatchRst('97-98', 'What is checked are the stacks of sleeping tasks.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'CHK-7',
    section,
    statement: 'The kernel says which function blocks a sleeping task.',
    documents: [],
    code: [
      'kernel/livepatch/transition.c:266-273 (4.14.177)',
      'kernel/livepatch/transition.c:337-338 (4.14.177)',
      'kernel/livepatch/transition.c:318-325 (6.1.192)',
      'kernel/livepatch/transition.c:343-346 (7.3.4)',
    ],
    mainline:
      'With dynamic debug on for `klp_try_switch_task`, `livepatch: klp_check_stack: comm:pid is sleeping on ' +
      'function F` is logged at each attempt; from 5.16 on as `klp_try_switch_task: …`. F is the name of the ' +
      'original function, also where a replacement blocks; of several on a stack the one that the patch ' +
      'lists first. Nothing is said of a task that is switched. 4.14 and 5.10 cut the line at 127 characters.',
    later: { documents: [] },
    confirmed: true,
  },
  {
    id: 'CHK-8',
    section,
    statement:
      'The stack check looks for the functions of all loaded objects of the patch, not of vmlinux alone.',
    documents: [
      livepatchTxt(
        '111-113',
        'A sleeping task is patched if none of the affected functions is on its stack.',
      ),
    ],
    code: [
      'kernel/livepatch/transition.c:262-275 (4.14.177)',
      'kernel/livepatch/transition.c:269-279 (7.3.4)',
    ],
    mainline:
      'A task that sleeps in a patched function of a module blocks in the same way as one in a function ' +
      'of vmlinux.',
    later: {
      documents: [
        livepatchRst(
          '97-99',
          'A sleeping task is patched if none of the affected functions is on its stack.',
        ),
      ],
    },
    confirmed: true,
  },
  {
    id: 'CHK-9',
    section,
    statement: 'Functions of an object that is not loaded do not block anything.',
    documents: [
      livepatchTxt(
        '289-291',
        'Functions of a module that is loaded later are patched only when they are there.',
      ),
    ],
    code: ['kernel/livepatch/transition.c:262-264 (4.14.177)'],
    mainline: 'The transition completes as though the patch did not have that object.',
    later: {
      documents: [
        livepatchRst(
          '270-272',
          'A module may be loaded after the patch, and its functions are patched once they are there.',
        ),
      ],
    },
    confirmed: true,
  },
];
