/**
 * `npm run bench:restore`: how long a database takes to come back from a base backup and the WAL
 * behind it, against the same tools by hand on the same files: unpack, and PostgreSQL with a
 * `restore_command` that decompresses. Both end with a server that has replayed everything, was promoted, and is shut down.
 */
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Command } from 'commander';
import { type BackupOrder } from '../../src/core/backup/backup';
import { type Report } from '../../src/core/protocol';
import { restoreOrder } from '../../src/core/restore/bootstrap';
import { FakeLeader } from '../integration/support/fake-leader';
import { findBinDirectory, InstanceProcess, runAs } from '../integration/support/instance-process';
import { primaryWith, settingsWith } from '../integration/support/told';
import { seconds, step } from '../lab/progress';
import { eventually } from '../support/eventually';
import { summarise } from './statistics';
import { table } from './table';

interface Options {
  readonly megabytes: number;
  readonly segments: number;
  readonly rounds: number;
  readonly directory: string;
}

interface Place {
  readonly root: string;
  readonly binDirectory: string;
  /** `archive/<system identifier>` of the source. */
  readonly archive: string;
}

const backupId = '20261121T010000Z';
const patienceMs = 30 * 60_000;
const segmentBytes = 16 * 1024 ** 2;
const parameters = { shared_buffers: '256MB', max_wal_size: '2GB', checkpoint_timeout: '1h' };
const settings = settingsWith({ parameters, archive: { compression: 'zstd', timeoutMs: 300_000 } });
const order: BackupOrder = {
  ...{ id: backupId, method: 'base', parent: null, format: 'tar', compression: 'zstd' },
  ...{ bytesPerSecondMax: null, because: 'benchmark' },
};

const program = new Command('bench:restore')
  .option('-m, --megabytes <count>', 'size of the database', Number, 2048)
  .option('-s, --segments <count>', 'segments of WAL behind the backup', Number, 200)
  .option('-r, --rounds <count>', 'restores of each kind, interleaved', Number, 3)
  .option('-d, --directory <path>', 'where there is room for four times of it', tmpdir());

const run = promisify(execFile);
const isFilled = ({ volume }: Report): boolean => volume.kind === 'tagged';
const isPrimary = ({ postgres }: Report): boolean => postgres.state === 'primary';

async function main({ megabytes, segments, rounds, directory }: Options): Promise<void> {
  const binDirectory = findBinDirectory();
  if (binDirectory === null) throw new Error('no PostgreSQL below /usr/lib/postgresql');
  const root = mkdtempSync(join(directory, 'pgswarm-bench-'));
  chmodSync(root, 0o755);
  const orders = new FakeLeader('orders', randomBytes(32), settings);
  const copies = new FakeLeader('copies', randomBytes(32), settings);
  const [leaderPort, copiesPort] = [await orders.listen(), await copies.listen()];
  for (const name of ['orders', 'copies', 'hand']) mkdirSync(join(root, name));
  const from = { root: join(root, 'orders'), cluster: 'orders', server: 'pg1', key: orders.key };
  const source = new InstanceProcess({ ...from, leaderPort, binDirectory });
  try {
    await step(`filling ${megabytes} MB`, () => fill(source, orders, megabytes));
    await step('taking a base backup', () => takeBackup(orders));
    await step(`writing ${segments} segments`, () => write(source, segments));
    const system = await source.sql('select system_identifier from pg_control_system()');
    const place = { root, binDirectory, archive: join(source.home, 'archive', system) };
    const [hand, own]: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round += 1) {
      hand.push(await step('by hand', () => restoreByHand(place)));
      const to = { root: join(root, 'copies'), cluster: 'copies', server: `pg${round}` };
      const copy = { ...to, key: copies.key, leaderPort: copiesPort, binDirectory };
      own.push(await step('pgswarm', () => restore(new InstanceProcess(copy), copies, place)));
    }
    console.log(report(hand, own));
  } finally {
    await source.die();
    orders.close();
    copies.close();
    rmSync(root, { recursive: true, force: true });
  }
}

async function fill(source: InstanceProcess, orders: FakeLeader, megabytes: number): Promise<void> {
  await source.start();
  orders.assign('pg1', { kind: 'initialise', volumeId: 'v1' });
  await orders.until('pg1', isFilled);
  orders.assign('pg1', primaryWith());
  await orders.until('pg1', isPrimary);
  await eventually(async () => await source.sql('create role marker'));
  await source.sql('create table ballast (id int primary key, filler text)');
  for (let at = 0; at < megabytes; at += 64) {
    await source.sql(
      'insert into ballast select i, repeat(md5(i::text), 30) from generate_series' +
        `(${at * 1000}, ${Math.min(at + 64, megabytes) * 1000 - 1}) i`,
    );
  }
  await source.sql('checkpoint');
}

async function takeBackup(orders: FakeLeader): Promise<void> {
  orders.assign('pg1', primaryWith(), { backup: order });
  const isDone = ({ backup }: Report): boolean => backup?.state === 'done';
  await orders.until('pg1', isDone, patienceMs);
}

/** Rows here and there: full pages after a checkpoint, as a busy server writes them. */
async function write(source: InstanceProcess, segments: number): Promise<void> {
  const begun = await source.sql('select pg_current_wal_lsn()');
  const bytes = `pg_current_wal_lsn() - '${begun}'::pg_lsn`;
  for (let round = 0; ; round += 1) {
    const isMuch = `select ${bytes} >= ${segments}::numeric * ${segmentBytes}`;
    if ((await source.sql(isMuch)) === 't') break;
    await source.sql(
      `update ballast set filler = repeat(md5(random()::text), 30) where id % 97 = ${round % 97}`,
    );
  }
  const last = await source.sql('select pg_walfile_name(pg_switch_wal())');
  const isArchived = `select last_archived_wal >= '${last}' from pg_stat_archiver`;
  while ((await source.sql(isArchived)) !== 't') await source.sql('select pg_sleep(0.5)');
}

/** Milliseconds. */
async function restore(
  copy: InstanceProcess,
  copies: FakeLeader,
  { archive }: Place,
): Promise<number> {
  copy.variables = { PGSWARM_SOURCE_DIR: join(archive, '..') };
  await copy.start();
  const server = copy.home.split('/').at(-1) ?? '';
  copies.assign(server, { kind: 'wait', because: 'benchmark' });
  await copies.until(server, ({ obeys }) => obeys?.task === 'wait');
  const source = restoreOrder({ volume: 'pgswarm.orders.pg1.archive', target: { latest: true } });
  const sinceMs = performance.now();
  copies.assign(server, { kind: 'initialise', volumeId: 'v1', restore: source });
  await copies.until(server, isFilled, patienceMs);
  const tookMs = performance.now() - sinceMs;
  await copy.die();
  rmSync(copy.home, { recursive: true, force: true });
  return tookMs;
}

/** Milliseconds. */
async function restoreByHand({ root, binDirectory, archive }: Place): Promise<number> {
  const data = join(root, 'hand', 'data');
  mkdirSync(data, { mode: 0o700 });
  const { uid = process.getuid?.() ?? 0, gid = process.getgid?.() ?? 0 } = runAs() ?? {};
  chownSync(data, uid, gid);
  const backup = join(archive, 'backups', backupId);
  const sinceMs = performance.now();
  const unpack = `for each in ${backup}/*/base.tar.zst ${backup}/base.tar.zst; do
    [ ! -e "$each" ] || zstd -dc "$each" | tar -x -C ${data}; done`;
  await run('sh', ['-c', unpack], { uid, gid });
  writeFileSync(join(data, 'recovery.signal'), '');
  const settingsByHand = {
    ...parameters,
    ...{ archive_mode: 'off', hot_standby: 'off', listen_addresses: '', port: '5999' },
    ...{ unix_socket_directories: join(root, 'hand'), logging_collector: 'off', ssl: 'off' },
    restore_command: `f=$(ls ${archive}/wal/*/%f-*.zst 2>/dev/null) && zstd -dcq $f > %p`,
  };
  const options = Object.entries(settingsByHand).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ]);
  chownSync(join(root, 'hand'), uid, gid);
  const server = spawn(join(binDirectory, 'postgres'), ['-D', data, ...options], {
    ...{ uid, gid, stdio: ['ignore', 'ignore', 'pipe'] },
    env: { LC_ALL: 'C.UTF-8', PATH: process.env['PATH'] },
  });
  let said = '';
  const ended = once(server, 'exit');
  server.stderr.setEncoding('utf8').on('data', (words: string) => {
    said += words;
    if (/ready to accept connections/.test(words)) server.kill('SIGINT');
  });
  await ended;
  const tookMs = performance.now() - sinceMs;
  if (!/archive recovery complete/.test(said)) throw new Error(said.slice(-2000));
  rmSync(data, { recursive: true });
  return tookMs;
}

function report(hand: readonly number[], own: readonly number[]): string {
  const limit = summarise(hand)?.median ?? NaN;
  const row = (name: string, times: readonly number[]): string[] => {
    const { n, median, min, max } = summarise(times) ?? { n: 0, median: NaN, min: NaN, max: NaN };
    const figures = [median, min, max].map((ms) => (ms / 1000).toFixed(1));
    return [name, String(n), ...figures, (median / limit).toFixed(2)];
  };
  const head = ['restore', 'n', 'median, s', 'min', 'max', '× by hand'];
  return table(head, [row('by hand', hand), row('pgswarm', own)]);
}

const sinceMs = performance.now();
main(program.parse().opts<Options>()).then(
  () => {
    process.stderr.write(`${seconds(performance.now() - sinceMs)}\n`);
    process.exit();
  },
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
