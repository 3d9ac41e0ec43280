/**
 * Finds the Docker daemon that carries the labs' nodes, or starts a private one.
 *
 * A private daemon keeps everything below one state folder, makes no default bridge and no firewall
 * rules: when it stops, nothing of it is left on the machine but its image cache in that folder.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { dockerEnv, tryDocker, type Docker } from './docker';
import { isAlive, withLock } from './lock';
import { note, step } from './progress';
import { attempt, hasProgram, LabError, run, waitFor } from './shell';

const answerMaxMs = 10_000;
const startMaxMs = 60_000;
const stopMaxMs = 60_000;

/** Carried by the daemons inside nodes, so that a shell set up with `lab env` cannot nest labs. */
export const nodeDaemonLabel = 'pgswarm.lab.node';

/** The folder of the private daemon and of the locks. */
export const stateDir =
  process.env['PGSWARM_LAB_HOME'] ??
  (isRoot()
    ? '/var/lib/pgswarm-lab'
    : join(process.env['HOME'] ?? '/tmp', '.local/state/pgswarm-lab'));

const socket = join(stateDir, 'docker.sock');
const pidFile = join(stateDir, 'docker.pid');
const runDir = join(stateDir, 'run');
const logFile = join(stateDir, 'dockerd.log');
const privateDocker: Docker = { host: `unix://${socket}` };

/** The daemon to use, if one runs: ours when it runs, else the one that Docker's own settings name. */
export async function findDaemon(): Promise<Docker | null> {
  if (existsSync(socket) && (await answers(privateDocker)) === null) return privateDocker;
  for (const daemon of [{ host: null }, { host: 'unix:///var/run/docker.sock' }]) {
    if ((await answers(daemon)) === null && !(await isInsideLab(daemon))) return daemon;
  }
  return null;
}

/** The daemon to use; installs Docker and starts a private daemon where there is none. */
export async function ensureDaemon(): Promise<Docker> {
  return (await findDaemon()) ?? withLock(join(stateDir, 'daemon.lock'), installOrStart);
}

/** Stops the private daemon, if it is one that we started. True when it was stopped. */
export async function stopPrivateDaemon(): Promise<boolean> {
  return withLock(join(stateDir, 'daemon.lock'), async () => {
    const pid = await privatePid();
    if (pid === null) return false;
    await step('stopping the private Docker daemon', async () => {
      process.kill(pid, 'SIGTERM');
      await waitFor(`process ${pid} (dockerd) to end`, stopMaxMs, () =>
        Promise.resolve(isAlive(pid) ? undefined : true),
      );
    });
    // The daemon leaves its handle on the network namespace mounted.
    await attempt(['umount', join(runDir, 'netns/default')]);
    await rm(runDir, { recursive: true, force: true });
    await rm(socket, { force: true });
    return true;
  });
}

async function installOrStart(): Promise<Docker> {
  const found = await findDaemon();
  if (found !== null) return found;
  if (!isRoot()) throw new LabError(await noDaemonMessage());
  if (!(await hasProgram('dockerd')) || !(await hasProgram('docker'))) {
    await installPackages(['docker.io', 'docker-cli', 'iptables', 'iproute2']);
    // Where services are managed, the package starts a daemon by itself.
    const installed = await findDaemon();
    if (installed !== null) return installed;
  }
  await step('starting a private Docker daemon', startPrivateDaemon);
  return privateDocker;
}

/** Installs those of the Debian packages that exist in this release. */
export async function installPackages(packages: readonly string[]): Promise<void> {
  if (!isRoot() || !(await hasProgram('apt-get'))) {
    throw new LabError(
      `The lab needs ${packages.join(', ')}, and can install them only as root on Debian or Ubuntu. ` +
        'Install them yourself, or start a Docker daemon, and try again.',
    );
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await step(`installing ${packages.join(', ')}`, async () => {
    const refreshed = await attempt(['apt-get', 'update'], { env });
    if (refreshed.code !== 0) note('the package lists could not be refreshed; using the old ones');
    const known: string[] = [];
    for (const name of packages) {
      if ((await attempt(['apt-cache', 'show', name])).code === 0) known.push(name);
    }
    await run(['apt-get', 'install', '-y', '--no-install-recommends', ...known], { env });
  });
}

async function startPrivateDaemon(): Promise<void> {
  await mkdir(stateDir, { recursive: true, mode: 0o711 });
  if ((await privatePid()) === null) await rm(pidFile, { force: true });
  const log = openSync(logFile, 'a');
  const child = spawn(
    'dockerd',
    [
      ...['--data-root', join(stateDir, 'docker'), '--exec-root', runDir],
      ...['-p', pidFile, '-H', `unix://${socket}`],
      ...['--bridge', 'none', '--iptables=false', '--ip6tables=false', '--ip-forward=false'],
    ],
    {
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...dockerEnv(privateDocker), PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
    },
  );
  closeSync(log);
  child.unref();
  let ended = false;
  child.on('exit', () => (ended = true));
  child.on('error', () => (ended = true));
  await waitFor('the private Docker daemon to answer', startMaxMs, async () => {
    if (ended) {
      throw new LabError(`dockerd stopped at once. The end of ${logFile}:\n${await logTail()}`);
    }
    return (await answers(privateDocker)) === null ? true : undefined;
  }).catch(async (error: unknown) => {
    if (!(error instanceof LabError) || ended) throw error;
    throw new LabError(`${error.message} The end of ${logFile}:\n${await logTail()}`);
  });
}

/** The private daemon's process, only if that id really is our dockerd. */
async function privatePid(): Promise<number | null> {
  const pid = Number(await readFile(pidFile, 'utf8').catch(() => ''));
  if (!(pid > 0)) return null;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return command.includes('dockerd') && command.includes(pidFile) ? pid : null;
}

/** Null when the daemon answers, else why it does not. */
async function answers(daemon: Docker): Promise<string | null> {
  const args = ['info', '--format', '{{.ServerVersion}}'];
  const result = await tryDocker(daemon, args, { timeoutMs: answerMaxMs });
  return result.code === 0 && result.stdout.trim() !== ''
    ? null
    : (result.stderr.trim().split('\n').at(-1) ?? 'no answer');
}

async function isInsideLab(daemon: Docker): Promise<boolean> {
  const result = await tryDocker(daemon, ['info', '--format', '{{json .Labels}}']);
  return result.stdout.includes(nodeDaemonLabel);
}

async function noDaemonMessage(): Promise<string> {
  const why = await answers({ host: null });
  return (
    `The lab needs a Docker daemon, and none answers here (${why ?? 'it is a node of a lab'}). ` +
    'Start Docker, or set DOCKER_HOST, or run this as root: then the lab starts a private daemon.'
  );
}

async function logTail(): Promise<string> {
  const lines = (await readFile(logFile, 'utf8').catch(() => '(no log)')).trim().split('\n');
  return lines.slice(-12).join('\n');
}

/** Whether this process may install packages and start daemons. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}
