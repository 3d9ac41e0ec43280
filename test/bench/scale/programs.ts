/** The processes of the benchmark, and what the kernel says that they take. */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { repository } from '../../lab/stage';
import { summarise, type Summary } from '../statistics';
import { IMAGE, OPERATOR_NODE } from './clusters';

/** What the whole operator took for one round, measured inside of it. */
export interface Round {
  readonly wallMs: number;
  readonly cpuMs: number;
}

/** A process over a time in which nothing happens. */
export interface Watched {
  /** Of one core. */
  readonly processorPercent: number;
  readonly residentMb: Summary;
}

/** Linux counts processor time in these for every program. */
const TICKS_PER_SECOND = 100;
const SAMPLE_MS = 250;
const WORD_MAX_MS = 60_000;

/** The real program, as its image starts it, with a probe inside. */
export function startOperator(
  clusters: number,
  {
    dockerSocket,
    nodeFlags,
  }: { readonly dockerSocket: string; readonly nodeFlags: readonly string[] },
): ChildProcess {
  const probe = join(__dirname, 'probe.cjs');
  const main = join(repository, 'dist/main.js');
  const flags = ['--max-semi-space-size=1', ...nodeFlags, '--require', probe, main, 'operator'];
  return spawn(process.execPath, flags, {
    env: {
      PATH: process.env['PATH'],
      MALLOC_ARENA_MAX: '2',
      DOCKER_HOST: `unix://${dockerSocket}`,
      PGSWARM_NODE: OPERATOR_NODE,
      PGSWARM_IMAGE: IMAGE,
      PGSWARM_METRICS_PORT: 'off',
      PGSWARM_LOG_LEVEL: process.env['PGSWARM_LOG_LEVEL'] ?? 'warn',
      PGSWARM_BENCH_CLUSTERS: String(clusters),
    },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

/** `fleet` or `bare`, for so many clusters. */
export const startPart = (part: string, clusters: number): ChildProcess =>
  fork(join(__dirname, `${part}.ts`), [String(clusters)], {
    execArgv: ['--require', 'ts-node/register/transpile-only'],
  });

/** The next thing that it says; rejects when it ends without a word, or has nothing to say in time. */
export async function word(child: ChildProcess, limitMs = WORD_MAX_MS): Promise<unknown> {
  const signal = AbortSignal.timeout(limitMs);
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`${child.spawnargs.join(' ')} has ended with ${String(code)}`);
  });
  const [said] = (await Promise.race([once(child, 'message', { signal }), ended])) as unknown[];
  return said;
}

/** Ends it, in order: a profile is written at the end. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
}

export async function watch({ pid }: ChildProcess, seconds: number): Promise<Watched> {
  const folder = `/proc/${pid ?? ''}`;
  const endMs = performance.now() + seconds * 1000;
  const [beganMs, before] = [performance.now(), ticksOf(folder)];
  const resident: number[] = [];
  while (performance.now() < endMs) {
    resident.push(residentMbOf(folder));
    await pause(SAMPLE_MS);
  }
  const used = (ticksOf(folder) - before) / TICKS_PER_SECOND;
  const processorPercent = (100 * used) / ((performance.now() - beganMs) / 1000);
  const residentMb = summarise(resident);
  if (residentMb === null) throw new Error(`${seconds} s are too short to see anything`);
  return { processorPercent, residentMb };
}

// Columns 14 and 15 are the ticks in user and kernel mode (manual page proc(5)).
function ticksOf(folder: string): number {
  const columns = readFileSync(`${folder}/stat`, 'utf8').split(' ');
  return Number(columns[13]) + Number(columns[14]);
}

function residentMbOf(folder: string): number {
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`${folder}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
}
