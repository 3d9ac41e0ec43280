/** `pgswarm load`: a database of a dump is put into the running primary. */
import { describeLoad, type LoadRequest, type LoadResult } from '../../core/backup/load';
import { type Status } from '../../core/status';
import { type ClusterState } from '../../core/state';
import { loadRequested } from '../../core/transitions';
import { loadCluster, readSpec } from '../cluster';
import { confirm } from '../confirm';
import { DONE, refusal, type ExitCode } from '../exit';
import { type CliPorts } from '../ports';
import { fileWish } from '../record';
import { goesOn, waitFor } from '../wait';

export interface LoadOptions {
  readonly database?: string;
  readonly replace?: boolean;
  readonly yes?: boolean;
  readonly wait: number;
}

export async function run(
  ports: CliPorts,
  cluster: string,
  backup: string,
  options: LoadOptions,
): Promise<ExitCode> {
  const { spec } = (await readSpec(ports.connect().store, cluster)).value;
  const database = options.database ?? spec.postgres.database;
  const { status } = await loadCluster(ports, cluster);
  refuseUnknown(status, backup);
  const replace = options.replace ?? false;
  if (options.yes !== true) {
    const loss = replace
      ? ' The one that is there is replaced, its sessions are ended, and what was written into it since is gone.'
      : '';
    const warning = `The primary ${status.primary ?? ''} of ${cluster} loads ${describeLoad({ database, backup })}.${loss}`;
    await confirm(ports, { warning, word: database });
  }
  const at = ports.now().toISOString();
  const request: LoadRequest = { backup, database, replace, by: ports.user, at };
  await fileWish(ports, cluster, {
    verb: 'load',
    message: `${ports.user} asks for ${describeLoad(request)}`,
    grant: (state) => {
      refuseUnfit(state);
      return loadRequested(state, request);
    },
  });
  const { problem, server } = await waitUntilEnded(ports, cluster, request, options.wait);
  if (problem !== null) throw refusal('LoadFailed', problem);
  ports.output.print(`${server} has loaded ${describeLoad(request)}.`);
  return DONE;
}

function refuseUnknown({ cluster, backups, primary }: Status, id: string): void {
  const see = `See: pgswarm backups ${cluster}`;
  const found = backups.find((each) => each.id === id);
  if (found === undefined) throw refusal('BackupUnknown', `There is no backup ${id}. ${see}`);
  if (found.method !== 'dump') {
    const sentence = `${id} is a ${found.method} backup, of the whole server: it is restored, not loaded. A dump is taken by pgswarm backup ${cluster} --method dump`;
    throw refusal('MethodUnsuitable', sentence);
  }
  if (primary === null || found.on.includes(primary)) return;
  const sentence = `${id} is on ${found.on.join(', ')}, and not on the primary ${primary} yet: it is copied there by itself. Try again in a while`;
  throw refusal('BackupElsewhere', sentence);
}

function refuseUnfit({ cluster, primary, paused, load }: ClusterState): void {
  if (primary === null) throw refusal('NoPrimary', `${cluster} has no primary yet.`);
  if (paused !== null) {
    throw refusal('Paused', `${cluster} is paused; first: pgswarm resume ${cluster}`);
  }
  if (load === null) return;
  const { by, at } = load.request;
  const sentence = `${describeLoad(load.request)} is being loaded, asked for by ${by} at ${at}.`;
  throw refusal('LoadUnderWay', sentence);
}

async function waitUntilEnded(
  ports: CliPorts,
  cluster: string,
  { at }: LoadRequest,
  seconds: number,
): Promise<LoadResult> {
  try {
    const { view } = await waitFor(ports, {
      cluster,
      seconds,
      missed: 'the database is not loaded',
      isReached: ({ view: { state } }) => state.load?.request.at !== at,
      refused: () => null,
    });
    const { lastLoad } = view.state;
    if (lastLoad?.id === at) return lastLoad;
    throw refusal('LoadUnknown', 'The record says nothing of how the load has ended.');
  } catch (error) {
    throw goesOn(error, cluster);
  }
}
