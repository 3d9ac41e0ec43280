/** Many seeds in several programs, as many as there are processors. */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Violation } from './run';

export interface FarmOptions {
  readonly from: number;
  readonly seeds: number;
  readonly servers: 2 | 3 | null;
  readonly onViolation: (violation: Violation) => void;
}

export interface Harvest {
  readonly seeds: number;
  readonly violations: readonly Violation[];
  readonly events: number;
  readonly simulatedMs: number;
}

/** A line of a worker: what came out of one seed. */
export interface Line {
  readonly violation: Violation | null;
  readonly events: number;
  readonly simulatedMs: number;
}

const WORKER = join(__dirname, 'worker.ts');
/** The game makes much garbage, nearly all of it short-lived. */
const NODE_OPTIONS = ['--max-semi-space-size=64', '--require', 'ts-node/register/transpile-only'];

/** Worker `n` of `m` takes every `m`-th seed. */
export async function harvest(options: FarmOptions): Promise<Harvest> {
  const workers = Math.min(availableParallelism(), Math.max(1, Math.floor(options.seeds / 20)));
  const lines: Line[] = [];
  const take = (line: Line): void => {
    lines.push(line);
    if (line.violation !== null) options.onViolation(line.violation);
  };
  await Promise.all(
    Array.from({ length: workers }, (_, index) => runWorker(options, index, workers, take)),
  );
  const sum = (of: (line: Line) => number): number =>
    lines.reduce((total, line) => total + of(line), 0);
  return {
    seeds: lines.length,
    violations: lines.flatMap(({ violation }) => (violation === null ? [] : [violation])),
    events: sum(({ events }) => events),
    simulatedMs: sum(({ simulatedMs }) => simulatedMs),
  };
}

/** A program runs only so many: worlds leave things behind. */
const SEEDS_A_PROGRAM = 500;

async function runWorker(
  options: FarmOptions,
  index: number,
  workers: number,
  take: (line: Line) => void,
): Promise<void> {
  const end = options.from + options.seeds;
  const step = SEEDS_A_PROGRAM * workers;
  for (let from = options.from + index; from < end; from += step) {
    await runProgram([from, Math.min(from + step, end), workers, options.servers ?? 0], take);
  }
}

async function runProgram(plan: readonly number[], take: (line: Line) => void): Promise<void> {
  const child = spawn(process.execPath, [...NODE_OPTIONS, WORKER, ...plan.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  createInterface(child.stdout).on('line', (line) => take(JSON.parse(line) as Line));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`a program that runs seeds has ended with ${String(code)}`);
}
