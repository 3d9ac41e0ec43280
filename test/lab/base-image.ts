/**
 * The Debian image that the node image and the product image start from: the official one where it
 * can be pulled, else one made with debootstrap from the mirror that this machine itself uses.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { docker, dockerEnv, tryDocker, type Docker } from './docker';
import { installPackages, isRoot, stateDir } from './host-docker';
import { withLock } from './lock';
import { note, step } from './progress';
import { attempt, hasProgram, LabError, pipe, run } from './shell';

const release = 'trixie';
const official = `debian:${release}-slim`;
const own = `pgswarm-base:${release}`;
const pullMaxMs = 60_000;
const reachMaxMs = 10_000;

/** Makes sure that a base image is there, and returns its name. */
export async function ensureBaseImage(daemon: Docker): Promise<string> {
  const asked = process.env['PGSWARM_BASE_IMAGE'];
  if (asked !== undefined && asked !== '') return asked;
  for (const image of [official, own]) if (await hasImage(daemon, image)) return image;
  return withLock(join(stateDir, 'base-image.lock'), async () => {
    for (const image of [official, own]) if (await hasImage(daemon, image)) return image;
    const problem = await pull(daemon);
    if (problem === null) return official;
    note(`${official} cannot be pulled here (${problem})`);
    await step('building the base image with debootstrap', () => bootstrap(daemon));
    return own;
  });
}

/** Whether the daemon has an image of this name. */
export async function hasImage(daemon: Docker, image: string): Promise<boolean> {
  return (await tryDocker(daemon, ['image', 'inspect', image])).code === 0;
}

/** Null when the official image was pulled, else why not. */
async function pull(daemon: Docker): Promise<string | null> {
  // Searching is not what is wanted here; a pull of a few bytes of manifest fails fast when there
  // is no way out, and the whole image is small enough for the longer limit.
  const probe = ['manifest', 'inspect', official];
  const env = { ...process.env, DOCKER_CLI_EXPERIMENTAL: 'enabled' };
  const reached = await tryDocker(daemon, probe, { timeoutMs: reachMaxMs, env });
  if (reached.code !== 0) return lastLine(reached.stderr);
  const pulled = await tryDocker(daemon, ['pull', '--quiet', official], { timeoutMs: pullMaxMs });
  return pulled.code === 0 ? null : lastLine(pulled.stderr);
}

async function bootstrap(daemon: Docker): Promise<void> {
  if (!isRoot()) {
    throw new LabError(
      `${official} cannot be pulled, and building a base image instead needs root. Pull or load ` +
        `${official} by hand, or name another Debian ${release} image in PGSWARM_BASE_IMAGE.`,
    );
  }
  if (!(await hasProgram('debootstrap'))) await installPackages(['debootstrap']);
  const root = await mkdtemp(join(stateDir, 'rootfs-'));
  try {
    const mirrors = await hostMirrors();
    const mirror = mirrors.find((each) => each.label === 'Debian')?.uri;
    const from = mirror === undefined ? [] : [mirror];
    await run(['debootstrap', '--variant=minbase', release, root, ...from]);
    await adoptHostApt(root, mirrors);
    await slim(root);
    const contents = ['tar', '-C', root, '--numeric-owner', '-c', '.'];
    const change = ['--change', 'CMD ["bash"]'];
    const imported = ['docker', 'import', ...change, '-', own];
    await pipe(contents, imported, { consumer: { env: dockerEnv(daemon) } });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
  await docker(daemon, ['image', 'inspect', own]);
}

interface Mirror {
  readonly label: string;
  readonly uri: string;
}

/** Where this machine's apt gets Debian from; empty on another distribution. */
async function hostMirrors(): Promise<Mirror[]> {
  const format = '$(ORIGIN)|$(LABEL)|$(REPO_URI)';
  const listed = await attempt([
    ...['apt-get', 'indextargets', '--format', format],
    'Created-By: Packages',
  ]);
  const rows = listed.stdout.split('\n').map((line) => line.split('|'));
  return rows.flatMap(([origin, label, uri]) =>
    origin === 'Debian' && label !== undefined && uri !== undefined ? [{ label, uri }] : [],
  );
}

/**
 * Lets apt inside the image reach Debian the way this machine does: same mirror, same proxy, same
 * relaxed date checks. Only for images built here; nothing of it is written into the repository.
 */
async function adoptHostApt(root: string, mirrors: readonly Mirror[]): Promise<void> {
  const wanted =
    /^Acquire::(https?|ftp)::(Proxy|Verify|CaInfo)|^Acquire::Check-(Valid-Until|Date) /;
  const settings = (await attempt(['apt-config', 'dump', 'Acquire'])).stdout;
  const kept = settings.split('\n').filter((line) => wanted.test(line));
  if (kept.length > 0) {
    await writeFile(join(root, 'etc/apt/apt.conf.d/90host'), `${kept.join('\n')}\n`);
  }
  const security = mirrors.find((each) => each.label === 'Debian-Security');
  if (security === undefined) return;
  const list = join(root, 'etc/apt/sources.list.d/security.list');
  await writeFile(list, `deb ${security.uri} ${release}-security main\n`);
  // A private mirror need not carry the security suite of another release.
  const update = await attempt(['chroot', root, 'apt-get', 'update']);
  if (update.code !== 0) await rm(list);
}

/** Removes what the official slim image leaves out too, so that both bases weigh the same. */
async function slim(root: string): Promise<void> {
  const unwanted = [
    ...['usr/share/doc', 'usr/share/man', 'usr/share/info', 'usr/share/locale'],
    ...['var/cache/apt', 'var/lib/apt/lists', 'var/log'],
  ];
  const paths = unwanted.map((path) => join(root, path));
  await run(['find', ...paths, '-mindepth', '1', '-not', '-type', 'd', '-delete']);
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
