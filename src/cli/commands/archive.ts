/** `pgswarm archive pause` and `resume`: WAL waits in the data volumes, for a bounded time. */
import { ARCHIVE_PAUSE_MAX_MS } from '../../core/archive/pause';
import { formatDuration } from '../../core/quantities';
import { archivePaused, archiveResumed } from '../../core/transitions';
import { readSpec } from '../cluster';
import { DONE, refusal, type ExitCode } from '../exit';
import { type CliPorts } from '../ports';
import { fileWish } from '../record';
import { serverNamed } from '../servers';

export interface ArchiveOptions {
  readonly server?: string;
  /** Milliseconds. */
  readonly for: number;
}

export async function pause(
  ports: CliPorts,
  cluster: string,
  { server, for: forMs }: ArchiveOptions,
): Promise<ExitCode> {
  const servers = await serversMeant(ports, cluster, server);
  const length = formatDuration(forMs);
  if (forMs === 0 || forMs > ARCHIVE_PAUSE_MAX_MS) {
    const most = formatDuration(ARCHIVE_PAUSE_MAX_MS);
    throw refusal('PauseLength', `Archiving is paused for more than 0s and at most ${most}.`);
  }
  const { user: by, output } = ports;
  const until = new Date(ports.now().getTime() + forMs).toISOString();
  await fileWish(ports, cluster, {
    verb: 'archive',
    message: `${by} pauses archiving on ${servers.join(', ')} for ${length}`,
    grant: (state) => archivePaused(state, servers, { until, by }),
  });
  output.print(`Archiving is paused on ${servers.join(', ')} for ${length}, until ${until}.`);
  output.print('WAL waits in the data volume, and needs room there. Nothing can be restored to a');
  output.print(
    `point in that time until it is archived. End it: pgswarm archive resume ${cluster}`,
  );
  return DONE;
}

export async function resume(
  ports: CliPorts,
  cluster: string,
  { server }: Pick<ArchiveOptions, 'server'>,
): Promise<ExitCode> {
  await serversMeant(ports, cluster, server);
  const { before, after } = await fileWish(ports, cluster, {
    verb: 'archive',
    message: `${ports.user} lets archiving go on${server === undefined ? '' : ` on ${server}`}`,
    grant: (state) =>
      archiveResumed(state, server === undefined ? Object.keys(state.archivePauses) : [server]),
  });
  ports.output.print(
    before === after
      ? 'Archiving is not paused: there is nothing to end.'
      : `Archiving goes on. See: pgswarm status ${cluster}`,
  );
  return DONE;
}

async function serversMeant(
  ports: CliPorts,
  cluster: string,
  server: string | undefined,
): Promise<readonly string[]> {
  const { spec } = (await readSpec(ports.connect().store, cluster)).value;
  return server === undefined
    ? spec.servers.map(({ name }) => name)
    : [serverNamed(spec, server).name];
}
