// SPDX-License-Identifier: MIT
import t from 'tap';
import { parseEnabledFunctions, parseKallsyms } from '../../harness/guest/kernel-tables.js';
import { parseLogRecord } from '../../harness/guest/kmsg.js';

void t.test('kallsyms, with the symbols of a livepatch module', (t) => {
  const text = [
    'ffffffff81000000 T _stext',
    'ffffffffc0301000 t f.isra.0\t[target]',
    '0000000000000000 U .klp.sym.vmlinux.printk,0\t[sample]',
    '0000000000000000 ? .klp.sym.vmlinux.printk, 0\t[sample]',
    '',
  ].join('\n');
  const symbols = parseKallsyms(text);
  t.strictSame(symbols, [
    { address: 0xffffffff81000000n, type: 'T', name: '_stext', module: undefined },
    { address: 0xffffffffc0301000n, type: 't', name: 'f.isra.0', module: 'target' },
    { address: 0n, type: 'U', name: '.klp.sym.vmlinux.printk,0', module: 'sample' },
    { address: 0n, type: '?', name: '.klp.sym.vmlinux.printk, 0', module: 'sample' },
  ]);
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
