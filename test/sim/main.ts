/** `npm run sim`: many seeds, or one of them again with everything that happens in it. */
import { parseArgs } from 'node:util';
import { runSeed, type RunOptions } from './run';

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
  if (values.replay !== undefined) {
    return await replay(Number(values.replay), { servers, trace: values.trace ? print : null });
  }
  const from = Number(values.from);
  return await runMany(from, from + Number(values.seeds) - 1, { servers, trace: null });
}

async function replay(seed: number, options: RunOptions): Promise<number> {
  const { violation, faults } = await runSeed(seed, options);
  console.log(`seed ${seed}: ${faults.join(', ')}`);
  if (violation === null) console.log('no invariant was violated');
  else console.log(`${violation.invariant} at ${violation.atMs} ms: ${violation.what}`);
  return violation === null ? 0 : 1;
}

async function runMany(from: number, to: number, options: RunOptions): Promise<number> {
  const beganAt = process.hrtime.bigint();
  const violations = new Map<string, number>();
  let events = 0;
  let simulatedMs = 0;
  for (let seed = from; seed <= to; seed += 1) {
    const outcome = await runSeed(seed, options);
    events += outcome.events;
    simulatedMs += outcome.simulatedMs;
    const { violation } = outcome;
    if (violation === null) continue;
    violations.set(violation.invariant, (violations.get(violation.invariant) ?? 0) + 1);
    console.log(`seed ${seed}, ${violation.atMs} ms, ${violation.invariant}: ${violation.what}`);
  }
  const seconds = Number(process.hrtime.bigint() - beganAt) / 1e9;
  const count = to - from + 1;
  const perSeed = Math.round((seconds * 1000) / count);
  console.log(
    `${count} seeds in ${Math.round(seconds)} s (${perSeed} ms each, ${Math.round(events / count)} events, ${Math.round(simulatedMs / count / 1000)} simulated s): ` +
      ([...violations].map(([name, times]) => `${name} ${times}`).join(', ') || 'no violation'),
  );
  return violations.size === 0 ? 0 : 1;
}

function print(atMs: number, who: string, text: string): void {
  console.log(`${atMs.toFixed(1).padStart(10)} ${who.padEnd(14)} ${text}`);
}

void main().then((code) => {
  process.exitCode = code;
});
