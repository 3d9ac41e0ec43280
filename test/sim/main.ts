/** `npm run sim`: many seeds, or one of them again with everything that happens in it. */
import { parseArgs } from 'node:util';
import { harvest } from './farm';
import { runSeed, type RunOptions, type Violation } from './run';

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1000' },
      from: { type: 'string', default: '1' },
      servers: { type: 'string' },
      replay: { type: 'string' },
      trace: { type: 'boolean', default: false },
    },
  });
  const servers = values.servers === undefined ? null : values.servers === '2' ? 2 : 3;
  return values.replay === undefined
    ? await runMany(Number(values.from), Number(values.seeds), servers)
    : await replay(Number(values.replay), { servers, trace: values.trace ? print : null });
}

async function replay(seed: number, options: RunOptions): Promise<number> {
  const { violation, faults } = await runSeed(seed, options);
  console.log(`seed ${seed}: ${faults.join(', ')}`);
  console.log(violation === null ? 'no invariant was violated' : inWords(violation));
  return violation === null ? 0 : 1;
}

async function runMany(from: number, seeds: number, servers: 2 | 3 | null): Promise<number> {
  const beganAtMs = performance.now();
  const onViolation = (violation: Violation): void => console.log(inWords(violation));
  const { violations, events, simulatedMs } = await harvest({ from, seeds, servers, onViolation });
  const seconds = (performance.now() - beganAtMs) / 1000;
  const [hours, perSeed] = [simulatedMs / 3_600_000, Math.round(events / seeds)];
  console.log(
    `${seeds} seeds in ${seconds.toFixed(0)} s: ${hours.toFixed(1)} simulated hours, ${perSeed} events a seed, ${violations.length} violations`,
  );
  const [first] = violations;
  if (first !== undefined) await showLast(first, servers);
  return violations.length === 0 ? 0 : 1;
}

/** The last part of the trace of a seed. */
async function showLast({ seed }: Violation, servers: 2 | 3 | null): Promise<void> {
  const last: (readonly [number, string, string])[] = [];
  const trace: RunOptions['trace'] = (...line) => {
    last.push(line);
    if (last.length > LAST_LINES) last.shift();
  };
  await runSeed(seed, { servers, trace });
  console.log(`\nThe end of seed ${seed}; all of it: npm run sim -- --replay ${seed} --trace`);
  for (const line of last) print(...line);
}

const LAST_LINES = 60;

const inWords = ({ seed, atMs, invariant, what }: Violation): string =>
  `seed ${seed}, ${(atMs / 1000).toFixed(3)} s, ${invariant}: ${what}`;

function print(atMs: number, who: string, text: string): void {
  console.log(`${atMs.toFixed(1).padStart(10)} ${who.padEnd(14)} ${text}`);
}

void main().then((code) => {
  process.exitCode = code;
});
