// SPDX-License-Identifier: MIT
import { generateKeyPairSync } from 'node:crypto';
import ssh2 from 'ssh2';
import { InfrastructureError } from '../harness/errors.js';

/** The keys of one image: whoever holds `userKey` may log in, and only the guest that holds `hostKeyFile` is believed. */
export interface ImageKeys {
  /** Private key in OpenSSH's format, for ssh2's `privateKey` and ssh's `-i`. */
  readonly userKey: string;
  /** One line for `/root/.ssh/authorized_keys`. */
  readonly authorizedKey: string;
  /** The host's private key in Dropbear's own format. */
  readonly hostKeyFile: Buffer;
  /** The host's public key as it goes over the wire: what a client's host verifier is given. */
  readonly hostKey: Buffer;
}

/** Makes a new pair of ed25519 keys for host and user. */
export function generateKeys(): ImageKeys {
  const user = userKeys();
  const { privateKey } = generateKeyPairSync('ed25519');
  const { d, x } = privateKey.export({ format: 'jwk' });
  if (d === undefined || x === undefined) throw new InfrastructureError('node made an ed25519 key without its numbers');
  const seed = Buffer.from(d, 'base64url');
  const point = Buffer.from(x, 'base64url');
  const type = Buffer.from('ssh-ed25519');
  return {
    userKey: user.private,
    authorizedKey: `${user.public}\n`,
    // Dropbear, ed25519.c, buf_put_ed25519_priv_key: the type, then 32 bytes of seed and 32 of the public point.
    hostKeyFile: Buffer.concat([string(type), string(Buffer.concat([seed, point]))]),
    // RFC 8709, section 4.
    hostKey: Buffer.concat([string(type), string(point)]),
  };
}

/** ssh2's generator drops a zero at the beginning of a number: about one key in 370 can be read by nobody, itself included. */
function userKeys(): { readonly private: string; readonly public: string } {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519', { comment: 'klp' });
    if (!(ssh2.utils.parseKey(pair.private) instanceof Error)) return pair;
  }
}

/** A string of the SSH protocol (RFC 4251, section 5): its length in four bytes, then itself. */
function string(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
