/**
 * `npm run bench:scale`: what one operator takes for many clusters. The operator is the real program,
 * Docker is a stand-in, and the servers are real hearts that beat for no PostgreSQL.
 */
import { type ChildProcess } from 'node:child_process';
import { Command } from 'commander';
import { note, seconds } from '../lab/progress';
import { pairs, ROOT_KEY } from './scale/clusters';
import { DockerStandIn } from './scale/docker';
import * as programs from './scale/programs';
import { type Round, type Watched } from './scale/programs';
import { head, row, type Figures, type FullRound } from './scale/report';
import { furnish, runAlone } from './scale/room';

interface Options {
  readonly n: readonly number[];
  readonly seconds: number;
  readonly rounds: number;
  readonly profile?: string;
}

const DOCKER_SOCKET = '/run/docker.sock';
/** An operator that has not decided on all of its clusters by then never will. */
const START_MAX_MS = 120_000;

async function measure(clusters: number, options: Options): Promise<Figures> {
  const docker = new DockerStandIn(pairs(clusters));
  await docker.listen(DOCKER_SOCKET);
  const fleet = programs.startPart('fleet', clusters);
  const children = [fleet];
  const started = (child: ChildProcess): ChildProcess => {
    children.push(child);
    return child;
  };
  try {
    const bare = started(programs.startPart('bare', clusters));
    await programs.word(fleet);
    const baseline = await programs.watch(bare, options.seconds);
    await programs.end(bare);
    const operator = started(
      programs.startOperator(clusters, {
        dockerSocket: DOCKER_SOCKET,
        nodeFlags: profiling(options.profile),
      }),
    );
    const { wallMs: startMs } = (await programs.word(operator, START_MAX_MS)) as Round;
    note(`${clusters} clusters: decided after ${seconds(startMs)}`);
    await programs.watch(operator, options.seconds);
    const [steady, rounds]: [Watched[], FullRound[]] = [[], []];
    while (rounds.length < options.rounds) {
      steady.push(await programs.watch(operator, options.seconds));
      rounds.push(await fullRound(operator, docker));
    }
    return { clusters, startMs, baseline, steady, rounds };
  } finally {
    // The servers first: whose leader has gone looks for another one.
    for (const child of children) await programs.end(child);
    docker.close();
  }
}

const profiling = (folder: string | undefined): readonly string[] =>
  folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`];

/** A node has changed: every cluster looks at everything, and decides again. */
async function fullRound(operator: ChildProcess, docker: DockerStandIn): Promise<FullRound> {
  const armed = programs.word(operator);
  operator.send('count from now');
  await armed;
  const before = docker.requests;
  const over = programs.word(operator);
  docker.announce('node', 'n1');
  const round = (await over) as Round;
  return { ...round, requests: docker.requests - before };
}

async function main(): Promise<void> {
  const options = new Command('bench:scale')
    .option('-n <counts>', 'of clusters', (text) => text.split(',').map(Number), [1, 10, 100, 500])
    .option('--seconds <count>', 'how long to watch each time', Number, 20)
    .option('--rounds <count>', 'how often', Number, 3)
    .option('--profile <folder>', "of the operator's processor time, for Chromium's DevTools")
    .parse()
    .opts<Options>();
  const alone = runAlone();
  if (alone !== null) {
    process.exitCode = alone;
    return;
  }
  furnish(ROOT_KEY);
  console.log(head);
  for (const clusters of options.n) console.log(row(await measure(clusters, options)));
}

main().then(
  () => process.exit(),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
