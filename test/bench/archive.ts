/**
 * `npm run bench:archive`: how fast a burst of WAL is archived, against the shell command that does
 * the least that is safe: copy, sync the file, rename, sync the directory. PostgreSQL's archiver is
 * played by a loop that runs the command for one segment after the other, as PostgreSQL does. Where
 * pgBackRest is installed, its `archive-push` is measured in the same run.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { type Compression } from '../../src/core/archive/stored-files';
import { nameOfSegment } from '../../src/core/archive/wal-files';
import { availableCompressions } from '../../src/instance/archive/filters';
import { ArchiveHands } from '../integration/support/archive-hands';
import { seconds, step } from '../lab/progress';
import { PgBackRest } from './pgbackrest';
import { summarise } from './statistics';
import { table } from './table';

interface Options {
  readonly segments: number;
  readonly rounds: number;
  readonly directory: string;
  readonly gzip?: boolean;
}

interface Burst {
  readonly segmentsPerSecond: number;
  /** Of commands whose segment is stored already: it is read and hashed, and not written. */
  readonly againMs: readonly number[];
  /** How much more memory the process has had than before the burst. */
  readonly grownMb: number;
}

const segmentBytes = 16 * 1024 ** 2;
const agains = 20;
const pageBytes = 8192;
const script = resolve(__dirname, '../../manifests/image/wal-command.sh');
/** What an administrator would write, with what makes it safe. */
const copyCommand =
  'cp "$1" "$3/$2.new" && sync "$3/$2.new" && mv "$3/$2.new" "$3/$2" && sync "$3"';

const program = new Command('bench:archive')
  .option('-n, --segments <count>', 'segments in a burst', Number, 200)
  .option('-r, --rounds <count>', 'bursts of each kind, interleaved', Number, 3)
  .option('--gzip', 'with gzip, too, which takes its time')
  .option('-d, --directory <path>', 'where there is room for two bursts', tmpdir());

async function main({ segments, rounds, directory, gzip = false }: Options): Promise<void> {
  const place = await mkdtemp(join(directory, 'pgswarm-bench-'));
  const kinds = (await availableCompressions()).filter((each) => gzip || each !== 'gzip');
  try {
    const names = await step(`writing ${segments} segments`, () => writeWal(place, segments));
    // Memory that the kernel uses for the first time is slow: the first burst pays for all others.
    await step('warming up', () => copyBurst(place, names));
    const copies: number[] = [];
    const bursts = new Map<Compression, Burst[]>();
    const rivals = new Map<Compression, number[]>();
    const pgBackRest = await PgBackRest.prepare(place);
    for (let round = 0; round < rounds; round += 1) {
      copies.push(await step('cp and sync', () => copyBurst(place, names)));
      for (const kind of kinds) {
        const burst = await step(`pgswarm, ${kind}`, () => archiveBurst(place, names, kind));
        bursts.set(kind, [...(bursts.get(kind) ?? []), burst]);
        if (pgBackRest === null) continue;
        await pgBackRest.begin();
        const rival = await step(`pgBackRest, ${kind}`, () =>
          burstOf(place, names, (name) => pgBackRest.command(kind, name)),
        );
        await pgBackRest.end();
        rivals.set(kind, [...(rivals.get(kind) ?? []), rival]);
      }
    }
    console.log(report(copies, bursts, rivals));
  } finally {
    await rm(place, { recursive: true });
  }
}

/** Segments as a busy server writes them: a third of a page is new, the rest repeats itself. */
async function writeWal(place: string, count: number): Promise<readonly string[]> {
  await mkdir(join(place, 'pg_wal', 'archive_status'), { recursive: true });
  const repeated = randomBytes(Math.ceil((pageBytes * 2) / 3));
  const segment = Buffer.concat(
    Array.from({ length: segmentBytes / pageBytes }, () => [
      randomBytes(pageBytes - repeated.length),
      repeated,
    ]).flat(),
  );
  const names = Array.from({ length: count }, (_, number) =>
    nameOfSegment({ timeline: 1, number }, segmentBytes),
  );
  for (const [number, name] of names.entries()) {
    segment.writeUInt32LE(number);
    await writeFile(join(place, 'pg_wal', name), segment);
  }
  return names;
}

async function makeReady(place: string, names: readonly string[]): Promise<void> {
  const folder = join(place, 'pg_wal', 'archive_status');
  await rm(folder, { recursive: true });
  await mkdir(folder);
  for (const name of names) await writeFile(join(folder, `${name}.ready`), '');
}

/** Segments per second. */
async function copyBurst(place: string, names: readonly string[]): Promise<number> {
  const target = join(place, 'copies');
  await mkdir(target);
  const perSecond = await burstOf(place, names, (name) => [
    ...['sh', '-c', copyCommand, 'sh'],
    ...[join('pg_wal', name), name, target],
  ]);
  await rm(target, { recursive: true });
  return perSecond;
}

async function archiveBurst(
  place: string,
  names: readonly string[],
  compression: Compression,
): Promise<Burst> {
  const volume = join(place, 'archive');
  await mkdir(volume);
  const socket = join(place, 'wal.sock');
  const directories = { walDirectory: join(place, 'pg_wal'), spoolDirectory: join(place, 'spool') };
  const hands = await ArchiveHands.begin(
    { ...{ volume, compression, segmentBytes, socket }, ...directories },
    {},
  );
  const command = (name: string): readonly string[] => [
    ...[script, socket, 'archive', name],
    join('pg_wal', name),
  ];
  try {
    const before = hands.residentMegabytes();
    const segmentsPerSecond = await burstOf(place, names, command);
    const grownMb = hands.residentMegabytes().most - before.now;
    const againMs: number[] = [];
    for (const name of names.slice(0, agains)) {
      const sinceMs = performance.now();
      await run(place, command(name));
      againMs.push(performance.now() - sinceMs);
    }
    return { segmentsPerSecond, againMs, grownMb };
  } finally {
    await hands.kill();
    await rm(volume, { recursive: true });
  }
}

async function burstOf(
  place: string,
  names: readonly string[],
  commandOf: (name: string) => readonly string[],
): Promise<number> {
  await makeReady(place, names);
  const status = join(place, 'pg_wal', 'archive_status');
  const sinceMs = performance.now();
  for (const name of names) {
    await run(place, commandOf(name));
    await rename(join(status, `${name}.ready`), join(status, `${name}.done`));
  }
  return (names.length * 1000) / (performance.now() - sinceMs);
}

async function run(cwd: string, [name = '', ...given]: readonly string[]): Promise<void> {
  const child = spawn(name, given, { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) throw new Error(`${name} ${given.join(' ')}: ${status ?? 'killed'}`);
}

function report(
  copies: readonly number[],
  bursts: ReadonlyMap<Compression, Burst[]>,
  rivals: ReadonlyMap<Compression, number[]>,
): string {
  const best = summarise(copies)?.median ?? NaN;
  const head = ['archive command', 'segments/s', 'min', 'max', '× cp', 'again, ms', 'RSS, + MB'];
  const row = (name: string, rates: readonly number[], rest: readonly string[]): string[] => {
    const { median, min, max } = summarise(rates) ?? { median: NaN, min: NaN, max: NaN };
    return [
      name,
      ...[median, min, max].map((each) => each.toFixed(1)),
      (median / best).toFixed(2),
      ...rest,
    ];
  };
  const own = [...bursts].map(([compression, some]) =>
    row(
      `pgswarm, ${compression}`,
      some.map(({ segmentsPerSecond }) => segmentsPerSecond),
      [
        (summarise(some.flatMap(({ againMs }) => againMs))?.median ?? NaN).toFixed(1),
        Math.max(...some.map(({ grownMb }) => grownMb)).toFixed(0),
      ],
    ),
  );
  const others = [...rivals].map(([compression, rates]) =>
    row(`pgBackRest, ${compression}`, rates, ['', '']),
  );
  return table(head, [row('cp, sync, mv, sync', copies, ['', '']), ...own, ...others]);
}

const sinceMs = performance.now();
main(program.parse().opts<Options>()).then(
  () => process.stderr.write(`${seconds(performance.now() - sinceMs)}\n`),
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
