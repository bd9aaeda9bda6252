// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import t from 'tap';
import { livepatch, target } from '../../harness/model/description.js';
import { factsLike, generationNames } from '../../harness/model/generations.js';
import { lines, literally } from '../../harness/model/operations/types.js';
import { DryKernel, ToldKernel } from '../../harness/runner/dry-run-kernel.js';
import { lineFor } from '../../harness/runner/dry-run-log.js';
import { type DryStep, dryRun } from '../../harness/runner/dry-run.js';
import { scenario } from '../../harness/runner/scenario.js';

void t.test('a line for a pattern', (t) => {
  t.equal(lineFor(/livepatch: 'x': (starting )?patching/), "livepatch: 'x': patching");
  t.equal(lineFor(/^[Ww]arning: .*core\.c \S+ (for|to) \d+$/), 'Warning: core.c x for 1');
  t.throws(() => lineFor(/a(?=b)/), /no line can be made/);
  fc.assert(
    fc.property(fc.string(), (name) => {
      const [line] = lines('ENA-4', `'${literally(name)}': (starting )?patching`);
      t.equal(line && lineFor(line.pattern), `'${name}': patching`);
    }),
  );
  t.end();
});

const lib = target('klp_target');
const one = livepatch('klp_one', { klp_target: ['klp_target_alpha'] });
const two = livepatch('klp_two', { klp_target: ['klp_target_beta'] });

const held = scenario({
  id: 'held',
  title: 'A second patch while the first is held',
  clauses: ['ENA-7', 'CHK-1', 'TRN-7'],
  needs: ['livepatch', 'reliable-stacks'],
  modules: [lib, one, two],
  async run({ load, park, observe }) {
    await load(lib);
    const sleeper = await park(lib.alpha);
    await load(one);
    await observe.settledThreads();
    await observe.transitionEnd(one);
    await load(two);
    await sleeper.release();
    await load(two);
    await observe.call(lib.beta);
  },
});

void t.test('a kernel that is the model rests as far as it can', async (t) => {
  for (const name of generationNames) {
    const steps: DryStep[] = [];
    const { verdict, reason } = await dryRun(held, new DryKernel(factsLike(name)), { onStep: (step) => steps.push(step) });
    t.equal(verdict, 'pass', `${name}: ${reason ?? ''}`);
    const answers = steps.flatMap((step) => (step.kind === 'operation' ? [step.answer.errno] : []));
    t.strictSame(answers, ['OK', 'OK', 'OK', 'EBUSY', 'OK', 'OK'], 'the second load comes when the transition has ended');
    t.match(steps[4], { kind: 'observation', seen: { kind: 'transition-end', ended: false } });
    t.match(steps.at(-1), { seen: { kind: 'call', body: 'klp_two' } });
  }
});

void t.test('a kernel that is told takes another way that is allowed', async (t) => {
  const seen: unknown[] = [];
  const kernel = new ToldKernel(factsLike('6.1'), new Map([[8, 'EBUSY']]));
  const { verdict } = await dryRun(held, kernel, { onStep: (step) => step.kind === 'observation' && seen.push(step.seen) });
  t.equal(verdict, 'pass');
  t.match(seen.at(-1), { kind: 'call', body: 'original' }, 'the transition had not ended yet');
});

void t.test('what a session could not do ends the scenario', async (t) => {
  const tries: readonly (readonly [string, RegExp, Parameters<typeof scenario>[0]['run']])[] = [
    ['api', /klp_one is not described as driven/, ({ api }) => api.enable(one)],
    ['module', /klp_other is none of the scenario's modules/, ({ load }) => load(target('klp_other'))],
    ['absent', /target module klp_target is not loaded/, async ({ park }) => {
      await park(lib.alpha);
    }],
    ['quiet', /cannot park a task in/, async ({ park }) => {
      await park(lib.quiet);
    }],
    ['guest', /no guest, and the scenario asks for its sweep/, async ({ guest }) => {
      await guest.sweep();
    }],
  ];
  for (const [id, pattern, run] of tries) {
    const s = scenario({ id, title: id, clauses: [], needs: [], modules: [lib, one], run });
    t.match(await dryRun(s, new DryKernel(factsLike('7.3'))), { verdict: 'error', reason: pattern }, id);
  }
});

void t.test('facts like those of a generation', (t) => {
  const { capabilities, vmlinuxSymbols } = factsLike('7.3', ['-reliable-stacks', 'kasan']);
  t.ok(capabilities.has('no-reliable-stacks') && capabilities.has('kasan') && !capabilities.has('reliable-stacks'));
  t.notOk(factsLike('7.3', ['no-livepatch']).capabilities.has('livepatch'));
  t.strictSame([vmlinuxSymbols('vfs_read'), vmlinuxSymbols('klp_no_such_function'), vmlinuxSymbols('init_once') > 1], [1, 0, true]);
  t.end();
});
