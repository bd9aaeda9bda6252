// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import t from 'tap';
import { ProtocolError } from '../../harness/guest/errors.js';
import { parseLogRecord } from '../../harness/guest/kmsg.js';
import {
  parseEnabledFunctions,
  parseFunctionName,
  parseKallsyms,
  parseLivepatchSymbol,
  parseNumber,
  parsePatches,
  parseStack,
} from '../../harness/guest/parsers.js';
import type { TreeEntry } from '../../harness/guest/protocol.js';

const entry = (name: string, mode?: number): TreeEntry => ({
  name,
  type: mode === undefined ? 'directory' : 'file',
  mode: mode ?? 0o755,
  size: 0n,
  target: '',
});

void t.test('the livepatch folder', (t) => {
  const patches = parsePatches([
    entry(''),
    entry('sample'),
    entry('sample/vmlinux'),
    entry('sample/vmlinux/cmdline_proc_show,1'),
    entry('sample/transition', 0o444),
    entry('sample/enabled', 0o644),
    entry('sample/target'),
    entry('sample/target/patched', 0o444),
    entry('sample/target/f.isra.0,2'),
    entry('empty'),
  ]);
  t.strictSame(patches, [
    { name: 'empty', attributes: [], objects: [] },
    {
      name: 'sample',
      attributes: [
        { name: 'enabled', mode: 0o644 },
        { name: 'transition', mode: 0o444 },
      ],
      objects: [
        {
          name: 'target',
          attributes: [{ name: 'patched', mode: 0o444 }],
          functions: [{ name: 'f.isra.0', sympos: 2, attributes: [] }],
        },
        { name: 'vmlinux', attributes: [], functions: [{ name: 'cmdline_proc_show', sympos: 1, attributes: [] }] },
      ],
    },
  ]);
  t.throws(() => parseFunctionName('power'), { message: '"power" is no function folder of a livepatch' });
  t.end();
});

void t.test('kallsyms, with the symbols of a livepatch module', (t) => {
  const text = [
    'ffffffff81000000 T _stext',
    'ffffffffc0301000 t f.isra.0\t[target]',
    '0000000000000000 U .klp.sym.vmlinux.printk,0\t[sample]',
    '',
  ].join('\n');
  const symbols = parseKallsyms(text);
  t.strictSame(symbols, [
    { address: 0xffffffff81000000n, type: 'T', name: '_stext', module: undefined },
    { address: 0xffffffffc0301000n, type: 't', name: 'f.isra.0', module: 'target' },
    { address: 0n, type: 'U', name: '.klp.sym.vmlinux.printk,0', module: 'sample' },
  ]);
  t.strictSame(parseLivepatchSymbol('.klp.sym.vmlinux.printk,0'), { object: 'vmlinux', symbol: 'printk', sympos: 0 });
  t.strictSame(parseLivepatchSymbol('.klp.sym.target.f.isra.0,12'), { object: 'target', symbol: 'f.isra.0', sympos: 12 });
  for (const name of ['printk', '.klp.sym.vmlinux', '.klp.sym.vmlinux.printk', '.klp.sym..x,0']) {
    t.equal(parseLivepatchSymbol(name), undefined, name);
  }
  t.throws(() => parseKallsyms('nonsense'), { message: 'no line of /proc/kallsyms: "nonsense"' });
  t.end();
});

void t.test('enabled_functions of 4.14 and of later kernels', (t) => {
  const text = [
    'cmdline_proc_show (1) R I  \ttramp: 0xffffffffc0354000 (klp_ftrace_handler+0x0/0x1a0) ->ftrace_ops_assist_func+0x0/0xf0',
    'f.isra.0 [target] (2)   I     ',
    'schedule (1)    ',
    'x (1)     D O \tops: direct',
    '\tdirect-->y+0x0/0x10',
  ].join('\n');
  t.strictSame(
    parseEnabledFunctions(text).map(({ name, module, users, flags }) => [name, module, users, flags]),
    [
      ['cmdline_proc_show', undefined, 1, 'RI'],
      ['f.isra.0', 'target', 2, 'I'],
      ['schedule', undefined, 1, ''],
      ['x', undefined, 1, 'DO'],
    ],
  );
  t.match(parseEnabledFunctions(text)[0]?.detail, /^tramp: .*klp_ftrace_handler/);
  t.end();
});

void t.test('stacks of 4.14 and of later kernels', (t) => {
  const text = '[<ffffffffc0123456>] park+0x10/0x20 [target]\n[<0>] proc_reg_write+0x5a/0xa0\n[<ffffffffffffffff>] 0xffffffffffffffff\n';
  t.strictSame(parseStack(text), [
    { name: 'park', module: 'target' },
    { name: 'proc_reg_write', module: undefined },
  ]);
  t.end();
});

void t.test('numbers', (t) => {
  fc.assert(fc.property(fc.integer(), (n) => parseNumber(`${n}\n`, 'it') === n));
  for (const text of ['', '\n', '1 2\n', 'x', '1\n\n']) t.throws(() => parseNumber(text, 'it'), ProtocolError);
  t.throws(() => parseNumber('on\n', '/sys/x'), { message: '/sys/x reads "on\\n", not a number' });
  t.end();
});

void t.test('log records', (t) => {
  t.strictSame(parseLogRecord("6,339,5140900,-;livepatch: 'x': patching complete\n"), {
    level: 6,
    facility: 0,
    sequence: 339n,
    microseconds: 5140900n,
    text: "livepatch: 'x': patching complete",
    dictionary: {},
  });
  t.strictSame(parseLogRecord('30,7,1,c,caller=T1;a;b\\x5cn=1\\xc3\\xa9\\x0asecond\n SUBSYSTEM=pci\n DEVICE=+pci:1=2\n'), {
    level: 6,
    facility: 3,
    sequence: 7n,
    microseconds: 1n,
    text: 'a;b\\n=1é\nsecond',
    dictionary: { SUBSYSTEM: 'pci', DEVICE: '+pci:1=2' },
  });
  t.throws(() => parseLogRecord('hello'), { message: 'no record of the kernel log: "hello"' });
  t.end();
});
