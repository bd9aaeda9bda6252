// SPDX-License-Identifier: MIT
import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import t from 'tap';
import { Port } from '../../harness/vm/port.js';

/** Both ends of a stream, as QEMU and we have them. */
async function pair(): Promise<[Socket, Socket]> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const ours = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [theirs] = (await once(server, 'connection')) as [Socket];
  server.close();
  t.teardown(() => [ours, theirs].forEach((s) => s.destroy()));
  return [ours, theirs];
}

const [ours, theirs] = await pair();
const port = new Port(ours);

await t.test('a channel goes both ways', async (t) => {
  const channel = port.channel();
  channel.write('there');
  t.equal(String((await once(theirs, 'data'))[0]), 'there');
  theirs.write('back');
  t.equal(String((await once(channel, 'data'))[0]), 'back');
});

await t.test('a new channel closes the one before; what nobody read is the next one’s', async (t) => {
  const first = port.channel();
  const closed = once(first, 'close');
  first.destroy();
  await closed;
  theirs.write('for nobody');
  const second = port.channel();
  t.equal(String((await once(second, 'data'))[0]), 'for nobody');
  const over = once(second, 'close');
  const third = port.channel();
  await over;
  second.on('error', () => undefined);
  third.write('from the third');
  t.equal(String((await once(theirs, 'data'))[0]), 'from the third');
});

await t.test('the end of QEMU ends the channel, and those asked for later', async (t) => {
  const channel = port.channel();
  const closed = once(channel, 'close');
  theirs.destroy();
  await closed;
  t.ok(port.channel().destroyed);
});
