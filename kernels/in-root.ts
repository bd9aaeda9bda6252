// SPDX-License-Identifier: MIT
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { InfrastructureError } from '../harness/errors.js';
import { commandLine, lastLines, scrubbedEnvironment, tryHost, type HostOptions, type HostResult } from '../harness/host.js';
import { tiedToUs } from '../harness/vm/qemu.js';

/** Exit status of {@link enter} when it did not come to the command. */
const notEntered = 121;

/**
 * Run by sh in namespaces of its own: $1 is the root, beside which is an empty folder `mount`, $2 the folder to start
 * in; then come the folders to bind, `--` and the command. Whatever is written outside of the bound folders goes to a
 * tmpfs and is gone with the command, so the mount points are made there and not in the cached root. All mounts end
 * with the namespace.
 */
const enter = `
set -eu
trap 'exit ${notEntered}' EXIT
root=$1 start=$2
shift 2
cd -- "$root/../mount"
mount -t tmpfs -o mode=755 tmpfs "$PWD"
cd -- "$PWD"
mkdir lower upper work all
mount --bind -- "$root" lower
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay all
cd all
mkdir -p proc dev tmp
mount -t proc proc proc 2>/dev/null || mount --rbind /proc proc
mount --rbind /dev dev
while [ "$1" != -- ]; do
  mkdir -p -- ".$1"
  mount --rbind -- "$1" ".$1"
  shift
done
shift
exec chroot . /usr/bin/env -C "$start" "$@"
`;

const hint =
  'run klp as root, or allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, ' +
  'kernel.apparmor_restrict_unprivileged_userns; in a container: its seccomp profile)';

/** `unshare` with what this user needs to mount: root a mount namespace, others a user namespace around it. */
function unshare(): readonly string[] {
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  return [...user, '--mount', '--pid', '--fork', '--kill-child'];
}

/**
 * Looks whether this user may enter a private root, before one is made.
 * @throws InfrastructureError saying what to do when not
 */
export async function requireNamespaces(): Promise<void> {
  const result = await tryHost('unshare', [...unshare(), 'mount', '-t', 'tmpfs', 'tmpfs', '/tmp'], { timeout: 30_000 });
  if (result.exitCode === 0) return;
  throw new InfrastructureError('the toolchain of another Debian release runs in a private root, and this user may make none', {
    hint,
    details: lastLines(result.all, 5),
  });
}

/**
 * Runs a command in a private root, in namespaces of its own: it sees the root's files, the host's `/dev`, and
 * `folders`. It ends when klp does, with all that it started.
 *
 * @param root    folder with a root file system, which is left as it is; beside it is an empty folder `mount`
 * @param folders absolute paths on the host, which have the same paths inside and may be written
 * @returns as tryHost does, whatever the exit status
 * @throws InfrastructureError when the root cannot be entered, or its time is up; the signal's reason
 */
export async function runInRoot(
  root: string,
  command: string,
  args: readonly string[],
  folders: readonly string[],
  options: HostOptions = {},
): Promise<HostResult> {
  const { cwd = '/', ...rest } = options;
  const inside = ['sh', '-c', enter, 'sh', root, cwd, ...folders, '--', ...commandLine(command, args, options)];
  const tied = tiedToUs('unshare', [...unshare(), '--', ...inside]);
  const env = { ...rest.env, PATH: '/usr/sbin:/usr/bin:/sbin:/bin', TMPDIR: '/tmp' };
  const result = await runTied(command, tied, { ...rest, env });
  if (result.exitCode !== notEntered && !/^unshare: /m.test(result.stderr)) return result;
  throw new InfrastructureError(`the private root ${root} cannot be entered`, { hint, details: lastLines(result.all, 5) });
}

/**
 * tryHost for a command of {@link tiedToUs}: no shell between it and us, or it would be tied to that one. It is ended
 * with SIGKILL: `unshare` and what is process 1 in its namespace need not heed another signal.
 */
async function runTied(
  what: string,
  { command, args }: { command: string; args: string[] },
  options: HostOptions,
): Promise<HostResult> {
  const { signal, timeout, input, onLine } = options;
  signal?.throwIfAborted();
  const child = spawn(command, args, { env: scrubbedEnvironment(options.env), stdio: 'pipe' });
  const said = { stdout: '', stderr: '', all: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      said[name] += text;
      said.all += text;
    });
    if (onLine) createInterface({ input: child[name] }).on('line', onLine);
  }
  // One that ends without reading it is no failure of ours.
  child.stdin.on('error', () => undefined).end(input ?? '');
  const end = (): void => void child.kill('SIGKILL');
  const timer = timeout === undefined ? undefined : setTimeout(end, timeout);
  signal?.addEventListener('abort', end, { once: true });
  try {
    const [exitCode, by] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    if (exitCode !== null) return { exitCode, ...said };
    signal?.throwIfAborted();
    throw new InfrastructureError(`${what} was ended by ${by ?? 'a signal'}`, {
      details: lastLines(said.all, 10),
    });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', end);
  }
}
