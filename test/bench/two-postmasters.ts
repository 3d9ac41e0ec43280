/**
 * Runs inside a container: two PostgreSQL servers that stream to each other, as children of this
 * process; a switchover, a crash or a split brain, by hand with nothing in its way. Reads one command per line and answers
 * each with one line of JSON. It ends with its input, and takes both servers with it.
 *
 * One self-contained file: it is compiled and handed to `node -e`. From the image it takes only
 * Node, node-pg and PostgreSQL.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';

/** Where the time of one switchover went. */
export interface SwitchTimes {
  readonly to: number;
  readonly checkpointMs: number;
  /** Until the target had replayed what the primary had written before. */
  readonly lagMs: number;
  /** From the signal until the postmaster was gone. */
  readonly stopMs: number;
  /** Until the target had replayed the shutdown checkpoint. */
  readonly replayMs: number;
  /** From the signal until `pg_is_in_recovery()` was false. */
  readonly promoteMs: number;
  /** From the start of the old primary as a standby until it streamed. */
  readonly rejoinMs: number;
}

/** Where the time of one crash went. */
export interface CrashTimes {
  /** Until every process of the primary was gone. */
  readonly killMs: number;
  /** Until it, or the other one, accepted writes. */
  readonly readyMs: number;
  /** Until both streamed again. */
  readonly rejoinMs: number;
}

export type Answer<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string };

interface Server {
  readonly port: number;
  readonly directory: string;
  child: ChildProcess | null;
  admin: Client | null;
}

const runFile = promisify(execFile);
const root = process.env['BENCH_DATA'] ?? '/var/lib/pgswarm/data';
const password = process.env['BENCH_PASSWORD'] ?? '';
const slot = 'other';
const probeMs = 2;
const patienceMs = 60_000;

const first: Server = { port: 5432, directory: `${root}/first`, child: null, admin: null };
const second: Server = { port: 5433, directory: `${root}/second`, child: null, admin: null };
let primary = first;
let standby = second;

/** The settings that pgswarm gives to its servers too, as far as they matter for a switchover. */
/** With an archive that costs nothing: a stop begins a new segment, a promotion ends one. */
const settings = (server: Server, other: Server): string => `
archive_mode = always
archive_command = 'true'
restore_command = 'false'
listen_addresses = '*'
port = ${server.port}
unix_socket_directories = '/tmp'
shared_buffers = 128MB
max_connections = 100
max_wal_senders = 16
max_replication_slots = 16
wal_keep_size = 128MB
wal_log_hints = on
wal_retrieve_retry_interval = 100ms
wal_receiver_status_interval = 1s
wal_sender_timeout = 5s
wal_receiver_timeout = 5s
jit = off
primary_conninfo = 'host=127.0.0.1 port=${other.port} user=postgres application_name=standby'
primary_slot_name = '${slot}'
`;

async function setUp(): Promise<number[]> {
  await mkdir(root, { recursive: true });
  const options = ['-k', '-U', 'postgres', '--auth=trust', '--no-sync', '--no-instructions'];
  await runFile('initdb', [...options, '-D', first.directory]);
  await appendFile(`${first.directory}/pg_hba.conf`, 'host all app all scram-sha-256\n');
  await appendFile(`${first.directory}/postgresql.conf`, settings(first, second));
  await start(first);
  const admin = adminOf(first);
  await admin.query(`create role app login password '${password}'`);
  await admin.query('create database app owner app');
  await admin.query(`select pg_create_physical_replication_slot('${slot}')`);
  const source = ['-h', '/tmp', '-p', String(first.port), '-U', 'postgres', '-c', 'fast'];
  await runFile('pg_basebackup', [...source, '-D', second.directory]);
  await appendFile(`${second.directory}/postgresql.conf`, settings(second, first));
  await writeFile(`${second.directory}/standby.signal`, '');
  await start(second);
  await adminOf(second).query(`select pg_create_physical_replication_slot('${slot}')`);
  await streaming(first);
  return [first.port, second.port];
}

async function switchOver(): Promise<SwitchTimes> {
  const [old, next] = [primary, standby];
  const clock = stopwatch();
  await adminOf(old).query('checkpoint');
  const checkpointMs = clock();
  const written = await lsn(old, 'pg_current_wal_flush_lsn()');
  await probe(async () => (await lsn(next, 'pg_last_wal_replay_lsn()')) >= written);
  const lagMs = clock();
  await stop(old);
  const stopMs = clock();
  const checkpoint = await shutdownCheckpoint(old);
  await probe(async () => (await lsn(next, 'pg_last_wal_replay_lsn()')) > checkpoint);
  const replayMs = clock();
  await promote(next);
  const promoteMs = clock();
  await writeFile(`${old.directory}/standby.signal`, '');
  await start(old);
  await streaming(next);
  const rejoinMs = clock();
  [primary, standby] = [next, old];
  return { to: next.port, checkpointMs, lagMs, stopMs, replayMs, promoteMs, rejoinMs };
}

/** The primary is killed with all its processes, and started again at once. */
async function crashAndRestart(): Promise<CrashTimes> {
  const clock = stopwatch();
  await kill(primary);
  const killMs = clock();
  await start(primary);
  const readyMs = clock();
  await streaming(primary);
  return { killMs, readyMs, rejoinMs: clock() };
}

/** The primary is killed with all its processes, and the standby promoted at once. */
async function crashAndPromote(): Promise<CrashTimes> {
  const [old, next] = [primary, standby];
  const clock = stopwatch();
  await kill(old);
  const killMs = clock();
  await promote(next);
  const readyMs = clock();
  await rewind(old, next);
  await start(old);
  await streaming(next);
  // pg_rewind takes the slots away, and the next crash is of the other one.
  await adminOf(old).query(`select pg_create_physical_replication_slot('${slot}')
    where not exists (select from pg_replication_slots)`);
  [primary, standby] = [next, old];
  return { killMs, readyMs, rejoinMs: clock() };
}

/** What must never happen: both accept writes. Who follows the primary is sent to the new one. */
async function split(): Promise<void> {
  await promote(standby);
  const old = adminOf(primary);
  await old.query('alter role app connection limit 1');
  await old.query(`select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'writer'`);
}

/** Backends outlive their postmaster, and nothing can be started while they do. */
async function kill(server: Server): Promise<void> {
  const { child } = server;
  if (child?.pid === undefined) return;
  const exited = once(child, 'exit');
  const children = await childrenOf(child.pid);
  child.kill('SIGKILL');
  for (const pid of children) endAtOnce(pid);
  await exited;
  await probe(async () => (await Promise.all(children.map(isRunning))).every((is) => !is));
  server.child = null;
  server.admin = null;
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.trim().split(' ').filter(Boolean).map(Number);
}

function endAtOnce(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  return stat !== null && !/\) Z /.test(stat);
}

/** What the old primary has written beyond the promotion is undone, its own settings come back. */
async function rewind(old: Server, next: Server): Promise<void> {
  const source = `host=/tmp port=${next.port} user=postgres dbname=postgres`;
  await runFile('pg_rewind', ['-D', old.directory, '--source-server', source, '--no-sync']);
  await appendFile(`${old.directory}/postgresql.conf`, settings(old, next));
  await writeFile(`${old.directory}/standby.signal`, '');
}

async function start(server: Server): Promise<void> {
  const child = spawn('postgres', ['-D', server.directory], { stdio: ['ignore', 2, 2] });
  server.child = child;
  await probe(async () => {
    if (child.exitCode !== null) throw new Error(`the server on ${server.port} did not start`);
    const file = await readFile(`${server.directory}/postmaster.pid`, 'utf8').catch(() => '');
    const lines = file.split('\n');
    return lines[0] === String(child.pid) && lines[7]?.trim() === 'ready';
  });
  server.admin = new Client({ host: '/tmp', port: server.port, user: 'postgres' });
  server.admin.on('error', () => undefined); // The stop ends it.
  await server.admin.connect();
}

/** A fast stop; over when the kernel says so, and not when a poll notices. */
async function stop(server: Server): Promise<void> {
  const { child } = server;
  if (child === null) return;
  const exited = once(child, 'exit');
  child.kill('SIGINT');
  await exited;
  server.child = null;
  server.admin = null;
}

/** As `pg_ctl promote` does, without its wait. */
async function promote(server: Server): Promise<void> {
  await writeFile(`${server.directory}/promote`, '');
  server.child?.kill('SIGUSR1');
  await probe(async () => {
    const { rows } = await adminOf(server).query<{ is: boolean }>(
      'select pg_is_in_recovery() as is',
    );
    return rows[0]?.is === false;
  });
}

/** Until a standby streams from this server and has everything that was written so far. */
async function streaming(server: Server): Promise<void> {
  const query = `select from pg_stat_replication where state = 'streaming'`;
  await probe(async () => (await adminOf(server).query(query)).rowCount === 1);
}

/** Position of the last checkpoint in the control file (PostgreSQL 17: catalog/pg_control.h). */
async function shutdownCheckpoint(server: Server): Promise<bigint> {
  const file = await open(`${server.directory}/global/pg_control`);
  try {
    const { buffer } = await file.read(Buffer.alloc(40), 0, 40, 0);
    if (buffer.readUInt32LE(8) !== 1700) throw new Error('unknown version of pg_control');
    return buffer.readBigUInt64LE(32);
  } finally {
    await file.close();
  }
}

async function lsn(server: Server, expression: string): Promise<bigint> {
  const query = `select (${expression} - '0/0'::pg_lsn)::text as position`;
  const { rows } = await adminOf(server).query<{ position: string }>(query);
  return BigInt(rows[0]?.position ?? 0);
}

function adminOf(server: Server): Client {
  if (server.admin === null) throw new Error(`the server on ${server.port} does not run`);
  return server.admin;
}

async function probe(isDone: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  while (!(await isDone())) {
    if (performance.now() > deadlineMs) throw new Error('waited too long');
    await sleep(probeMs);
  }
}

/** Each call returns the time since the one before. */
function stopwatch(): () => number {
  let lastMs = performance.now();
  return () => {
    const nowMs = performance.now();
    const durationMs = nowMs - lastMs;
    lastMs = nowMs;
    return durationMs;
  };
}

const commands: Readonly<Record<string, () => Promise<unknown>>> = {
  'set-up': setUp,
  switch: switchOver,
  'crash-restart': crashAndRestart,
  'crash-promote': crashAndPromote,
  split,
};

async function answer(line: string): Promise<Answer<unknown>> {
  try {
    return { ok: true, value: await commands[line]?.() };
  } catch (error) {
    return { ok: false, error: (error as Error).stack ?? String(error) };
  }
}

async function main(): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
  }
  for (const { child } of [first, second]) child?.kill('SIGQUIT');
}

void main();
