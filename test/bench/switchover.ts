/**
 * `npm run bench:switchover`: how long writes stop in a switchover by pgswarm, against the limit
 * that a switchover by hand reaches in the same run; and what pgswarm takes while nothing happens.
 */
import { Command, Option } from 'commander';
import { join } from 'node:path';
import { seconds, step } from '../lab/progress';
import { LabError } from '../lab/shell';
import { repository } from '../lab/stage';
import { measureIdle } from './idle';
import { Installation } from './installation';
import { measureLimit } from './limit';
import { type LoadOptions } from './load';
import { ManagedPair, type Reported } from './managed-pair';
import { runPhase, type Phase } from './phase';
import { report } from './report';
import { loadName, lostWrites, targets, type Results } from './results';
import { type SwitchTimes } from './two-postmasters';

interface Options {
  readonly lab?: string;
  readonly n: number;
  readonly file: string;
  readonly keep?: boolean;
  readonly image: 'build' | 'existing';
  readonly clients: number;
  readonly scale: number;
  readonly idle: number;
  readonly output: 'table' | 'json';
}

const ownLab = 'bench';

const program = new Command('bench:switchover')
  .option('--lab <name>', 'use this lab, with its operator, and leave it up')
  .option('-n <count>', 'switchovers in each phase', Number, 20)
  .option('-f, --file <file>', 'the cluster', join(repository, 'examples/pair.yaml'))
  .option('--keep', `leave the lab "${ownLab}" up`)
  .addOption(
    new Option('--image <how>', 'the product image of the own lab')
      .choices(['build', 'existing'])
      .default('build'),
  )
  .option('--clients <count>', 'of pgbench; 0 leaves that phase out', Number, 4)
  .option('--scale <factor>', 'of pgbench: 15 MB each', Number, 10)
  .option('--idle <seconds>', 'how long to watch the idle processes', Number, 30)
  .addOption(new Option('-o, --output <format>').choices(['table', 'json']).default('table'));

async function main(options: Options): Promise<void> {
  const installation =
    options.lab === undefined
      ? await Installation.create(ownLab, options.image)
      : await Installation.find(options.lab);
  try {
    const results = await measure(installation, options);
    const all = { ...results, targets: targets(results) };
    console.log(options.output === 'json' ? JSON.stringify(all, null, 2) : report(results));
    if (lostWrites(results) > 0) process.exitCode = 1;
  } finally {
    if (options.lab === undefined && options.keep !== true) await installation.lab.down();
  }
}

async function measure(installation: Installation, options: Options): Promise<Results> {
  const { clients, scale } = options;
  const pair = new ManagedPair(installation, options.file);
  const isNew = (await installation.status(pair.cluster)) === null;
  const newPairMs = isNew ? await step('making a new pair', () => pair.create()) : null;
  const idle = await step(`watching idle processes for ${seconds(options.idle * 1000)}`, () =>
    measureIdle(installation.lab, options.idle),
  );
  const limit: Phase<SwitchTimes>[] = [];
  const pgswarm: Phase<Reported>[] = [];
  for (const load of clients === 0 ? [null] : [null, { clients, scale }]) {
    // One after the other: what else the machine does is most likely the same for both.
    const { place } = installation;
    limit.push(
      ...(await step(`the limit, ${loadName(load)}`, () => measureLimit(place, options.n, [load]))),
    );
    pgswarm.push(
      await step(`pgswarm, ${loadName(load)}`, () =>
        managed(installation, pair, { n: options.n, load }),
      ),
    );
  }
  await pair.restore();
  return { limit, pgswarm, newPairMs, idle };
}

async function managed(
  installation: Installation,
  pair: ManagedPair,
  options: { readonly n: number; readonly load: LoadOptions | null },
): Promise<Phase<Reported>> {
  const { place } = installation;
  const subject = {
    name: 'pgswarm',
    uri: await pair.uri(),
    switchOver: (isOver: Promise<unknown>) => pair.switchOver(isOver),
  };
  return runPhase(subject, { ...options, place });
}

main(program.parse().opts<Options>()).catch((error: unknown) => {
  if (error instanceof LabError) process.stderr.write(`${error.message}\n`);
  else console.error(error);
  process.exitCode = 1;
});
