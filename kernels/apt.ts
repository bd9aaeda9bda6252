// SPDX-License-Identifier: MIT
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import pRetry, { AbortError } from 'p-retry';
import { cached, cacheRoot, digest, noSpace, withLock } from '../harness/cache.js';
import { InfrastructureError, messageOf } from '../harness/errors.js';
import { tryHost, type HostResult } from '../harness/host.js';
import { archiveKeyring, mirrorHint, suiteSources, withoutMirrorNames, type Source } from './mirrors.js';
import type { PackageRecord, Progress } from './types.js';

/** A package as the signed index describes it. */
export interface IndexedPackage extends PackageRecord {
  /** Names in its Pre-Depends and Depends fields, first alternatives only, without versions. */
  readonly depends: readonly string[];
}

/** The mirror no longer has a version that was resolved earlier: resolve anew. */
export class PackageGoneError extends InfrastructureError {
  constructor(readonly gone: PackageRecord) {
    super(`the mirror no longer has ${gone.name} ${gone.version}`, { hint: mirrorHint });
  }
}

/** The mirror could not be reached or served nothing usable; what is in the cache may still do. */
export class MirrorError extends InfrastructureError {}

const listLifetime = 12 * 3600_000;
const minutes = 60_000;

/**
 * A private apt root for one suite, under `<cache>/apt/`: its own sources, lists, state and cache, so nothing of the
 * host is written. The host's `apt.conf.d` stays in force for proxies and certificates; its update hooks do not.
 */
export class AptRoot {
  private constructor(
    readonly suite: string,
    readonly directory: string,
    private readonly sources: readonly Source[],
  ) {}

  /** Makes the root's configuration; asks no mirror. */
  static async open(suite: string): Promise<AptRoot> {
    const sources = await suiteSources(suite);
    const keyring = await archiveKeyring();
    const key = digest(JSON.stringify(sources), keyring).slice(0, 12);
    const root = new AptRoot(suite, join(cacheRoot(), 'apt', `${suite}-${key}`), sources);
    for (const folder of ['lists/partial', 'archives/partial', 'state', 'resolved']) {
      await mkdir(join(root.directory, folder), { recursive: true });
    }
    await writeIfNew(root.path('apt.conf'), root.configuration());
    await writeIfNew(root.path('required.list'), sourcesList(sources.filter((s) => !s.optional), keyring));
    await writeIfNew(root.path('optional.list'), sourcesList(sources.filter((s) => s.optional), keyring));
    return root;
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** Options come last in apt's reading order, so they win over whatever the host configures. */
  private configuration(): string {
    const options: Record<string, string> = {
      'Dir::Etc::sourcelist': this.path('sources.list'),
      'Dir::Etc::sourceparts': '/dev/null',
      'Dir::Etc::preferences': '/dev/null',
      'Dir::Etc::preferencesparts': '/dev/null',
      'Dir::State': this.path('state'),
      'Dir::State::lists': this.path('lists'),
      'Dir::State::status': '/dev/null',
      'Dir::State::extended_states': this.path('state/extended_states'),
      'Dir::Cache': this.directory,
      'Dir::Cache::archives': this.path('archives'),
      'Dir::Cache::pkgcache': 'pkgcache.bin',
      'Dir::Cache::srcpkgcache': 'srcpkgcache.bin',
      'Dir::Log': this.path('state'),
      'APT::Architecture': 'amd64',
      'APT::Sandbox::User': 'root',
      'APT::Get::List-Cleanup': 'false',
      'Acquire::Languages': 'none',
      'Acquire::Retries': '0',
      'Acquire::http::Timeout': '20',
      'Acquire::https::Timeout': '20',
      // A mirror on this host is never behind the host's proxy.
      'Acquire::http::Proxy::127.0.0.1': 'DIRECT',
    };
    return [
      '#clear APT::Architectures;',
      'APT::Architectures { "amd64"; "arm64"; };',
      '#clear APT::Update::Pre-Invoke;',
      '#clear APT::Update::Post-Invoke;',
      '#clear APT::Update::Post-Invoke-Success;',
      ...Object.entries(options).map(([name, value]) => `${name} "${value}";`),
      '',
    ].join('\n');
  }

  private async apt(command: string, args: readonly string[], cwd?: string): Promise<HostResult> {
    return tryHost(command, ['-c', this.path('apt.conf'), ...args], {
      timeout: 20 * minutes,
      ...(cwd === undefined ? {} : { cwd }),
    });
  }

  /**
   * Brings the lists up to date, unless that was done within the last twelve hours.
   * @param force now, whatever their age
   * @throws MirrorError when the mirror does not answer or what it serves is not signed by Debian
   */
  async update(progress: Progress, force = false): Promise<void> {
    await withLock(`apt-${this.directory}`, async () => {
      const stamp = this.path('updated');
      const age = await stat(stamp).then((s) => Date.now() - s.mtimeMs, () => Infinity);
      if (age < listLifetime && !force) return;
      progress(`package index of ${this.suite}: asking the mirror`);
      await pRetry(() => this.updateFrom('required.list'), {
        retries: 2,
        minTimeout: 1000,
        shouldRetry: ({ error }) => error instanceof MirrorError,
        onFailedAttempt: ({ error, retriesLeft }) => {
          if (retriesLeft > 0) progress(`package index of ${this.suite}: ${messageOf(error)}; trying again`);
        },
      });
      let lists = ['required.list'];
      if (this.sources.some((s) => s.optional)) {
        try {
          await this.updateFrom('optional.list');
          lists = [...lists, 'optional.list'];
        } catch (error) {
          if (!(error instanceof MirrorError)) throw error;
          progress(`package index of ${this.suite}: going on without its security and update pockets`);
        }
      }
      const texts = await Promise.all(lists.map((name) => readFile(this.path(name), 'utf8')));
      await writeIfNew(this.path('sources.list'), texts.join(''));
      await writeFile(stamp, '');
      await utimes(stamp, new Date(), new Date());
    });
  }

  private async updateFrom(list: string): Promise<void> {
    const result = await this.apt('apt-get', [
      '-o', `Dir::Etc::sourcelist=${this.path(list)}`, '--error-on=any', 'update',
    ]);
    if (result.exitCode !== 0) throw this.failure(result.all, `the package index of ${this.suite}`);
  }

  /**
   * What apt said, as an error for a person, without the mirror's name.
   * @param wanted completes the sentence "the mirror does not have …"
   */
  failure(said: string, wanted: string): InfrastructureError {
    if (said.includes('No space left on device')) return noSpace();
    const lines = withoutMirrorNames(said, this.sources)
      .split('\n')
      .filter((line) => /^(E:|W:|Err:| {2}\S)/.test(line));
    const text = lines.join('\n');
    const [message, hint] = /Hash Sum mismatch|unexpected size/i.test(text)
      ? [`the mirror served a corrupt file for ${wanted}: hash mismatch with the signed index`,
         'the mirror or a proxy before it is broken; set KLP_DEBIAN_MIRROR to another mirror']
      : /NO_PUBKEY|EXPKEYSIG|BADSIG|is not signed|signatures? (was|were|couldn't)/i.test(text)
        ? [`the signature of ${wanted} could not be verified`, 'is debian-archive-keyring up to date?']
        : /does not have a Release file|\b404\b/i.test(text)
          ? [`the mirror does not have ${wanted}`,
             `${mirrorHint}; releases that are no longer supported are on archive mirrors only`]
          : [`the package mirror did not answer (${wanted})`, mirrorHint];
    return new MirrorError(message, { hint, details: lines.slice(0, 12) });
  }

  /**
   * The newest version of a package in the suite's pockets.
   * @param name package name; a `*` at its end stands for digits and dots, and the newest version among all matches
   *             is taken (`linux-source-7.*`)
   * @param arch Debian's name of the architecture; packages for all architectures are found under any
   * @param version exactly this version instead of the newest
   * @throws InfrastructureError when the suite has no such package
   */
  async find(name: string, arch: string, version?: string): Promise<IndexedPackage> {
    if (version !== undefined) {
      const exact = (await this.every([name], arch)).find((one) => one.version === version);
      if (exact) return exact;
      throw new InfrastructureError(`${this.suite} has no package ${name} ${version} for ${arch}`, { hint: mirrorHint });
    }
    const names = name.endsWith('*') ? await this.matching(name.slice(0, -1)) : [name];
    let best: IndexedPackage | undefined;
    for (const candidate of names) {
      const found = (await this.show(candidate, `:${arch}`)) ?? (await this.show(candidate, ''));
      if (!found || (found.arch !== arch && found.arch !== 'all')) continue;
      if (!best || (await isNewer(found.version, best.version))) best = found;
    }
    if (!best) throw new InfrastructureError(`${this.suite} has no package ${name} for ${arch}`, { hint: mirrorHint });
    return best;
  }

  private async matching(prefix: string): Promise<string[]> {
    const names = await this.names(prefix);
    return names.filter((n) => /^[\d.]+$/.test(n.slice(prefix.length)));
  }

  private async names(prefix: string): Promise<string[]> {
    const { stdout } = await this.apt('apt-cache', ['pkgnames', prefix]);
    return stdout.split('\n').filter((name) => name.startsWith(prefix));
  }

  /** Every version that the suite's pockets have of packages named `<prefix>…` whose whole name `pattern` takes. */
  async list(prefix: string, pattern: Pick<RegExp, 'test'>, arch: string): Promise<IndexedPackage[]> {
    const names = (await this.names(prefix)).filter((name) => pattern.test(name));
    return names.length === 0 ? [] : this.every(names, arch);
  }

  private async every(names: readonly string[], arch: string): Promise<IndexedPackage[]> {
    const asked = names.flatMap((name) => [`${name}:${arch}`, name]);
    const { stdout } = await this.apt('apt-cache', ['show', ...asked]);
    const found = stdout.split(/\n\s*\n/).map(parseStanza).filter((one) => one !== undefined);
    const fitting = found.filter((one) => one.arch === arch || one.arch === 'all');
    return [...new Map(fitting.map((one) => [`${one.name} ${one.version}`, one])).values()];
  }

  private async show(name: string, suffix: string): Promise<IndexedPackage | undefined> {
    const result = await this.apt('apt-cache', ['show', '--no-all-versions', `${name}${suffix}`]);
    return result.exitCode === 0 ? parseStanza(result.stdout) : undefined;
  }

  /**
   * A package's file, kept in the cache by its hash. The hash of what is kept is looked at before every use, and a
   * file that no longer matches is downloaded again.
   * @throws PackageGoneError when the mirror no longer has this version, MirrorError when it serves nothing usable
   */
  async download(record: PackageRecord, progress: Progress): Promise<string> {
    const key = `${record.name}-${record.sha256.slice(0, 32)}`;
    for (const attempt of [1, 2]) {
      const directory = await cached('packages', key, (work) => this.fetchInto(work, record, progress));
      const file = (await readdir(directory)).find((name) => name.endsWith('.deb'));
      if (file !== undefined && (await sha256Of(join(directory, file))) === record.sha256) return join(directory, file);
      if (attempt === 1) {
        progress(`${record.name} ${record.version}: the file in the cache does not match its hash: downloading it again`);
        await rm(directory, { recursive: true, force: true });
      }
    }
    throw new MirrorError(`${record.name} ${record.version}: hash mismatch with the signed index`, { hint: mirrorHint });
  }

  private async fetchInto(work: string, record: PackageRecord, progress: Progress): Promise<void> {
    await this.update(progress);
    progress(`downloading ${record.name} ${record.version}`);
    const suffix = record.arch === 'all' ? '' : `:${record.arch}`;
    await pRetry(
      async () => {
        const result = await this.apt('apt-get', ['download', `${record.name}${suffix}=${record.version}`], work);
        if (result.exitCode === 0) return;
        const error = this.failure(result.all, `${record.name} ${record.version}`);
        if (/was not found|No packages found|Unable to locate|\b404\b/.test(result.all)) {
          throw new AbortError(new PackageGoneError(record));
        }
        if (!(error instanceof MirrorError) || error.message.includes('hash mismatch')) throw new AbortError(error);
        throw error;
      },
      {
        retries: 2,
        minTimeout: 1000,
        onFailedAttempt: ({ error, retriesLeft }) => {
          if (retriesLeft > 0) progress(`${record.name}: ${messageOf(error)}; trying again`);
        },
      },
    );
  }
}

/** Leaves a file with this text alone, for another run may be reading it; replaces one with another text whole. */
async function writeIfNew(file: string, text: string): Promise<void> {
  if ((await readFile(file, 'utf8').catch(() => undefined)) === text) return;
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, text);
  await rename(draft, file);
}

function sourcesList(sources: readonly Source[], keyring: string): string {
  return sources.map((s) => `deb [signed-by=${keyring} target=Packages] ${s.uri} ${s.pocket} main\n`).join('');
}

/** Debian's own order of versions; dpkg knows it. */
export async function isNewer(a: string, b: string): Promise<boolean> {
  return (await tryHost('dpkg', ['--compare-versions', a, 'gt', b], { timeout: minutes })).exitCode === 0;
}

/**
 * One paragraph of a Packages index.
 * @returns undefined when a field that every binary package has is missing
 */
export function parseStanza(text: string): IndexedPackage | undefined {
  const paragraph = text.trimStart().split(/\n\s*\n/)[0] ?? '';
  const field = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, 'm').exec(paragraph)?.[1]?.trim();
  const [name, version, arch, sha256] = ['Package', 'Version', 'Architecture', 'SHA256'].map(field);
  if (name === undefined || version === undefined || arch === undefined || sha256 === undefined) return undefined;
  const depends = [field('Pre-Depends'), field('Depends')]
    .flatMap((text) => text?.split(',') ?? [])
    .map((one) => /^\s*([a-z0-9][a-z0-9.+-]*)/.exec(one)?.[1])
    .filter((one) => one !== undefined);
  return { name, version, arch, sha256, depends };
}

/** Hex SHA-256 of a file. */
export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

