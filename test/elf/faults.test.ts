// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import t from 'tap';
import {
  LivepatchError,
  behaviourOf,
  disagreements,
  expectedBehaviour,
  explained,
  faultIds,
  faults,
  lint,
  lintGenerations,
  lintMachines,
  predict,
  readObject,
  ruleOf,
  writeObject,
  type Fault,
  type FaultId,
  type KernelTables,
  type LintMachine,
} from '../../harness/elf/index.js';
import { anyObject, soundModule } from './build.js';

/** A kernel that has what the sound module names, and `init_once` several times. */
const kernel: KernelTables = {
  release: 'any',
  vermagic: 'any',
  hasObject: (object) => ['vmlinux', 'm'].includes(object),
  count: (object, symbol) =>
    object === 'm' ? Number(symbol === 'of_module') : object === 'vmlinux' ? ({ hidden: 1, hidden_too: 3, init_once: 6 }[symbol] ?? 0) : undefined,
};

const inputs: Readonly<Record<LintMachine, Uint8Array>> = { x86_64: soundModule(), arm64: soundModule({ machine: 183 }) };

const plain: typeof inputs = { x86_64: soundModule({ livepatch: false }), arm64: soundModule({ machine: 183, livepatch: false }) };

/** EF-52 is for a module that is no livepatch; all others for one. */
function broken(id: FaultId, machine: LintMachine): Uint8Array | undefined {
  try {
    return writeObject(faults[id].apply(readObject(id === 'EF-52' ? plain[machine] : inputs[machine])));
  } catch (error) {
    if (error instanceof LivepatchError && error.kind === 'fault-inapplicable') return undefined;
    throw error;
  }
}

/** Faults that a machine does not have. */
const onlyX86: readonly FaultId[] = ['EF-33', 'EF-34', 'EF-35'];

/** Those that take the symbols of a kernel to see. */
const withTables: readonly FaultId[] = ['EF-22', 'EF-23', 'EF-24', 'EF-25', 'EF-48'];

void t.test('every row of the table of malformed modules has a fault', (t) => {
  const rows = new Set(faultIds.map((id) => Number(id.slice(3, 5))));
  t.strictSame([...rows].sort((a, b) => a - b), Array.from({ length: 54 }, (_, i) => i + 1), '54 is one that was found on a kernel');
  t.end();
});

void t.test('the lint names the rule of the fault, and no other', (t) => {
  for (const machine of lintMachines) {
    t.strictSame(lint(inputs[machine], { kernel }).findings, [], `${machine}: nothing on the sound module`);
    t.strictSame(lint(plain[machine], { kernel }).findings, [], `${machine}: nor on an ordinary one`);
    for (const id of faultIds) {
      const bytes = broken(id, machine);
      if (!bytes) {
        t.ok(machine === 'arm64' && onlyX86.includes(id), `${id} can be made for ${machine}`);
        continue;
      }
      const fault: Fault = faults[id];
      const tables = withTables.includes(id) ? kernel : undefined;
      const found = new Set(lint(bytes, { kernel: tables, generations: lintGenerations }).findings.map(({ code }) => code));
      const tells = machine === 'x86_64' || fault.arm64?.['4.14'].ending !== 'sound';
      t.strictSame([...found].sort(), tells ? [...fault.rules].sort() : [], `${id} for ${machine}: ${fault.title}`);
    }
  }
  t.end();
});

void t.test('a lint error means that a kernel refuses, misbehaves or ignores, and the other way round', (t) => {
  for (const tables of [undefined, kernel]) {
    const table = { 'error, bad': 0, 'error, good': 0, 'clean, bad': 0, 'clean, good': 0 };
    const odd = new Set<FaultId>();
    for (const machine of lintMachines) {
      for (const id of faultIds) {
        const bytes = broken(id, machine);
        if (!bytes) continue;
        for (const generation of lintGenerations) {
          const { findings } = lint(bytes, { kernel: tables, generations: [generation] });
          const error = findings.some(({ severity }) => severity === 'error');
          const { harmless }: Fault = faults[id];
          const { outcome, also } = predict(id, generation, machine);
          const bad = [outcome, ...also].every((o) => expectedBehaviour(o, harmless) !== 'works');
          table[`${error ? 'error' : 'clean'}, ${bad ? 'bad' : 'good'}`]++;
          if (error !== bad) odd.add(id);
        }
      }
    }
    t.comment(`${tables ? 'with' : 'without'} the symbols of a kernel: ${JSON.stringify(table)}`);
    const expected = faultIds.filter((id) => id in explained || (!tables && withTables.includes(id)));
    t.strictSame([...odd].sort(), expected, 'those that are explained, and no others');
  }
  t.end();
});

void t.test('predictions: errno, log, taint and what remains', (t) => {
  t.strictSame(predict('EF-01', '4.14', 'x86_64'), {
    outcome: { ending: 'refused', errno: 'EINVAL', log: 'module * is not marked as a livepatch module' },
    also: [],
    tainted: false,
    remains: 'nothing',
  });
  t.match(predict('EF-10', '7.3', 'x86_64'), { outcome: { ending: 'ignored' }, tainted: true, remains: 'module and patch' });
  t.match(predict('EF-18', '6.1', 'arm64'), { outcome: { errno: 'EINVAL' }, tainted: true, remains: 'nothing' });
  t.match(predict('EF-44', '4.14', 'x86_64'), { outcome: { ending: 'ignored' }, tainted: true });
  t.match(predict('EF-44', '7.3', 'x86_64'), { outcome: { errno: 'ENOEXEC' }, tainted: false });
  t.match(predict('EF-05', '4.14', 'x86_64'), { outcome: { ending: 'crashes' }, tainted: undefined, remains: undefined });
  t.match(predict('EF-05', '7.3', 'x86_64'), { outcome: { ending: 'loads' } });
  t.match(predict('EF-33', '4.14', 'x86_64'), { outcome: { errno: 'ENOEXEC' } });
  t.match(predict('EF-33', '5.10', 'x86_64'), { outcome: { ending: 'sound' } });
  t.match(predict('EF-31', '7.3', 'arm64'), { outcome: { ending: 'sound' } });
  for (const id of faultIds) for (const code of faults[id].rules) t.ok(ruleOf(code), id);
  t.end();
});

void t.test('what was seen is compared with errno, log, taint and what remains', (t) => {
  const prediction = predict('EF-18', '6.1', 'x86_64');
  const seen = { behaviour: 'refused', errno: 'EINVAL', log: ['livepatch: symbol .klp.sym.x has an incorrectly formatted name'], tainted: true, remains: [], references: [] } as const;
  t.strictSame(disagreements(prediction, seen), []);
  const wrongly = [
    { ...seen, errno: 'ENOEXEC' },
    { ...seen, log: ['livepatch: something else'] },
    { ...seen, tainted: false },
    { ...seen, remains: ['module'] },
    { ...seen, behaviour: 'crashes' as const },
    { ...seen, behaviour: 'works' as const, remains: ['module', 'patch'] },
  ];
  for (const one of wrongly) t.not(disagreements(prediction, one).length, 0, JSON.stringify(one));
  t.match(disagreements(prediction, { ...seen, errno: 'ENOEXEC' }), [/^allowed: refused: EINVAL, .*; seen: refused: ENOEXEC, "livepatch: symbol .klp.sym.x has/]);

  const crashed = { behaviour: 'crashes', log: ['Oops'], remains: [], references: [] } as const;
  t.strictSame(disagreements(predict('EF-29', '7.3', 'arm64'), crashed), []);
  t.strictSame(disagreements(predict('EF-51', '7.3', 'arm64'), { ...crashed, behaviour: 'works' }), [], 'memory that was freed may still be there');
  t.not(disagreements(predict('EF-29', '7.3', 'arm64'), { ...crashed, behaviour: 'works' }).length, 0);

  const ofReferences = (...holds: ('right' | 'nothing' | 'wrong')[]): string => behaviourOf(holds.map((h) => ({ name: 'r', holds: h, text: h })));
  t.equal(ofReferences('right', 'right'), 'works');
  t.equal(ofReferences('right', 'nothing'), 'ignored');
  t.equal(ofReferences('nothing', 'wrong', 'right'), 'wrong');
  t.end();
});

void t.test('every fault has one prediction for every kernel, and a crash alone has others', (t) => {
  for (const id of faultIds) {
    for (const generation of lintGenerations) {
      for (const machine of lintMachines) {
        const { outcome, also, tainted, remains } = predict(id, generation, machine);
        const crash = outcome.ending === 'crashes';
        t.equal(tainted === undefined, crash, `${id}, ${generation}, ${machine}`);
        t.equal(remains === undefined, crash);
        if (!crash) t.strictSame(also, []);
        t.equal(outcome.errno !== undefined, outcome.ending === 'refused');
      }
    }
  }
  t.end();
});

void t.test('a fault in any object whatever: an object that can be written, or a fault that does not apply', (t) => {
  fc.assert(
    fc.property(anyObject, fc.constantFrom(...faultIds), (bytes, id) => {
      try {
        writeObject(faults[id].apply(readObject(bytes)));
      } catch (error) {
        if (!(error instanceof LivepatchError)) throw error;
      }
    }),
  );
  t.end();
});
