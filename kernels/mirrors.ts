// SPDX-License-Identifier: MIT
import { access, readFile } from 'node:fs/promises';
import { tryHost } from '../harness/host.js';
import { InfrastructureError } from '../harness/errors.js';

/** One pocket of Debian's archive: a line of sources.list. */
export interface Source {
  readonly uri: string;
  /** Name below `dists/`. */
  readonly pocket: string;
  /** An optional pocket that cannot be had is left out, with a word to the user. */
  readonly optional: boolean;
}

export const mirrorHint = 'check the network, or set KLP_DEBIAN_MIRROR to the URI of a Debian mirror this host reaches';

/**
 * Code name of the host's Debian release, `bookworm` for example.
 * @throws InfrastructureError when /etc/os-release has none
 */
export async function hostSuite(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const suite = /^VERSION_CODENAME="?([a-z0-9]+)"?$/m.exec(text)?.[1];
  if (suite === undefined) {
    throw new InfrastructureError('/etc/os-release names no VERSION_CODENAME: the release of this host is unknown', {
      hint: 'hosts are Debian 12 or later; bring a kernel along with --image and --build-dir',
    });
  }
  return suite;
}

/** Keyring that every index must be signed by. */
export async function archiveKeyring(): Promise<string> {
  for (const suffix of ['gpg', 'pgp']) {
    const file = `/usr/share/keyrings/debian-archive-keyring.${suffix}`;
    if (await access(file).then(() => true, () => false)) return file;
  }
  throw new InfrastructureError('the Debian archive keyring is not installed', {
    hint: 'apt-get install debian-archive-keyring',
  });
}

/**
 * The archives in an output of `apt-get --print-uris update`, in the order of the host's configuration.
 * @returns pairs of archive URI and pocket; other lines are skipped
 */
export function parseHostSources(output: string): { uri: string; pocket: string }[] {
  return [...output.matchAll(/^'(\S+?)\/dists\/(\S+)\/InRelease'/gm)].map((match) => ({
    uri: match[1] ?? '',
    pocket: match[2] ?? '',
  }));
}

/**
 * Which of the host's archives is Debian's own. Third parties may use Debian's code names too, but not the
 * `-updates` and `-backports` pockets beside them, so an archive that has those comes first.
 *
 * @param found as parseHostSources gives it
 * @param suite the host's code name
 */
export function chooseArchives(
  found: readonly { uri: string; pocket: string }[],
  suite: string,
): { main: string | undefined; security: string | undefined } {
  const sameSuite = found.filter((f) => f.pocket === suite || f.pocket === 'stable').map((f) => f.uri);
  const hasSibling = (uri: string): boolean =>
    found.some((f) => f.uri === uri && /^[a-z]+-(updates|backports|proposed-updates)$/.test(f.pocket));
  return {
    main: sameSuite.find(hasSibling) ?? sameSuite[0],
    security: found.find((f) => f.pocket === `${suite}-security` || f.pocket === 'stable-security')?.uri,
  };
}

/**
 * The pockets that make up `suite`: from `$KLP_DEBIAN_MIRROR` when set, else from the host's apt configuration
 * (which is asked for its URIs without a look at its lists, so a host that never ran an update is fine).
 *
 * @param suite a release (`bookworm`: with its updates and security pockets) or a single pocket (`trixie-backports`)
 * @throws InfrastructureError when the host's configuration names no Debian archive
 */
export async function suiteSources(suite: string): Promise<Source[]> {
  const { main, security, chosen } = await archives();
  if (suite.includes('-')) return [{ uri: main, pocket: suite, optional: false }];
  const sources = [
    { uri: main, pocket: suite, optional: false },
    { uri: main, pocket: `${suite}-updates`, optional: chosen },
  ];
  return security === undefined
    ? sources
    : [...sources, { uri: security, pocket: `${suite}-security`, optional: chosen }];
}

async function archives(): Promise<{ main: string; security: string | undefined; chosen: boolean }> {
  const { KLP_DEBIAN_MIRROR: mirror = '' } = process.env;
  if (mirror !== '') {
    const main = mirror.replace(/\/+$/, '');
    return { main, security: `${main}-security`, chosen: true };
  }
  const result = await tryHost('apt-get', ['--print-uris', 'update'], { timeout: 60_000 });
  const { main, security } = chooseArchives(parseHostSources(result.stdout), await hostSuite());
  if (main === undefined) {
    throw new InfrastructureError("the host's apt configuration names no Debian archive", { hint: mirrorHint });
  }
  return { main, security, chosen: false };
}

/** `text` with each source's URI and host name replaced by `<mirror>`: messages name no mirror's host. */
export function withoutMirrorNames(text: string, sources: readonly Source[]): string {
  const names = sources.flatMap(({ uri }) => {
    const host = /^[a-z+]+:\/\/(?:[^/@]*@)?([^/:]+)/.exec(uri)?.[1];
    return host === undefined ? [uri] : [uri, host];
  });
  const longestFirst = [...new Set(names)].sort((a, b) => b.length - a.length);
  return longestFirst.reduce((rest, name) => rest.replaceAll(name, '<mirror>'), text);
}
