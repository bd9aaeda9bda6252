// SPDX-License-Identifier: MIT
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import ssh2 from 'ssh2';
import t from 'tap';
import { generateKeys } from '../../images/keys.js';

/** The strings of an SSH blob. */
function strings(blob: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < blob.length; ) {
    const length = blob.readUInt32BE(at);
    found.push(blob.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return found;
}

void t.test('the user key is one ssh2 can read, and fits its line of authorized_keys', (t) => {
  const keys = generateKeys();
  const user = ssh2.utils.parseKey(keys.userKey);
  if (user instanceof Error) throw user;
  t.equal(user.type, 'ssh-ed25519');
  const [type, blob] = keys.authorizedKey.split(' ');
  t.equal(type, 'ssh-ed25519');
  t.equal(blob, user.getPublicSSH().toString('base64'));
  t.ok(keys.authorizedKey.endsWith('\n'));
  t.end();
});

void t.test('of many keys each can be read', (t) => {
  const unreadable = Array.from({ length: 2500 }, generateKeys).filter(
    ({ userKey, authorizedKey }) =>
      ssh2.utils.parseKey(userKey) instanceof Error || ssh2.utils.parseKey(authorizedKey) instanceof Error,
  );
  t.same(unreadable, []);
  t.end();
});

void t.test("the host key is in Dropbear's format, and its halves belong together", (t) => {
  const { hostKey, hostKeyFile } = generateKeys();
  const [type, pair = Buffer.alloc(0)] = strings(hostKeyFile);
  t.equal(type?.toString(), 'ssh-ed25519');
  t.equal(pair.length, 64);
  const [publicType, point] = strings(hostKey);
  t.equal(publicType?.toString(), 'ssh-ed25519');
  t.same(point, pair.subarray(32));
  const jwk = {
    kty: 'OKP',
    crv: 'Ed25519',
    d: pair.subarray(0, 32).toString('base64url'),
    x: pair.subarray(32).toString('base64url'),
  };
  const privateKey = createPrivateKey({ key: jwk, format: 'jwk' });
  const publicKey = createPublicKey({ key: { kty: jwk.kty, crv: jwk.crv, x: jwk.x }, format: 'jwk' });
  const text = Buffer.from('x');
  t.ok(verify(null, text, publicKey, sign(null, text, privateKey)));
  t.end();
});

void t.test('no two images share a key', (t) => {
  const [a, b] = [generateKeys(), generateKeys()];
  t.not(a.userKey, b.userKey);
  t.not(a.authorizedKey, b.authorizedKey);
  t.notOk(a.hostKey.equals(b.hostKey));
  t.end();
});
