// SPDX-License-Identifier: MIT
import { PassThrough } from 'node:stream';
import t from 'tap';
import { type GoOnOptions, goOn, unattended } from '../../harness/cli/go-on.js';
import { interruptible } from '../../harness/cli/interrupt.js';

/** A place to wait in, with a terminal or without. */
function place(isTTY: boolean, seconds?: number) {
  const input = Object.assign(new PassThrough(), { isTTY }) as unknown as GoOnOptions['input'] & PassThrough;
  const said: string[] = [];
  const diverted: (() => void)[] = [];
  const options = goOn({
    input,
    say: (line) => said.push(line),
    attended: isTTY,
    interrupts: {
      divert: (handler) => {
        diverted.push(handler);
        return () => diverted.splice(diverted.indexOf(handler), 1);
      },
    },
    ...(seconds === undefined ? {} : { seconds }),
  });
  return { input, said, diverted, wait: (signal = new AbortController().signal) => options.wait(signal) };
}

void t.test('on a terminal: Enter, twice; signals mean what they always mean', async (t) => {
  const { input, said, diverted, wait } = place(true);
  for (let i = 0; i < 2; i++) {
    const waiting = wait();
    t.same(diverted, []);
    input.write('\n');
    await waiting;
    t.ok(input.isPaused(), 'or the process would not end');
  }
  t.strictSame(said, ['  go on    with Enter', '  go on    with Enter']);
});

void t.test('elsewhere: a signal, and there is always an end', async (t) => {
  const { said, diverted, wait } = place(false);
  const waiting = wait();
  t.match(said[0], new RegExp(`kill -INT ${process.pid}, at the latest in ${unattended} s$`));
  diverted[0]?.();
  await waiting;
  t.same(diverted, [], 'the next one is not diverted');
  await place(false, 0.01).wait();
  await place(true, 0.01).wait();
});

void t.test('an interrupted run does not wait', async (t) => {
  const { diverted, wait } = place(false);
  const controller = new AbortController();
  const waiting = wait(controller.signal);
  controller.abort(new Error('interrupted'));
  await t.rejects(waiting, /^interrupted$/);
  t.same(diverted, []);
});

void t.test('a diverted signal ends nothing, the one after it does', async (t) => {
  const { signal, divert, release } = interruptible();
  t.teardown(release);
  // Waiting for a signal keeps no process alive.
  const alive = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(alive));
  const came = new Promise<void>((resolve) => divert(resolve));
  process.kill(process.pid, 'SIGINT');
  await came;
  t.equal(signal.aborted, false);
  const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  divert(() => t.fail('was taken back'))();
  process.kill(process.pid, 'SIGTERM');
  await aborted;
  t.equal(signal.aborted, true);
});
