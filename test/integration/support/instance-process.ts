/** Instance managers as processes of the user postgres, each with its volumes in a directory. */
import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import {
  chownSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

export interface InstanceOptions {
  readonly root: string;
  readonly cluster: string;
  readonly server: string;
  readonly key: Buffer;
  readonly leaderPort: number;
  readonly binDirectory: string;
}

/** Where PostgreSQL's programs are; null when there are none. */
export function findBinDirectory(): string | null {
  const given = process.env['PGSWARM_PG_BIN'];
  if (given !== undefined) return given;
  const base = '/usr/lib/postgresql';
  if (!existsSync(base)) return null;
  const newest = readdirSync(base).toSorted((a, b) => Number(b) - Number(a))[0];
  return newest === undefined ? null : join(base, newest, 'bin');
}

/** PostgreSQL refuses to run as root: then the instances run as the user postgres. */
export function runAs(): { readonly uid?: number; readonly gid?: number } | null {
  if (process.getuid?.() !== 0) return process.env['USER'] === 'postgres' ? {} : null;
  try {
    const id = (flag: string): number =>
      Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8', stdio: 'pipe' }));
    return { uid: id('-u'), gid: id('-g') };
  } catch {
    return null;
  }
}

/**
 * Nobody listens there now, and nobody's connection will begin there by chance, not even while the
 * server that is to have it is restarted: it is below the kernel's ephemeral ports.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_240, 32_000);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

/** The sources, or the built program when PGSWARM_DIST says where it is. */
function commandLine(): readonly string[] {
  const built = process.env['PGSWARM_DIST'];
  if (built !== undefined) return [process.execPath, resolve(built, 'main.js'), 'instance'];
  const sources = resolve(__dirname, 'run-instance.ts');
  return [process.execPath, '-r', 'ts-node/register/transpile-only', sources];
}

function holdersOf(path: string): readonly number[] {
  const opens = (pid: string): boolean => {
    try {
      const directory = `/proc/${pid}/fd`;
      return readdirSync(directory).some((fd) => readlinkSync(join(directory, fd)) === path);
    } catch {
      return false;
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && opens(name))
    .map(Number);
}

export class InstanceProcess {
  readonly #options: InstanceOptions;
  readonly #identity = runAs() ?? {};
  #child: ChildProcess | null = null;
  port = 0;
  httpPort = 0;
  peerPort = 0;
  /** Further variables of its environment, from its next start on. */
  variables: Readonly<Record<string, string>> = {};

  constructor(options: InstanceOptions) {
    this.#options = options;
    for (const name of ['data', 'archive', 'run', 'secrets']) this.#directory(name);
    this.#write('secrets/control', options.key.toString('hex'));
    this.#write('secrets/replication', 'replication-password');
    this.#write('secrets/owner', 'owner-password');
  }

  get home(): string {
    return join(this.#options.root, this.#options.server);
  }

  get volume(): string {
    return join(this.home, 'data');
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get postmasterPid(): number {
    return Number(readFileSync(join(this.volume, 'pgdata/postmaster.pid'), 'utf8').split('\n')[0]);
  }

  get log(): string {
    return readFileSync(join(this.home, 'log'), 'utf8');
  }

  async start(): Promise<void> {
    const { cluster, server, leaderPort, binDirectory } = this.#options;
    if (this.port === 0) {
      this.port = await freePort();
      this.httpPort = await freePort();
      this.peerPort = await freePort();
    }
    // As the entrypoint of the image does it: the lock is held by everything below this shell.
    const script = 'exec 200>>"$0/.lock"; flock 200; export PGSWARM_LOCK_FD=200; exec "$@"';
    this.#child = spawn('bash', ['-c', script, this.volume, ...commandLine()], {
      ...this.#identity,
      cwd: resolve(__dirname, '../../..'),
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        NODE_ENV: 'production',
        PGSWARM_CLUSTER: cluster,
        PGSWARM_SERVER: server,
        PGSWARM_HOST: server,
        PGSWARM_OPERATOR: `127.0.0.1:${String(leaderPort)}`,
        PGSWARM_STOP_GRACE_MS: '30000',
        PGSWARM_DATA_DIR: this.volume,
        PGSWARM_ARCHIVE_DIR: join(this.home, 'archive'),
        PGSWARM_WAL_COMMAND: resolve(__dirname, '../../../manifests/image/wal-command.sh'),
        PGSWARM_RUN_DIR: join(this.home, 'run'),
        PGSWARM_SECRETS_DIR: join(this.home, 'secrets'),
        PGSWARM_PG_BIN: binDirectory,
        PGSWARM_PG_PORT: String(this.port),
        PGSWARM_HTTP_PORT: String(this.httpPort),
        PGSWARM_PEER_PORT: String(this.peerPort),
        ...this.variables,
      },
    });
    const log = createWriteStream(join(this.home, 'log'), { flags: 'a' });
    this.#child.stdout?.pipe(log);
    this.#child.stderr?.pipe(log);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** As the kernel does it to a container: every process that holds the volume's lock dies. */
  async die(): Promise<void> {
    const lock = join(this.volume, '.lock');
    for (let pids = holdersOf(lock); pids.length > 0; pids = holdersOf(lock)) {
      for (const pid of pids) kill(pid);
      await new Promise((resume) => setTimeout(resume, 5));
    }
    await this.ended();
  }

  /** Puts a file into the volume. */
  place(name: string, text: string): void {
    this.#write(join('data', name), text);
  }

  placeDirectory(name: string): void {
    this.#directory(join('data', name));
  }

  /** Exit code, or the signal that ended it. */
  async ended(): Promise<number | string> {
    const child = this.#child;
    if (child === null) return 0;
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    return child.exitCode ?? child.signalCode ?? 'unknown';
  }

  async sql(text: string): Promise<string> {
    const { stdout } = await this.#run('psql', [
      ...['-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-U', 'postgres', '-d', 'postgres'],
      ...['-h', join(this.home, 'run'), '-p', String(this.port), '-c', text],
    ]);
    return stdout.trim();
  }

  async controlData(): Promise<string> {
    return (await this.#run('pg_controldata', ['-D', join(this.volume, 'pgdata')])).stdout;
  }

  async get(path: string): Promise<{ status: number; body: Record<string, unknown> }> {
    const response = await fetch(`http://127.0.0.1:${String(this.httpPort)}${path}`);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  residentMegabytes(): number {
    const status = readFileSync(`/proc/${String(this.pid)}/status`, 'utf8');
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
  }

  async #run(name: string, options: readonly string[]): Promise<{ stdout: string }> {
    const program = join(this.#options.binDirectory, name);
    return await promisify(execFile)(program, [...options], {
      ...this.#identity,
      cwd: '/',
      encoding: 'utf8',
    });
  }

  #directory(name: string): void {
    const path = join(this.home, name);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    this.#own(this.home);
    this.#own(path);
  }

  #write(name: string, text: string): void {
    writeFileSync(join(this.home, name), text, { mode: 0o600 });
    this.#own(join(this.home, name));
  }

  #own(path: string): void {
    const { uid, gid } = this.#identity;
    if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
  }
}

/** PostgreSQL's commands for the archive come and go. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
