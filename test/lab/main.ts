/** `npm run lab -- …`: the lab from the command line. */
import { Command, Option } from 'commander';
import Table from 'cli-table3';
import { showDocker } from './docker';
import { ensureDaemon } from './host-docker';
import { buildProductImage } from './images';
import { Lab, type NodeStatus, type UpOptions } from './lab';
import { note, seconds } from './progress';
import { LabError } from './shell';

interface Named {
  readonly name: string;
}

const program = new Command('lab')
  .description(
    'A real Docker Swarm on this machine that can be broken in every way a real one can.',
  )
  .enablePositionalOptions();

function command(usage: string, description: string): Command {
  return program
    .command(usage)
    .description(description)
    .addOption(new Option('--name <lab>', 'which lab').default('lab').env('PGSWARM_LAB'));
}

async function existing(options: Named): Promise<Lab> {
  const lab = await Lab.find(options.name);
  if (lab === null || lab.nodes().length === 0) {
    throw new LabError(
      `No lab "${options.name}" is up: run \`npm run lab -- up --name ${options.name}\`.`,
    );
  }
  return lab;
}

command('up', 'create or complete the lab, and load the product image into its nodes')
  .option('--nodes <count>', 'how many nodes, all of them managers (default: 3)', Number)
  .option('--program <folder>', 'put this compiled program into the image instead of src')
  .addOption(
    new Option('--image <how>', 'the product image')
      .choices(['build', 'existing', 'none'])
      .default('build'),
  )
  .action(async (options: Named & UpOptions) => {
    const startedMs = performance.now();
    const lab = await Lab.open(options.name);
    await lab.up(options);
    print(await lab.status());
    note(`the lab ${lab.name} is up after ${seconds(performance.now() - startedMs)}`);
    note(`eval "$(npm run --silent lab -- env --name ${lab.name})" sets DOCKER_HOST`);
  });

command('down', 'remove the lab with its data').action(async (options: Named) => {
  const lab = await Lab.find(options.name);
  if (lab === null) note('no Docker daemon runs, so there is no lab');
  else await lab.down();
});

command('status', 'a table of the nodes').action(async (options: Named) => {
  print(await (await existing(options)).status());
});

command('env', 'print the DOCKER_HOST of a manager that answers').action(async (options: Named) => {
  const host = await (await existing(options)).manager();
  if (host === null) throw new LabError(`No manager of the lab ${options.name} answers.`);
  process.stdout.write(`export DOCKER_HOST=${host}\n`);
});

command('load', 'rebuild the product image and load it into the running nodes')
  .option('--program <folder>', 'put this compiled program into the image instead of src')
  .action(async (options: Named & { program?: string }) => {
    const lab = await existing(options);
    const changed = await lab.load(await buildProductImage(lab.hostDocker, options));
    note(changed.length === 0 ? 'nothing had changed' : `loaded into ${changed.join(', ')}`);
  });

program
  .command('image')
  .description('build the product image')
  .option('--program <folder>', 'put this compiled program into the image instead of src')
  .action(async (options: { program?: string }) => {
    process.stdout.write(`${await buildProductImage(await ensureDaemon(), options)}\n`);
  });

const simple = {
  kill: 'end a node at once, as a power cut would',
  start: 'start a killed node',
  heal: 'repair a node’s network after any kind of cut',
  freeze: 'stop every process of a node without ending it',
  thaw: 'let a frozen node go on',
} as const;

for (const verb of Object.keys(simple) as (keyof typeof simple)[]) {
  command(`${verb} <node>`, simple[verb]).action(async (node: string, options: Named) => {
    await (await existing(options))[verb](node);
  });
}

command('cut <node>', 'cut a node off from all others, or from one of them')
  .option('--from <node>', 'only from this node')
  .option('--one-way', 'drop only the packets that <node> sends to the other one')
  .action(async (node: string, options: Named & { from?: string; oneWay?: boolean }) => {
    await (await existing(options)).cut(node, options);
  });

command('repair', 'thaw, start and heal every node').action(async (options: Named) => {
  await (await existing(options)).repair();
});

command('exec <node> <command...>', 'run a command inside a node (--name goes before <node>)')
  .passThroughOptions()
  .action(async (node: string, argv: string[], options: Named) => {
    const lab = await existing(options);
    const terminal = process.stdin.isTTY && process.stdout.isTTY ? ['--tty'] : [];
    const args = ['exec', '--interactive', ...terminal, lab.container(node), ...argv];
    process.exitCode = await showDocker(lab.hostDocker, args);
  });

function print(rows: readonly NodeStatus[]): void {
  const table = new Table({
    head: ['node', 'address', 'container', 'network', 'swarm', 'manager'],
    style: { head: [], border: [] },
  });
  for (const row of rows) {
    table.push([row.name, row.address, row.container, row.network, row.swarm, row.manager]);
  }
  process.stdout.write(`${table.toString()}\n`);
  if (rows.every((row) => row.swarm === 'unknown')) note('no manager answers at the moment');
}

program.parseAsync().catch((error: unknown) => {
  if (error instanceof LabError) process.stderr.write(`${error.message}\n`);
  else console.error(error);
  process.exitCode = 1;
});
