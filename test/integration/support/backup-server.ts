/** A PostgreSQL without an instance manager, with the roles that one would have made. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPLICATION_ROLE } from '../../../src/core/names';
import { type Machine } from '../../../src/core/settings';
import { freePort, runAs } from './instance-process';

const PASSWORD = 'replication-password';

export class BackupServer {
  readonly name: string;
  readonly home: string;
  readonly port: number;
  readonly #binDirectory: string;
  readonly #identity = runAs() ?? {};

  static async create(root: string, name: string, binDirectory: string): Promise<BackupServer> {
    return new BackupServer(join(root, name), name, { binDirectory, port: await freePort() });
  }

  private constructor(
    home: string,
    name: string,
    { binDirectory, port }: { readonly binDirectory: string; readonly port: number },
  ) {
    this.name = name;
    this.home = home;
    this.port = port;
    this.#binDirectory = binDirectory;
    for (const path of [home, join(home, 'archive')]) {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      this.#own(path);
    }
    writeFileSync(this.#passfile, `*:*:*:${REPLICATION_ROLE}:${PASSWORD}\n`, { mode: 0o600 });
    this.#own(this.#passfile);
  }

  get data(): string {
    return join(this.home, 'pgdata');
  }

  get archive(): string {
    return join(this.home, 'archive');
  }

  get machine(): Machine {
    return {
      server: this.name,
      majorVersion: 15,
      port: this.port,
      socketDirectory: this.home,
      passfile: this.#passfile,
      volumeBytes: 0,
      wal: { command: '', socket: '' },
    };
  }

  get systemIdentifier(): string {
    return this.sql('select system_identifier from pg_control_system()');
  }

  initialise(): void {
    const options = ['-U', 'postgres', '--auth=trust', '--no-instructions', '--data-checksums'];
    this.run('initdb', ['-D', this.data, ...options]);
    this.#configure();
    this.start();
    this.sql(`create role ${REPLICATION_ROLE} login replication password '${PASSWORD}'`);
  }

  cloneFrom(primary: BackupServer): void {
    const source = `host=127.0.0.1 port=${primary.port} user=${REPLICATION_ROLE}`;
    const connection = `${source} passfile=${this.#passfile}`;
    this.run('pg_basebackup', ['-D', this.data, '-R', '--checkpoint=fast', '-d', connection]);
    this.#configure();
    this.start();
  }

  /** A data directory that came from elsewhere. */
  adopt(): void {
    this.#configure();
  }

  start(): void {
    const log = join(this.home, 'log');
    this.run('pg_ctl', ['-D', this.data, '-l', log, '-w', '-s', '-t', '60', 'start']);
  }

  stop(mode: 'fast' | 'immediate' = 'fast'): void {
    this.run('pg_ctl', ['-D', this.data, '-m', mode, '-w', '-s', 'stop']);
  }

  sql(text: string, database = 'postgres'): string {
    const options = ['-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-U', 'postgres'];
    const where = ['-h', this.home, '-p', String(this.port), '-d', database];
    return this.run('psql', [...options, ...where, '-c', text]).trim();
  }

  /** A client that writes one row after the other, until the answer is called. */
  writes(): () => Promise<void> {
    const script = join(this.home, 'write.sql');
    writeFileSync(script, 'insert into written default values;\n\\sleep 1 ms\n');
    const child: ChildProcess = spawn(
      join(this.#binDirectory, 'pgbench'),
      [
        '-n',
        '-c1',
        '-T1000',
        '-f',
        script,
        '-U',
        'postgres',
        '-h',
        this.home,
        '-p',
        String(this.port),
        'postgres',
      ],
      { ...this.#identity, cwd: '/', stdio: 'ignore' },
    );
    return async () => {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    };
  }

  run(name: string, programArguments: readonly string[]): string {
    return execFileSync(join(this.#binDirectory, name), programArguments, {
      ...this.#identity,
      cwd: '/',
      encoding: 'utf8',
      // A server that is started keeps its descriptors open: a pipe would never end.
      stdio: name === 'pg_ctl' ? 'ignore' : 'pipe',
    });
  }

  get #passfile(): string {
    return join(this.home, 'passfile');
  }

  #configure(): void {
    const settings = [
      `port = ${this.port}`,
      "listen_addresses = '127.0.0.1'",
      `unix_socket_directories = '${this.home}'`,
      'shared_buffers = 16MB',
      'max_wal_senders = 8',
      'wal_keep_size = 64MB',
      'fsync = on',
    ];
    appendFileSync(join(this.data, 'postgresql.conf'), `\n${settings.join('\n')}\n`);
    const replication = `host replication,all ${REPLICATION_ROLE} 127.0.0.1/32 scram-sha-256\n`;
    const local = 'local all all trust\n';
    writeFileSync(join(this.data, 'pg_hba.conf'), local + replication);
  }

  #own(path: string): void {
    const { uid, gid } = this.#identity;
    if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
  }
}
