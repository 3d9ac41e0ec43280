/** Runs some of the seeds; a line of JSON for each. Arguments: from, to (excluded), step, servers. */
import { runSeed } from './run';

async function main([from = 1, to = 2, step = 1, servers = 0]: readonly number[]): Promise<void> {
  for (let seed = from; seed < to; seed += step) {
    const options = {
      servers: servers === 2 || servers === 3 ? servers : null,
      trace: null,
    } as const;
    const { violation, events, simulatedMs } = await runSeed(seed, options);
    console.log(JSON.stringify({ violation, events, simulatedMs }));
  }
  // What a world has left behind must not keep the program.
  process.stdout.write('', () => process.exit(0));
}

void main(process.argv.slice(2).map(Number));
