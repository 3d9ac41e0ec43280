/**
 * `npm run bench:failover`: how long writes stop when the primary is lost, until when everything is
 * redundant again, and what is lost; with the limit that a crash answered by hand reaches in the
 * same run. The faults are the main cells of the fault matrix.
 */
import { Command, Option } from 'commander';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { type Deployment } from '../e2e/deployment';
import { productImage } from '../lab/images';
import { resourceName } from '../lab/nodes';
import { note, step } from '../lab/progress';
import { LabError, pause } from '../lab/shell';
import { repository } from '../lab/stage';
import { cellsNamed } from '../matrix/cells';
import { MatrixCluster, type Shape } from '../matrix/cluster';
import { openLab } from '../matrix/open';
import { violations } from '../matrix/result';
import { runMatrix, type Outcome } from '../matrix/run-matrix';
import { measureCrashLimit, type CrashLimit } from './crash-limit';
import { measureIdle } from './idle';
import { failoverTable, failoverMarkdown } from './failover-report';

interface Options {
  readonly n: number;
  readonly cells: string;
  readonly rest: number;
  readonly lab: string;
  readonly image: 'build' | 'existing';
  readonly markdown?: string;
  readonly keep?: boolean;
}

const mainCells = [
  'postmaster-kill',
  'container-kill',
  'manager-kill',
  'manager-freeze',
  'node-kill',
  'node-cut',
  'node-freeze',
  'node-kill-swarm-leader',
];

/** What is promised most, and what is promised least. */
const shapes: readonly Shape[] = [
  { servers: 3, sync: 'required' },
  { servers: 2, sync: 'none' },
];

/** After so long everything has come to rest, and for so long it is watched. */
const steadySeconds = 30;

const program = new Command('bench:failover')
  .option('-n <count>', 'repetitions of each fault on each cluster', Number, 10)
  .option('--cells <names>', 'of the fault matrix', mainCells.join(','))
  .option('--rest <seconds>', 'before each fault', Number, 6)
  .option('--lab <name>', 'its lab', 'bench')
  .addOption(
    new Option('--image <how>', 'the product image')
      .choices(['build', 'existing'])
      .default('build'),
  )
  .option('--markdown <file>', 'write the figures as a document, too')
  .option('--keep', 'leave the lab up');

async function main(options: Options): Promise<void> {
  const deployment = await openLab(options);
  try {
    const limits = await step('the limit: crashes by hand', () => limit(deployment, options.n));
    const steadyPercent = await step('watching a steady cluster', () => steady(deployment));
    const outcome = await runMatrix(deployment, {
      shapes,
      cells: cellsNamed(options.cells.split(',')),
      repeat: options.n,
      restMs: options.rest * 1000,
      logs: join(repository, '.build/bench-failover'),
      keepAll: false,
    });
    const figures = { limits, results: outcome.results, steadyPercent };
    console.log(failoverTable(figures));
    if (options.markdown !== undefined) {
      writeFileSync(options.markdown, failoverMarkdown(figures, circumstances(options)));
    }
    if (!isClean(outcome)) process.exitCode = 1;
  } finally {
    if (options.keep !== true) await deployment.lab.down();
  }
}

const limit = ({ lab }: Deployment, n: number): Promise<CrashLimit[]> => {
  const network = resourceName(lab.name);
  return measureCrashLimit({ daemon: lab.hostDocker, network, image: productImage }, n);
};

/** What heartbeats, leases and decisions of three servers take while nothing happens. */
async function steady(deployment: Deployment): Promise<number> {
  const [shape] = shapes;
  if (shape === undefined) throw new Error('no cluster to watch');
  await (await MatrixCluster.create(deployment, shape)).settled();
  await pause(steadySeconds * 1000);
  const idle = await measureIdle(deployment.lab, steadySeconds);
  return idle.reduce((sum, { processorPercent }) => sum + processorPercent, 0);
}

/** In words that need no knowledge of this machine. */
const circumstances = ({ n, cells }: Options): string => {
  const chosen = cells === mainCells.join(',') ? '' : ` --cells ${cells}`;
  const processors = cpus();
  const date = new Date().toISOString().slice(0, 10);
  const machine = `${processors.length} cores (${processors[0]?.model.trim() ?? 'unknown'})`;
  return `\`npm run bench:failover -- -n ${n}${chosen}\`, ${date}, three nodes on one machine with ${machine}`;
};

function isClean({ results, failures }: Outcome): boolean {
  const wrong = results.flatMap((result) =>
    violations(result).map((text) => `${result.cell.name} ${result.repetition}: ${text}`),
  );
  for (const text of [...failures, ...wrong]) note(text);
  return failures.length + wrong.length === 0;
}

main(program.parse().opts<Options>()).catch((error: unknown) => {
  if (error instanceof LabError) note(error.message);
  else console.error(error);
  process.exitCode = 1;
});
