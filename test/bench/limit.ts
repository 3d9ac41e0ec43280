/**
 * The limit: a switchover of two plain servers, orchestrated by hand without any delay, on the same
 * machine with the same image and the same writer. Run alone: `ts-node test/bench/limit.ts -n 20`.
 */
import { Command, Option } from 'commander';
import { listNodes, removeAll, ensureNetwork, resourceName } from '../lab/nodes';
import { ensureDaemon } from '../lab/host-docker';
import { productImage } from '../lab/images';
import { HandMadePair } from './hand-made-pair';
import { type LoadOptions, type Place } from './load';
import { runPhase, type Phase } from './phase';
import { loadName } from './results';
import { summarise } from './statistics';
import { table } from './table';
import { type SwitchTimes } from './two-postmasters';

/** One phase for each load, on one pair of servers. */
export async function measureLimit(
  place: Place,
  n: number,
  loads: readonly (LoadOptions | null)[],
): Promise<Phase<SwitchTimes>[]> {
  const pair = await HandMadePair.start(place);
  const subject = { name: 'by hand', uri: pair.uri, switchOver: () => pair.switchOver() };
  try {
    const phases: Phase<SwitchTimes>[] = [];
    for (const load of loads) phases.push(await runPhase(subject, { n, load, place }));
    return phases;
  } finally {
    await pair.remove();
  }
}

const parts: Readonly<Record<string, (change: Phase<SwitchTimes>['changes'][number]) => number>> = {
  'write gap': ({ gapMs }) => gapMs,
  '– stop': ({ detail }) => detail.stopMs,
  '– replay of the shutdown checkpoint': ({ detail }) => detail.replayMs,
  '– promote until writable': ({ detail }) => detail.promoteMs,
  '– first write elsewhere': ({ gapMs, detail: { stopMs, replayMs, promoteMs } }) =>
    gapMs - stopMs - replayMs - promoteMs,
  'before: checkpoint': ({ detail }) => detail.checkpointMs,
  'before: lag': ({ detail }) => detail.lagMs,
  'after: old primary streams again': ({ detail }) => detail.rejoinMs,
};

/** Rows of the table that says where the time goes. */
export function limitRows(phases: readonly Phase<SwitchTimes>[]): string[][] {
  return phases.flatMap((phase) =>
    Object.entries(parts).map(([what, valueOf]) => {
      const summary = summarise(phase.changes.map(valueOf));
      const values = [summary?.n, summary?.median, summary?.min, summary?.max];
      return [what, loadName(phase.load), ...values.map((value) => value?.toFixed(0) ?? '–')];
    }),
  );
}

interface Options {
  readonly n: number;
  readonly lab: string;
  readonly clients: number;
  readonly scale: number;
  readonly output: 'table' | 'json';
}

async function main(): Promise<void> {
  const program = new Command('limit')
    .option('-n <count>', 'switchovers in each phase', Number, 20)
    .option('--lab <name>', 'use the network of this lab', 'limit')
    .option('--clients <count>', 'of pgbench; 0 leaves that phase out', Number, 4)
    .option('--scale <factor>', 'of pgbench', Number, 10)
    .addOption(new Option('-o, --output <format>').choices(['table', 'json']).default('table'))
    .parse();
  const { n, lab, clients, scale, output } = program.opts<Options>();
  const daemon = await ensureDaemon();
  await ensureNetwork(daemon, lab);
  try {
    const place = { daemon, network: resourceName(lab), image: productImage };
    const loads = clients === 0 ? [null] : [null, { clients, scale }];
    const phases = await measureLimit(place, n, loads);
    if (output === 'json') console.log(JSON.stringify(phases, null, 2));
    else console.log(table(['ms', 'load', 'n', 'median', 'min', 'max'], limitRows(phases)));
    if (phases.some(({ lost }) => lost > 0)) process.exitCode = 1;
  } finally {
    if ((await listNodes(daemon, lab)).length === 0) await removeAll(daemon, lab);
  }
}

if (require.main === module) {
  main().catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  });
}
