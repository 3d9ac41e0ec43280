/** `pgswarm reclone`: a person says that the data of a standby is gone. */
import { type ClusterState } from '../../core/state';
import { volumeForgotten } from '../../core/transitions';
import { readSpec, readState } from '../cluster';
import { confirm } from '../confirm';
import { DONE, refusal, type ExitCode } from '../exit';
import { type CliPorts } from '../ports';
import { fileWish } from '../record';
import { serverNamed } from '../servers';

export interface RecloneOptions {
  readonly yes?: boolean;
}

export async function run(
  ports: CliPorts,
  cluster: string,
  server: string,
  options: RecloneOptions,
): Promise<ExitCode> {
  const { store } = ports.connect();
  const spec = await readSpec(store, cluster);
  serverNamed(spec.value.spec, server);
  refuseUnfit((await readState(store, cluster))?.value ?? null, server);
  const warning = `${server} is cloned again from the primary. What only its old volume holds is given up.`;
  if (options.yes !== true) await confirm(ports, { warning, word: server });
  await fileWish(ports, cluster, {
    verb: 'reclone',
    message: `a person has said that the data of ${server} is gone; it may be cloned again`,
    grant: (state) => {
      refuseUnfit(state, server);
      return volumeForgotten(state, server);
    },
  });
  ports.output.print(`${server} is cloned again as soon as its volume is seen to be empty.`);
  return DONE;
}

function refuseUnfit(state: ClusterState | null, server: string): void {
  if (state?.primary === server) {
    const sentence = `${server} is the primary: it is what the others are cloned from. Declare another primary first.`;
    throw refusal('IsPrimary', sentence);
  }
  if (state?.change?.to === server) {
    throw refusal('SwitchoverUnderWay', `${server} is about to become primary.`);
  }
  if (state?.volumes[server] === undefined) {
    throw refusal('NothingKnown', `No data of ${server} is on record: it is cloned by itself.`);
  }
}
