/** What pgswarm's own processes take while nothing happens, read from /proc inside the nodes. */
import { type Lab } from '../lab/lab';
import { pause } from '../lab/shell';

export type Program = 'operator' | 'instance';

/** One process over a time of idleness. */
export interface Idle {
  readonly node: string;
  readonly program: Program;
  readonly residentMb: number;
  /** Of one core. */
  readonly processorPercent: number;
}

interface Sample {
  readonly node: string;
  readonly program: Program;
  readonly pid: string;
  readonly residentKb: number;
  readonly ticks: number;
}

/** Linux counts processor time in these for every program. */
const ticksPerSecond = 100;

// Columns 14 and 15 of stat are the ticks in user and kernel mode (manual page proc(5)); the name
// in column 2 is `node` and has no spaces.
const script = `for p in /proc/[0-9]*; do
  line=$(tr '\\0' ' ' < $p/cmdline 2> /dev/null) || continue
  case $line in
    node\\ */dist/main.js\\ operator*) program=operator ;;
    node\\ */dist/main.js\\ instance*) program=instance ;;
    *) continue ;;
  esac
  resident=$(awk '/^VmRSS/ { print $2 }' $p/status)
  ticks=$(awk '{ print $14 + $15 }' $p/stat)
  echo "$program \${p#/proc/} $resident $ticks"
done`;

/** Watches every process for so long; nothing else should happen in the lab. */
export async function measureIdle(lab: Lab, seconds: number): Promise<Idle[]> {
  const startedMs = performance.now();
  const before = await sample(lab);
  await pause(seconds * 1000);
  const after = await sample(lab);
  const elapsedSeconds = (performance.now() - startedMs) / 1000;
  return after.flatMap(({ node, program, pid, residentKb, ticks }) => {
    const earlier = before.find((each) => each.node === node && each.pid === pid);
    if (earlier === undefined) return [];
    const processorSeconds = (ticks - earlier.ticks) / ticksPerSecond;
    const processorPercent = (100 * processorSeconds) / elapsedSeconds;
    return [{ node, program, residentMb: residentKb / 1024, processorPercent }];
  });
}

async function sample(lab: Lab): Promise<Sample[]> {
  const samples = await Promise.all(
    lab.nodes().map(async (node) => {
      const { stdout } = await lab.exec(node, ['sh', '-c', script]);
      return parseSamples(node, stdout);
    }),
  );
  return samples.flat();
}

function parseSamples(node: string, text: string): Sample[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const [program = '', pid = '', residentKb, ticks] = line.split(' ');
    return {
      ...{ node, pid, residentKb: Number(residentKb), ticks: Number(ticks) },
      program: program as Program,
    };
  });
}
