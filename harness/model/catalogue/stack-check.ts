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
      'kernel/livepatch/transition.c:254-282 (7.3.4)',
    ],
    mainline:
      'The thread keeps its initial state while the caller is on its stack, also when the function graph ' +
      'tracer follows the callee. With a kretprobe there instead, the frame-pointer unwinder of 4.14 ' +
      "sees the probe's trampoline where the address in the caller should be: it recovers return " +
      'addresses replaced by the graph tracer only, so that the caller may go unseen and the task be ' +
      'switched.',
    deviation: {
      kind: 'contradicts',
      note:
        'With a kretprobe on the callee a task may be switched although an affected function is on its ' +
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
    notes: [
      'The behaviour with a kretprobe was concluded from the source of 4.14; it is to be confirmed on ' +
      'each generation.',
    ],
    confirmed: false,
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
      'arch/x86/kernel/stacktrace.c:101-110 (4.14.177)',
      'arch/x86/kernel/stacktrace.c:136-137 (4.14.177)',
      'kernel/livepatch/transition.c:253-260 (4.14.177)',
      'kernel/livepatch/transition.c:264-266 (7.3.4)',
      'kernel/livepatch/transition.c:339-342 (7.3.4)',
    ],
    mainline:
      'Under the frame-pointer unwinder that is a task which took a fault or was preempted inside the ' +
      'kernel, or which has more than 100 frames. The debug message is `livepatch: klp_check_stack: ' +
      'comm:pid has an unreliable stack`; on 7.3 it begins with `klp_try_switch_task:`.',
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
      'kernel/livepatch/transition.c:288-289 (7.3.4)',
      'kernel/livepatch/transition.c:335-338 (7.3.4)',
    ],
    mainline:
      'It switches in another way, or at a later attempt. The debug message is `livepatch: ' +
      'klp_try_switch_task: comm:pid is running`.',
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
      'kernel/livepatch/transition.c:343-346 (7.3.4)',
    ],
    mainline:
      'With dynamic debug on for `klp_try_switch_task`, 4.14 logs `livepatch: klp_check_stack: comm:pid ' +
      'is sleeping on function F` at each attempt; 7.3 logs it as `klp_try_switch_task: …`. F is the ' +
      'name of the original function, also where a replacement blocks.',
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
    code: ['kernel/livepatch/transition.c:262-275 (4.14.177)'],
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
