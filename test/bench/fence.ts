/**
 * How long PostgreSQL takes to be gone: the margins of a lease (`src/core/lease.ts`) are chosen by
 * these figures. Real PostgreSQL with writing sessions on this machine, alone and with busy programs
 * beside it; no Docker. `npm run bench:fence -- -n 20`.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { killProcessesIn } from '../../src/adapters/postgres/processes';
import { type BareManager } from '../integration/support/bare-manager';
import { BareServer, signal } from '../integration/support/bare-server';
import { findBinDirectory, runAs } from '../integration/support/instance-process';
import { note } from '../lab/progress';
import { summarise } from './statistics';
import { table } from './table';

interface Options {
  readonly n: number;
  readonly sessions: number;
}

interface Scene {
  readonly server: BareServer;
  readonly manager: BareManager;
}

/** A deadline that passes while everything is frozen. */
const HOLD_MS = 200;
const FROZEN_MS = 500;
/** Programs per core that want it all. */
const BUSY_PER_CORE = 2;
/** Until the benchmark has ended, however it ends. */
const BUSY = 'while kill -0 $PPID; do :; done';

/** Each begins with writing sessions, and resolves with how long it took until nothing was left. */
const WAYS: Readonly<Record<string, (scene: Scene) => Promise<number>>> = {
  'SIGINT: a fast stop': (scene) => timeOf(scene, 'SIGINT'),
  'SIGQUIT: an immediate stop': (scene) => timeOf(scene, 'SIGQUIT'),
  'SIGKILL, until it is sent to all': async ({ server }) => {
    const beganAtMs = performance.now();
    const gone = killProcessesIn(server.directory);
    const sentAtMs = performance.now();
    await gone;
    return sentAtMs - beganAtMs;
  },
  'SIGKILL to every process': async ({ server }) => {
    const beganAtMs = performance.now();
    await killProcessesIn(server.directory);
    return performance.now() - beganAtMs;
  },
  'the guard, from its deadline': async ({ server, manager }) => {
    const deadlineMs = performance.now() + HOLD_MS;
    await manager.call({ kind: 'hold', inMs: HOLD_MS });
    return (await server.gone()) - deadlineMs;
  },
  'the guard, from a thaw after it': async ({ server, manager }) => {
    await manager.call({ kind: 'hold', inMs: HOLD_MS });
    const frozen = [manager.pid, manager.guardPid, ...server.processes];
    for (const pid of frozen) signal(pid, 'SIGSTOP');
    await sleep(FROZEN_MS);
    const thawedAtMs = performance.now();
    for (const pid of frozen.toReversed()) signal(pid, 'SIGCONT');
    return (await server.gone()) - thawedAtMs;
  },
};

async function timeOf({ server }: Scene, name: NodeJS.Signals): Promise<number> {
  const beganAtMs = performance.now();
  process.kill(server.postmasterPid, name);
  return (await server.gone()) - beganAtMs;
}

async function measure(
  server: BareServer,
  { n, sessions }: Options,
  way: (scene: Scene) => Promise<number>,
): Promise<number[]> {
  const times: number[] = [];
  while (times.length < n) {
    const manager = await server.manager();
    try {
      await manager.call({ kind: 'start' });
      await server.write(sessions);
      times.push(await way({ server, manager }));
    } finally {
      await server.end(manager);
    }
  }
  return times;
}

function beBusy(): ChildProcess[] {
  const count = availableParallelism() * BUSY_PER_CORE;
  return Array.from({ length: count }, () => spawn('sh', ['-c', BUSY]));
}

async function rows(server: BareServer, options: Options, load: string): Promise<string[][]> {
  const result: string[][] = [];
  for (const [name, way] of Object.entries(WAYS)) {
    const summary = summarise(await measure(server, options, way));
    const values = [summary?.n, summary?.median, summary?.min, summary?.max];
    result.push([name, load, ...values.map((value) => value?.toFixed(0) ?? '–')]);
    note(result.at(-1)?.join('  ') ?? '');
  }
  return result;
}

async function main(): Promise<void> {
  const options = new Command('fence')
    .option('-n <count>', 'how often each', Number, 10)
    .option('--sessions <count>', 'that write', Number, 50)
    .parse()
    .opts<Options>();
  const binDirectory = findBinDirectory();
  if (binDirectory === null || runAs() === null) {
    throw new Error('needs PostgreSQL under /usr/lib/postgresql and the user postgres');
  }
  const server = await BareServer.create(binDirectory);
  const busy: ChildProcess[] = [];
  try {
    const quiet = await rows(server, options, 'none');
    busy.push(...beBusy());
    const loaded = await rows(server, options, `${busy.length} busy programs`);
    console.log(
      table(['ms until gone', 'load', 'n', 'median', 'min', 'max'], [...quiet, ...loaded]),
    );
  } finally {
    for (const program of busy) program.kill('SIGKILL');
    server.remove();
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
