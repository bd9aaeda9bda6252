// SPDX-License-Identifier: MIT
import fc from 'fast-check';
import t from 'tap';
import { parseStanza } from '../../kernels/apt.js';
import { chooseArchives, parseHostSources, suiteSources, withoutMirrorNames } from '../../kernels/mirrors.js';

await t.test("reads the archives out of apt's own list of URIs", (t) => {
  const output = [
    "'http://mirror.example/debian/dists/sid/InRelease' mirror.example_debian_dists_sid_InRelease 0 ",
    "'https://u:p@third.example/apt/dists/bookworm/InRelease' x 0 ",
    "'mirror+file:/etc/apt/mirrors.list/dists/bookworm-security/InRelease' x 0 ",
    "'http://mirror.example/debian/dists/sid/main/binary-amd64/Packages.xz' x 0 ",
    'Hit:1 something',
  ].join('\n');
  t.strictSame(parseHostSources(output), [
    { uri: 'http://mirror.example/debian', pocket: 'sid' },
    { uri: 'https://u:p@third.example/apt', pocket: 'bookworm' },
    { uri: 'mirror+file:/etc/apt/mirrors.list', pocket: 'bookworm-security' },
  ]);
  t.end();
});

await t.test("prefers the archive that has Debian's other pockets to a third party's", (t) => {
  const third = { uri: 'http://third.example/debian', pocket: 'bookworm' };
  const main = { uri: 'http://mirror.example/debian', pocket: 'bookworm' };
  const updates = { ...main, pocket: 'bookworm-updates' };
  const security = { uri: 'http://mirror.example/security', pocket: 'bookworm-security' };
  t.strictSame(chooseArchives([third, main, updates, security], 'bookworm'), {
    main: main.uri,
    security: security.uri,
  });
  t.strictSame(chooseArchives([third], 'bookworm'), { main: third.uri, security: undefined });
  t.strictSame(chooseArchives([third], 'trixie'), { main: undefined, security: undefined });
  t.end();
});

await t.test('KLP_DEBIAN_MIRROR replaces the archive, and its other pockets are optional', async (t) => {
  const { KLP_DEBIAN_MIRROR: before } = process.env;
  t.teardown(() => {
    if (before === undefined) delete process.env.KLP_DEBIAN_MIRROR;
    else process.env.KLP_DEBIAN_MIRROR = before;
  });
  process.env.KLP_DEBIAN_MIRROR = 'http://lab.example/debian/';
  t.strictSame(await suiteSources('bookworm'), [
    { uri: 'http://lab.example/debian', pocket: 'bookworm', optional: false },
    { uri: 'http://lab.example/debian', pocket: 'bookworm-updates', optional: true },
    { uri: 'http://lab.example/debian-security', pocket: 'bookworm-security', optional: true },
  ]);
  t.strictSame(await suiteSources('trixie-backports'), [
    { uri: 'http://lab.example/debian', pocket: 'trixie-backports', optional: false },
  ]);
});

await t.test('no message keeps the name of a mirror', (t) => {
  const label = fc.stringMatching(/^[a-z][a-z0-9-]{2,12}$/);
  const name = fc.tuple(label, label).map(([a, b]) => `${a}.${b}.example`);
  const uri = fc
    .tuple(fc.constantFrom('http://', 'https://', 'http://u:p@'), name, fc.constantFrom('', ':8080'), label)
    .map(([scheme, host, port, path]) => ({ host, uri: `${scheme}${host}${port}/${path}` }));
  fc.assert(
    fc.property(fc.array(uri, { minLength: 1, maxLength: 3 }), (mirrors) => {
      const sources = mirrors.map((m) => ({ uri: m.uri, pocket: 'p', optional: false }));
      const text = mirrors.map((m) => `E: Failed to fetch ${m.uri}/dists/p Could not resolve '${m.host}'`).join('\n');
      const clean = withoutMirrorNames(text, sources);
      return mirrors.every((m) => !clean.includes(m.host)) && clean.includes("Could not resolve '<mirror>'");
    }),
  );
  t.end();
});

await t.test('reads a paragraph of an index', (t) => {
  const stanza = [
    'Package: linux-image-amd64',
    'Version: 6.1.1-1',
    'Architecture: amd64',
    'Depends: linux-image-6.1.0-1-amd64 (= 6.1.1-1), kmod | busybox, libc6:any (>= 2)',
    'SHA256: 00ff',
    'Description: x',
    ' Version: not this',
    '',
    'Package: another',
  ].join('\n');
  t.strictSame(parseStanza(stanza), {
    name: 'linux-image-amd64',
    version: '6.1.1-1',
    arch: 'amd64',
    sha256: '00ff',
    depends: ['linux-image-6.1.0-1-amd64', 'kmod', 'libc6'],
  });
  t.equal(parseStanza('Package: virtual\n'), undefined);
  t.equal(parseStanza(''), undefined);
  t.end();
});
