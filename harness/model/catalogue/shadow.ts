// SPDX-License-Identifier: MIT
import { cumulativePatches, shadowVars } from './documents.js';
import type { Clause } from './types.js';

const section = 'shadow';

/** Lines of kernel/livepatch/shadow.c: the same in all versions that were read. */
const code = (lines: string): readonly string[] => [
  `kernel/livepatch/shadow.c:${lines} (5.10.262)`,
  `kernel/livepatch/shadow.c:${lines} (7.3.4)`,
];

/** Shadow variables: shadow-vars.rst; 4.15 and later, with constructors from 4.18 on. */
export const shadow: readonly Clause[] = [
  {
    id: 'SHD-1',
    section,
    statement: '`klp_shadow_get()` gives the data of the variable of an object and an id, and NULL where there is none.',
    documents: [],
    code: code('83-101'),
    mainline: 'Neither the same id of another object nor another id of the same object is given.',
    later: {
      documents: [
        shadowVars('14-18', 'The object is the key, and the id tells several variables of one object apart.'),
        shadowVars('48-49', '`klp_shadow_get()` looks for the pair of object and id.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'SHD-2',
    section,
    statement: '`klp_shadow_alloc()` makes the variable where there is none: zeroed, or as the constructor leaves it.',
    documents: [],
    code: code('123-161'),
    mainline: 'The constructor gets data that are zeroed, and runs once before the variable can be found.',
    later: {
      documents: [
        shadowVars('39-43', 'The variable is zeroed; a constructor can give it another value.'),
        shadowVars('58-62', 'Where the pair does not exist, a variable is allocated, initialised and added.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'SHD-3',
    section,
    statement: '`klp_shadow_alloc()` warns and gives NULL where the object has a variable of that id.',
    documents: [],
    code: code('163-167'),
    mainline:
      'The log says `Duplicate shadow variable <O, I>` with the id in hexadecimal, as a WARN. The variable that ' +
      'is there stays as it is, and the constructor does not run.',
    later: {
      documents: [shadowVars('54-56', 'If the pair exists: WARN, and NULL is returned.')],
    },
    confirmed: true,
  },
  {
    id: 'SHD-4',
    section,
    statement: '`klp_shadow_get_or_alloc()` gives the variable that is there, as it is; where there is none it makes one.',
    documents: [],
    code: code('113-169'),
    mainline: 'For a variable that is there the constructor does not run, and there is no warning.',
    later: {
      documents: [
        shadowVars('67-69', 'If the pair exists, the variable that is there is returned.'),
        shadowVars('71-75', 'Else a variable is allocated, initialised and added.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'SHD-5',
    section,
    statement: 'When several callers ask `klp_shadow_get_or_alloc()` for a new variable at once, one constructor runs and all get the same.',
    documents: [],
    code: code('127-159'),
    mainline:
      'Each of them may allocate, but under `klp_shadow_lock` they look again: what was allocated in vain is thrown ' +
      'away without its constructor having run.',
    later: {
      documents: [
        shadowVars('45-46', 'The constructor is called under a lock, for what can be done only once for a new variable.'),
        shadowVars('197-198', 'A variable is made only if needed; else the one that was already made for the pair is used.'),
      ],
    },
    notes: ['The constructor in the test waits, with interrupts off, until another task has begun to call.'],
    confirmed: true,
  },
  {
    id: 'SHD-6',
    section,
    statement: 'A constructor that fails leaves no variable behind: the call gives NULL and logs an error.',
    documents: [],
    code: code('143-154'),
    mainline:
      'The log says `livepatch: Failed to construct shadow variable <O, I> (E)`, with the id in hexadecimal and the ' +
      'error of the constructor. No destructor runs.',
    later: {
      documents: [],
      deviation: {
        kind: 'undocumented',
        note: '`shadow-vars.rst` does not say that a constructor can fail, nor what comes of it.',
      },
    },
    confirmed: true,
  },
  {
    id: 'SHD-7',
    section,
    statement: '`klp_shadow_free()` takes the variable of an object and an id away, and calls the destructor for it, if it is given one.',
    documents: [],
    code: code('234-271'),
    mainline: 'The destructor runs once, with object and data. Where there is no such variable nothing happens.',
    later: {
      documents: [
        shadowVars('77-83', 'The reference is found and removed; if found, the destructor is called and the variable freed.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'SHD-8',
    section,
    statement: '`klp_shadow_free_all()` takes all variables of an id away, of whichever objects, and calls the destructor for each.',
    documents: [],
    code: code('283-298'),
    mainline: 'Variables of other ids stay. The order of the objects is that of a hash table.',
    later: {
      documents: [
        shadowVars('85-91', 'All references with the id are removed; for each found the destructor is called.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'SHD-9',
    section,
    statement: 'Shadow variables belong to no patch: whichever made one, every other finds it, and can free it.',
    documents: [],
    code: code('38-60'),
    mainline: 'There is one hash table for the whole kernel; a variable does not say who made it.',
    later: {
      documents: [
        shadowVars('11-13', 'There is a global table, from object and id to the data.'),
        shadowVars('26-27', 'It has references to all shadow variables.'),
      ],
    },
    confirmed: true,
  },
  {
    id: 'SHD-10',
    section,
    statement: 'A variable stays when the patch that made it is disabled, replaced or unloaded, until somebody frees it.',
    documents: [],
    code: code('234-271'),
    mainline: 'Nothing in the kernel frees a variable by itself: neither the end of a patch nor that of its module.',
    later: {
      documents: [
        shadowVars('200-202', 'It is for the patch to free a variable, with its object or when it is no longer required.'),
        cumulativePatches('96-99', 'Replacing does nothing with shadow variables: patches pass them on by their own rules.'),
      ],
    },
    confirmed: true,
  },
];
