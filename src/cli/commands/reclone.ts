/** `pgswarm reclone`: a person says that the data of a standby is gone. */
import { OperatingError } from '../../core/errors';
import { stateRecordName } from '../../core/names';
import { type ClusterState } from '../../core/state';
import { volumeForgotten, withEvent } from '../../core/transitions';
import { type StoredRecord } from '../../core/ports';
import { readSpec } from '../cluster';
import { confirm } from '../confirm';
import { DONE, refusal, type ExitCode } from '../exit';
import { type CliPorts } from '../ports';
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
  const state = await store.read<ClusterState>(stateRecordName(cluster));
  refuseUnfit(state?.value ?? null, server);
  const warning = `${server} is cloned again from the primary. What only its old volume holds is given up.`;
  if (options.yes !== true) await confirm(ports, { warning, word: server });
  if (state !== null) await forgetVolume(ports, state, server);
  // The leader reads a cluster's records again when its spec is written.
  await store.update(spec, spec.value);
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

async function forgetVolume(
  { connect, now }: CliPorts,
  record: StoredRecord<ClusterState>,
  server: string,
): Promise<void> {
  const message = `a person has said that the data of ${server} is gone; it may be cloned again`;
  const event = { at: now().toISOString(), rule: 'reclone', message };
  try {
    await connect().store.update(record, withEvent(volumeForgotten(record.value, server), event));
  } catch (error) {
    if (!(error instanceof OperatingError) || error.kind !== 'stale') throw error;
    throw refusal('Stale', 'The cluster’s record was written at the same time: try again.');
  }
}
