/** `pgswarm delete`: marks the spec for deletion, and tells what the operator makes of it. */
import { OperatingError } from '../../core/errors';
import { archiveVolumeName, dataVolumeName, specRecordName } from '../../core/names';
import { type SpecRecord } from '../../core/spec';
import { type StoredRecord } from '../../core/ports';
import { loadCluster, readSpec, type Known } from '../cluster';
import { type ServerView } from '../../core/situation';
import { confirm } from '../confirm';
import { DONE, refusal, type ExitCode } from '../exit';
import { type CliPorts } from '../ports';
import { createProgress } from '../progress';

export interface DeleteOptions {
  readonly volumes?: boolean;
  readonly yes?: boolean;
}

/** Services stop one after the other, and a busy primary takes up to a minute. */
const WAIT_SECONDS = 300;
const LOOK_EVERY_MS = 500;

export async function run(
  ports: CliPorts,
  cluster: string,
  options: DeleteOptions,
): Promise<ExitCode> {
  const { store } = ports.connect();
  const known = await loadCluster(ports, cluster);
  if (known.view.state.paused !== null) {
    throw refusal('Paused', `${cluster} is paused; first: pgswarm resume ${cluster}`);
  }
  const removeVolumes = options.volumes === true;
  if (options.yes !== true) {
    await confirm(ports, { warning: warningOf(known, removeVolumes), word: cluster });
  }
  await mark(ports, await readSpec(store, cluster), removeVolumes);
  await waitUntilGone(ports, cluster);
  ports.output.print(`${cluster} is deleted.`);
  ports.output.print(farewell(known, removeVolumes));
  return DONE;
}

function warningOf({ view, status }: Known, removeVolumes: boolean): string {
  const servers = view.servers.map(({ name }) => name).join(', ');
  const fate = removeVolumes
    ? 'All its data and its archive are removed: nothing can bring them back.'
    : 'Its volumes are kept.';
  return `The cluster ${view.spec.cluster} (${status.phase}; servers ${servers}) will be stopped and deleted. ${fate}`;
}

async function mark(
  ports: CliPorts,
  record: StoredRecord<SpecRecord>,
  removeVolumes: boolean,
): Promise<void> {
  const { deletion } = record.value;
  if (deletion?.removeVolumes === removeVolumes) return;
  try {
    await ports.connect().store.update(record, { ...record.value, deletion: { removeVolumes } });
  } catch (error) {
    if (!(error instanceof OperatingError) || error.kind !== 'stale') throw error;
    throw refusal('Stale', 'The spec was changed at the same time: look at it, and delete again.');
  }
}

/** Tells each thing that the operator decides; ends when the records are gone. */
async function waitUntilGone(ports: CliPorts, cluster: string): Promise<void> {
  const { store } = ports.connect();
  const startedMs = ports.clock.monotonicMs();
  const show = createProgress(ports);
  while ((await store.read(specRecordName(cluster))) !== null) {
    const sentence = await nextStep(ports, cluster);
    if (sentence !== null) show(sentence);
    if (ports.clock.monotonicMs() - startedMs > WAIT_SECONDS * 1000) {
      const text = `${cluster} is not gone after ${WAIT_SECONDS} s: ${sentence ?? ''}. The operator goes on.`;
      throw refusal('NotGoneInTime', text);
    }
    if (!(await ports.clock.pause(LOOK_EVERY_MS))) {
      throw refusal('Interrupted', 'No longer waiting; the operator goes on with the deletion.');
    }
  }
}

/** null when the records went while we looked. */
async function nextStep(ports: CliPorts, cluster: string): Promise<string | null> {
  try {
    const { silence, status } = await loadCluster(ports, cluster);
    return silence ?? status.decision.because;
  } catch (error) {
    if (error instanceof OperatingError && error.code === 'UnknownCluster') return null;
    throw error;
  }
}

/** Where the data is now, if it is anywhere. Of a server whose node is not known nothing is removed. */
function farewell({ view }: Known, areRemoved: boolean): string {
  const { cluster } = view.spec;
  const isGone = ({ nodeName }: ServerView): boolean => areRemoved && nodeName !== null;
  const volumesOf = ({ name }: ServerView): string =>
    `${dataVolumeName(cluster, name)} ${archiveVolumeName(cluster, name)}`;
  const gone = view.servers
    .filter(isGone)
    .map((server) => `  ${server.nodeName ?? ''}: ${volumesOf(server)}`);
  const kept = view.servers
    .filter((server) => !isGone(server))
    .map(
      (server) => `  on ${server.nodeName ?? 'its node'}: docker volume rm ${volumesOf(server)}`,
    );
  return [
    ...(gone.length === 0 ? [] : ['These volumes are gone:', ...gone]),
    ...(kept.length === 0 ? [] : ['The data is kept in these volumes:', ...kept, ADVICE]),
  ].join('\n');
}

const ADVICE =
  'Those commands remove them for good; applying the same file again goes on with the data.';
