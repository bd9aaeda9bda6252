// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import t from 'tap';
import { conclusionLines, stepLines, trialPage } from '../../harness/report/trial-page.js';
import { type TrialResult, trialSchema, trialVerdicts } from '../../harness/report/trial-schema.js';
import { hostileText } from './runs.js';

const trial: TrialResult = {
  v: 1,
  verdict: 'held',
  reasons: ['the transition of klp_a to patched does not end'],
  harness: '0.1.0',
  begun: '2026-11-24T04:00:00.000Z',
  repeat: 'npx klp try klp_a.ko --kernel k',
  kernel: { name: 'k', release: '6.1.0', version: '6.1-1', arch: 'x86_64', accel: 'tcg', qemu: 'QEMU 7.2' },
  modules: [{ name: 'klp_a', file: 'klp_a.ko', sha256: 'ab', role: 'patch' }],
  lint: ['klp_a.ko: warning KLP012: odd'],
  steps: [
    { at: 1234, took: 5, what: 'insmod klp_a', outcome: 'OK', ok: true, lines: [] },
    { at: 2000, took: 9, what: 'transition of klp_a to patched', outcome: 'held', ok: false, lines: ['klp_a is being patched'] },
  ],
  transitions: [
    {
      what: 'insmod klp_a',
      patch: 'klp_a',
      to: 'patched',
      ended: null,
      threads: [
        { pid: 1, tid: 1, comm: 'init', switched: 12 },
        { pid: 9, tid: 9, comm: 'sleeper', switched: null },
      ],
      gap: 25,
    },
  ],
  sysfs: [{ when: 'with klp_a in place', lines: ['klp_a/', 'klp_a/enabled: 1'] }],
  taint: { before: [], after: ['K: a livepatch'] },
  log: ["livepatch: 'klp_a': starting patching transition"],
};

void t.test('everything is on the page', (t) => {
  const page = trialPage(trialSchema.parse(trial));
  t.match(page, /^# klp\\_a: has a transition that does not end$/m);
  t.match(page, /^- the transition of klp\\_a to patched does not end$/m);
  t.ok(page.includes('! ') && page.includes('   2.0 s  transition of klp_a to patched: held'), page);
  t.match(page, /insmod klp\\_a: its end was not seen; 2 threads seen on the old side first; at most 25 ms between two looks\./);
  const rows = page.split('\n').filter((line) => /^\| \d/.test(line));
  t.strictSame(rows, ['| 9 | 9 | sleeper | never seen |', '| 1 | 1 | init | 12 ms |'], 'who never switched comes first');
  t.match(page, /with klp\\_a in place:\n\n```\nklp_a\/\nklp_a\/enabled: 1\n```/);
  t.match(page, /taints after \| K: a livepatch/);
  t.match(page, /## Kernel log\n\n```\nlivepatch: 'klp_a': starting patching transition\n```/);
  t.end();
});

void t.test('on a terminal: what went wrong is marked, and what came of it stands below', (t) => {
  t.strictSame(trial.steps.flatMap(stepLines), [
    '     1.2 s  insmod klp_a: OK',
    '!    2.0 s  transition of klp_a to patched: held',
    '             klp_a is being patched',
  ]);
  t.strictSame(conclusionLines(trial), ['klp_a on k (6.1.0): has a transition that does not end', '  the transition of klp_a to patched does not end']);
  const conclusions = trialVerdicts.map((verdict) => conclusionLines({ ...trial, verdict, reasons: [] })[0]);
  t.equal(new Set(conclusions).size, trialVerdicts.length, 'each in words of its own');
  t.end();
});

void t.test('whatever modules, guests and commands say stays text', (t) => {
  fc.assert(
    fc.property(fc.oneof(hostileText, fc.constantFrom('```', '`````', '# heading', '<b>', '| cell |')), (text) => {
      const page = trialPage({
        ...trial,
        reasons: [text],
        repeat: text,
        modules: [{ name: text, file: text, sha256: 'ab', role: 'patch' }],
        lint: [text],
        steps: [{ at: 0, took: 0, what: text, outcome: text, ok: true, lines: [text] }],
        transitions: trial.transitions.map((x) => ({ ...x, what: text, patch: text, threads: [{ pid: 1, tid: 1, comm: text, switched: 1 }] })),
        sysfs: [{ when: text, lines: [text] }],
        taint: { before: [text], after: [text] },
        log: [text],
      });
      const lines = page.split('\n');
      // Outside of the blocks no line is a heading but ours, none is HTML, and every block that opens is shut.
      let fence = '';
      const outside: string[] = [];
      for (const line of lines) {
        const marks = /^`{3,}$/.exec(line)?.[0];
        if (fence === '' && marks !== undefined) fence = marks;
        else if (fence !== '' && marks === fence) fence = '';
        else if (fence === '') outside.push(line);
      }
      // eslint-disable-next-line no-control-regex -- control characters are what this is about
      const plain = !/[\x00-\x09\x0b-\x1f\x7f-\x9f]/.test(page);
      return plain && fence === '' && outside.filter((line) => line.startsWith('#')).length === 7 && !outside.some((line) => /(?<!\\)</.test(line));
    }),
  );
  t.end();
});
