/** A data directory in a temporary place, run by a bare manager, and clients of it. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processesIn } from '../../../src/adapters/postgres/processes';
import { BareManager } from './bare-manager';
import { freePort, runAs } from './instance-process';

const POLL_MS = 2;
const PATIENCE_MS = 60_000;

export class BareServer {
  readonly directory: string;
  readonly #root: string;
  readonly #binDirectory: string;
  readonly #port: number;
  readonly #identity = runAs() ?? {};
  readonly #helpers: ChildProcess[] = [];

  /** An initialised data directory, not started. */
  static async create(binDirectory: string): Promise<BareServer> {
    return new BareServer(binDirectory, await freePort());
  }

  private constructor(binDirectory: string, port: number) {
    this.#binDirectory = binDirectory;
    this.#port = port;
    this.#root = mkdtempSync(join(tmpdir(), 'pgswarm-bare-'));
    this.#own(this.#root);
    chmodSync(this.#root, 0o755);
    this.directory = join(this.#root, 'pgdata');
    const options = ['-U', 'postgres', '--auth=trust', '--no-instructions'];
    this.#run('initdb', ['-D', this.directory, ...options]);
    const settings = [
      `port = ${port}`,
      "listen_addresses = ''",
      `unix_socket_directories = '${this.directory}'`,
      'max_connections = 100',
      'max_wal_size = 4GB',
      'checkpoint_timeout = 1h',
    ];
    appendFileSync(join(this.directory, 'postgresql.conf'), settings.join('\n'));
  }

  get postmasterPid(): number {
    return Number(readFileSync(join(this.directory, 'postmaster.pid'), 'utf8').split('\n')[0]);
  }

  get processes(): readonly number[] {
    return processesIn(this.directory);
  }

  async manager(): Promise<BareManager> {
    return await BareManager.begin(this.directory, this.#binDirectory, this.#port);
  }

  /** When the last process of PostgreSQL was gone. */
  async gone(): Promise<number> {
    await until(() => this.processes.length === 0);
    return performance.now();
  }

  sql(text: string): string {
    return this.#run('psql', [...this.#psqlOptions, '-c', text]).trim();
  }

  /** Sessions that write as fast as they can. */
  async write(sessions: number): Promise<void> {
    this.sql('create table if not exists written (n int)');
    const script = join(this.#root, 'write.sql');
    writeFileSync(script, 'insert into written values (1);\n');
    this.#helpProgram('pgbench', [
      ...['-n', '-c', `${sessions}`, '-f', script, '-T', '1000', '-U', 'postgres'],
      ...['-h', this.directory, '-p', `${this.#port}`, 'postgres'],
    ]);
    const count = "select count(*) from pg_stat_activity where application_name = 'pgbench'";
    await until(() => Number(this.sql(count)) === sessions);
  }

  /** A backend that never waits, so that it does not notice the postmaster's death. */
  async busyBackend(): Promise<number> {
    this.#helpProgram('psql', [...this.#psqlOptions, '-c', 'do $$ begin loop end loop; end $$']);
    const busy = "select pid from pg_stat_activity where query like 'do %' and state = 'active'";
    await until(() => this.sql(busy) !== '');
    return Number(this.sql(busy));
  }

  /** A fast stop waits for every walsender, as long as its standby does not break the connection. */
  async silentStandby(): Promise<void> {
    const received = mkdtempSync(join(this.#root, 'received-'));
    this.#own(received);
    const standby = this.#helpProgram('pg_receivewal', [
      ...['-D', received, '-U', 'postgres', '-h', this.directory, '-p', `${this.#port}`],
    ]);
    const streaming = "select count(*) from pg_stat_replication where state = 'streaming'";
    await until(() => this.sql(streaming) === '1');
    standby.kill('SIGSTOP');
  }

  /** Another program, outside of the data directory, of the same user. */
  help(program: string, programArguments: readonly string[]): ChildProcess {
    const child = spawn(program, programArguments, {
      ...this.#identity,
      cwd: '/',
      stdio: 'ignore',
    });
    this.#helpers.push(child);
    return child;
  }

  /** Ends the clients. */
  async quiet(): Promise<void> {
    for (const helper of this.#helpers.splice(0)) {
      helper.kill('SIGKILL');
      if (helper.exitCode === null && helper.signalCode === null) await once(helper, 'exit');
    }
  }

  /** Ends everything that is left of this manager, in whatever state it is. */
  async end(manager: BareManager): Promise<void> {
    await this.quiet();
    const left = [manager.guardPid, manager.pid, ...this.processes];
    for (const name of ['SIGKILL', 'SIGCONT'] as const) left.forEach((pid) => signal(pid, name));
    await this.gone();
  }

  remove(): void {
    rmSync(this.#root, { recursive: true, force: true });
  }

  get #psqlOptions(): readonly string[] {
    return [
      ...['-X', '-A', '-t', '-q', '-U', 'postgres', '-d', 'postgres'],
      ...['-h', this.directory, '-p', `${this.#port}`],
    ];
  }

  #helpProgram(name: string, programArguments: readonly string[]): ChildProcess {
    return this.help(join(this.#binDirectory, name), programArguments);
  }

  #run(name: string, programArguments: readonly string[]): string {
    return execFileSync(join(this.#binDirectory, name), programArguments, {
      ...this.#identity,
      cwd: '/',
      encoding: 'utf8',
      stdio: 'pipe',
    });
  }

  #own(path: string): void {
    const { uid, gid } = this.#identity;
    if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
  }
}

/** To a process that may have gone: backends come and go. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    if (pid > 0) process.kill(pid, name);
  } catch {
    // Gone.
  }
}

export async function until(isSo: () => boolean): Promise<void> {
  for (const giveUpAtMs = performance.now() + PATIENCE_MS; !isSo();) {
    if (performance.now() > giveUpAtMs) throw new Error(`did not happen: ${String(isSo)}`);
    await sleep(POLL_MS);
  }
}
