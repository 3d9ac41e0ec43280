/**
 * `npm run test:matrix`: every fault on a real Swarm, under clients that keep their whole history.
 * Ends with 1 when anything was seen that must never be.
 */
import { Command, Option } from 'commander';
import { join } from 'node:path';
import { note } from '../lab/progress';
import { LabError } from '../lab/shell';
import { repository } from '../lab/stage';
import { CELLS, cellsNamed, type Cell } from './cells';
import { type Shape } from './cluster';
import { openLab } from './open';
import { randomCells } from './random';
import { summaryTable } from './report';
import { violations } from './result';
import { runMatrix } from './run-matrix';

interface Options {
  readonly cells?: string;
  readonly repeat: number;
  readonly random?: number;
  readonly seed: number;
  readonly servers?: '2' | '3';
  readonly sync?: Shape['sync'];
  readonly rest: number;
  readonly lab: string;
  readonly image: 'build' | 'existing';
  readonly logs: string;
  readonly allLogs?: boolean;
  readonly keep?: boolean;
}

/** Unless asked otherwise: what is promised most, and what is promised least. */
const usual: readonly Shape[] = [
  { servers: 3, sync: 'required' },
  { servers: 2, sync: 'none' },
];

const program = new Command('test:matrix')
  .option('--cells <names>', `of: ${CELLS.map(({ name }) => name).join(', ')}`)
  .option('--repeat <count>', 'of each cell', Number, 1)
  .option('--random <count>', 'so many cells by chance, one after the other', Number)
  .option('--seed <number>', 'of that chance', Number, 1)
  .addOption(new Option('--servers <count>').choices(['2', '3']))
  .addOption(new Option('--sync <durability>').choices(['none', 'preferred', 'required']))
  .option('--rest <seconds>', 'before each fault', Number, 6)
  .option('--lab <name>', 'its lab', 'matrix')
  .addOption(
    new Option('--image <how>', 'the product image')
      .choices(['build', 'existing'])
      .default('build'),
  )
  .option('--logs <folder>', 'for what went wrong', join(repository, '.build/matrix'))
  .option('--all-logs', 'also for what went well')
  .option('--keep', 'leave the lab up');

async function main(options: Options): Promise<void> {
  const deployment = await openLab(options);
  try {
    const { results, failures } = await runMatrix(deployment, {
      shapes: shapesOf(options),
      cells: chosen(options),
      repeat: options.repeat,
      restMs: options.rest * 1000,
      logs: options.logs,
      keepAll: options.allLogs === true,
    });
    console.log(summaryTable(results));
    const wrong = results.filter((result) => violations(result).length > 0).length;
    const figure = `${results.length - wrong} repetitions passed, ${wrong + failures.length} failed`;
    console.log([...failures, figure].join('\n'));
    if (wrong + failures.length > 0) process.exitCode = 1;
  } finally {
    if (options.keep !== true) await deployment.lab.down();
  }
}

function chosen({ cells, random, seed }: Options): readonly Cell[] {
  const named = cells === undefined ? CELLS : cellsNamed(cells.split(','));
  // Those that need a cluster of their own would tear the sequence apart.
  const usable = named.filter(({ needs }) => needs?.smallVolumeMb === undefined);
  return random === undefined ? named : randomCells(usable, random, seed);
}

function shapesOf({ servers, sync }: Options): readonly Shape[] {
  if (servers === undefined && sync === undefined) return usual;
  const count = servers === '2' ? 2 : 3;
  return [{ servers: count, sync: sync ?? (count === 2 ? 'none' : 'required') }];
}

main(program.parse().opts<Options>()).catch((error: unknown) => {
  if (error instanceof LabError) note(error.message);
  else console.error(error);
  process.exitCode = 1;
});
