// SPDX-License-Identifier: MIT
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { scenario } from '../../harness/index.js';
import { scenarioFingerprint } from '../../harness/runner/fingerprint.js';
import { Journal } from '../../harness/runner/journal.js';
import { openPast, pastKernel, whyAgain } from '../../harness/runner/resume.js';
import { claim } from '../../harness/runner/run-claim.js';
import { ending, finished, started, stream } from '../report/runs.js';

function journalIn(directory: string, ...last: readonly ('finished' | 'interrupted')[]): void {
  const journal = new Journal(join(directory, 'journal.ndjson'), 'r');
  journal.emit('run.started', started(['k'], ['a']));
  for (const how of last) journal.emit('run.finished', ending([], [], { interrupted: how === 'interrupted' }));
  journal.close();
}

const own = {
  id: 'own',
  title: 'T',
  clauses: ['TRN-2'],
  needs: [],
  modules: [{ kind: 'target' as const, name: 'klp_t' }],
  run: () => Promise.resolve(),
};

void t.test('a fingerprint covers everything a result depends on', (t) => {
  const of = (change: object, harness = '1.0.0'): string => scenarioFingerprint(scenario({ ...own, ...change }), harness);
  const changes: object[] = [
    { id: 'other' },
    { title: 'U' },
    { clauses: ['TRN-2', 'TRN-1'] },
    { clauses: [{ clause: 'TRN-2', needs: 'livepatch' }] },
    { needs: ['livepatch'] },
    { modules: [{ kind: 'target', name: 'klp_u' }] },
    { splats: [/x/] },
    { splats: [/x/i] },
    { seconds: 3 },
    { run: () => Promise.reject(new Error()) },
  ];
  const all = [of({}), of({}, '1.0.1'), ...changes.map((c) => of(c))];
  t.equal(new Set(all).size, all.length, 'each change changes it');
  t.equal(of({}), of({}));
  t.end();
});

void t.test('which earlier results hold', (t) => {
  const make = stream();
  const acquired = (fingerprint: string): Parameters<typeof make<'kernel.acquired'>>[1] => ({
    kernel: 'k',
    arch: 'arm64',
    origin: 'stock',
    release: '',
    version: '',
    fingerprint,
    packages: [],
    toolchain: '',
    config: '',
  });
  const clauseVerdicts = [{ clause: 'TRN-2', verdict: 'pass' as const }];
  const events = [
    make('run.started', started(['k', 'l'], ['a', 'b', 'c'])),
    make('scenario.finished', finished('k', 'early', 'error', { fingerprint: 'f' })),
    make('kernel.acquired', acquired('kernel 1')),
    make('scenario.finished', finished('k', 'a', 'fail', { fingerprint: 'f', clauseVerdicts, expected: 'known' })),
    make('scenario.finished', finished('k', 'b', 'pass')),
    make('scenario.finished', finished('l', 'c', 'pass', { fingerprint: 'f' })),
    make('clause.judged', { kernel: 'k', clause: 'TRN-2', statement: '', verdict: 'pass', scenarios: [] }),
  ];
  const past = pastKernel(events, 'k');
  t.same([...past.finished.keys()], ['early', 'a', 'b']);
  t.same([...past.judged], [['TRN-2', 'pass']]);
  const why = (s: string, fingerprint = 'f', kernel = 'kernel 1'): string | undefined => {
    const earlier = past.finished.get(s);
    return earlier && whyAgain(earlier, fingerprint, kernel);
  };
  t.equal(why('a'), undefined);
  t.match(past.finished.get('a')?.result, { verdict: 'fail', clauses: clauseVerdicts, expected: true });
  t.match(why('a', 'g'), /the scenario or klp itself has changed/);
  t.match(why('a', 'f', 'kernel 2'), /the kernel is another one/);
  t.match(why('early'), /the kernel could not be had then/);
  t.match(why('b'), /no fingerprint/);

  const resumed = make('kernel.resumed', { kernel: 'k', kept: ['b'], superseded: [{ scenario: 'a', why: 'w' }] });
  const later = pastKernel([...events, resumed], 'k');
  t.same([...later.finished.keys()], ['early', 'b']);
  t.equal(later.judged.size, 0, 'a clause verdict falls with the scenario');
  t.end();
});

void t.test('what there is to resume', async (t) => {
  const nothing = async (directory: string, message: RegExp): Promise<void> => {
    await t.rejects(openPast(directory), { name: 'UsageError', message, exitStatus: 2 });
  };
  await nothing(t.testdir({}), /nothing to resume: there is no run in /);
  await nothing('/nonexistent', /nothing to resume: there is no run in \/nonexistent/);
  await nothing(t.testdir({ 'journal.ndjson': '' }), /was stopped before it began/);
  const done = t.testdir({});
  journalIn(done, 'interrupted', 'finished');
  await nothing(done, /nothing to resume: the run in .* has finished/);
  t.same(readdirSync(done), ['journal.ndjson'], 'the folder is given up again');
  for (const how of [[], ['interrupted']] as const) {
    const directory = t.testdir({});
    journalIn(directory, ...how);
    appendFileSync(join(directory, 'journal.ndjson'), '{"v":1,"se');
    await using past = await openPast(directory);
    t.match(past, { directory, run: 'r', started: { kernels: ['k'] } });
  }
});

void t.test('one process for one run', async (t) => {
  const directory = t.testdir({});
  journalIn(directory);
  // Another process has it, as long as it lives.
  const module = new URL('../../harness/runner/run-claim.js', import.meta.url).href;
  const script = `const { claim } = await import(${JSON.stringify(module)}); await claim(${JSON.stringify(directory)}); console.log('mine'); setInterval(() => {}, 1000);`;
  const holder = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  await t.rejects(openPast(directory), { name: 'UsageError', message: `the run in ${directory} is under way: process ${holder.pid ?? 0} works on it` });
  holder.kill('SIGKILL');
  await once(holder, 'close');
  t.equal(readdirSync(directory).length, 2, 'its claim is still there');
  {
    await using past = await openPast(directory);
    t.equal(past.run, 'r');
    t.equal(readdirSync(directory).length, 2, 'taken over');
  }
  t.same(readdirSync(directory), ['journal.ndjson']);

  // The same pid, but another process: it began at another time.
  writeFileSync(join(directory, `.running-00000000-${process.pid}-1`), '');
  const release = await claim(directory);
  await release();
  t.same(readdirSync(directory), ['journal.ndjson']);
});
