/** `pgswarm __complete`: asked by the shells' scripts at every tab, so it is quick, and never complains. */
import { type Command } from 'commander';
import { specRecordName } from '../../core/names';
import { upgradedSpec, type SpecRecord } from '../../core/spec';
import { clusterNames } from '../cluster';
import { complete, completionText, type Names } from '../completion';
import { DONE, type ExitCode } from '../exit';
import { type CliPorts } from '../ports';

/** Who waits longer for a name has typed it. */
const PATIENCE_MS = 1_500;

export async function run(
  ports: CliPorts,
  program: Command,
  words: readonly string[],
): Promise<ExitCode> {
  const text = completionText(await complete(program, words, namesIn(ports)));
  if (text !== '') ports.output.print(text);
  return DONE;
}

function namesIn({ connect }: CliPorts): Names {
  const patient = async (look: () => Promise<readonly string[]>): Promise<readonly string[]> => {
    const late = new Promise<[]>((resolve) => {
      setTimeout(resolve, PATIENCE_MS, []).unref();
    });
    // No Swarm, no names: a tab is no place for an error.
    return Promise.race([
      Promise.resolve()
        .then(look)
        .catch(() => []),
      late,
    ]);
  };
  return {
    clusters: () => patient(() => clusterNames(connect().store)),
    servers: (cluster) =>
      patient(async () => {
        const record = await connect().store.read<SpecRecord>(specRecordName(cluster));
        return record === null
          ? []
          : upgradedSpec(record.value).spec.servers.map(({ name }) => name);
      }),
    nodes: (cluster) =>
      patient(async () => (await connect().observe(cluster)).nodes.map(({ hostname }) => hostname)),
  };
}
