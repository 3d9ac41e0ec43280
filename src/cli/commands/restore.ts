/** `pgswarm restore`: a cluster back to a point in time, in place, with a way back. */
import { describeTarget } from '../../core/restore/target';
import { type RestoreTask } from '../../core/restore/task';
import { type ClusterState } from '../../core/state';
import { restoreDecided, restoreRequested } from '../../core/transitions';
import { loadCluster, readSpec, type Known } from '../cluster';
import { confirm } from '../confirm';
import { DONE, refusal, type ExitCode } from '../exit';
import { type CliPorts } from '../ports';
import { fileWish } from '../record';
import { targetOf } from '../restore-target';
import { goesOn, waitFor, type Refused } from '../wait';
import { endPreview, preview, type PreviewOptions } from './preview';

export interface RestoreOptions extends PreviewOptions {
  readonly accept?: boolean;
  readonly undo?: boolean;
  readonly yes?: boolean;
  readonly preview?: boolean;
  readonly endPreview?: boolean;
}

export async function restore(
  ports: CliPorts,
  cluster: string,
  options: RestoreOptions,
): Promise<ExitCode> {
  await readSpec(ports.connect().store, cluster);
  if (options.accept === true && options.undo === true) {
    throw refusal('TargetInvalid', 'Either accept what was restored, or go back: not both.');
  }
  if (options.endPreview === true) return await endPreview(ports, cluster);
  if (options.preview === true) return await preview(ports, cluster, options);
  if (options.accept === true) return await accept(ports, cluster, options);
  if (options.undo === true) return await undo(ports, cluster, options);
  return await begin(ports, cluster, options);
}

async function begin(ports: CliPorts, cluster: string, options: RestoreOptions): Promise<ExitCode> {
  const { output } = ports;
  const { backup, yes, wait } = options;
  const target = targetOf(options);
  if (yes !== true) {
    const warning = `PostgreSQL is stopped on all servers of ${cluster}. What is there now is set aside until you accept what is restored; until then nobody can write.`;
    await confirm(ports, { warning, word: cluster });
  }
  const by = ports.user;
  const { after } = await fileWish(ports, cluster, {
    verb: 'restore',
    message: `${by} wants the cluster back at ${describeTarget(target)}`,
    grant: (state) => {
      refuseUnfit(state);
      return restoreRequested(state, {
        target,
        backup: backup ?? null,
        by,
        at: ports.now().toISOString(),
      });
    },
  });
  const id = after.restore?.wanted?.id;
  await until(ports, cluster, wait, {
    missed: `${cluster} is not restored`,
    isReached: ({ view: { state, servers } }) => {
      const server = servers.find(({ name }) => name === state.restore?.server);
      return state.restore?.current?.id === id && server?.report?.restored?.state === 'reached';
    },
    refused: ({ view: { state, servers } }) => {
      const { lastRestore } = state;
      if (lastRestore?.id === id && lastRestore?.outcome === 'refused') {
        return { reason: 'TargetUnreachable', message: lastRestore.words };
      }
      const restored = servers.find(({ name }) => name === state.restore?.server)?.report?.restored;
      if (restored?.id !== id || restored?.state !== 'ended') return null;
      const message = `all WAL is replayed, up to ${restored.lsn ?? '?'}, and ${describeTarget(target)} was not in it. Try another point, or go back: pgswarm restore ${cluster} --undo`;
      return { reason: 'TargetMissed', message };
    },
  });
  output.print(
    `${cluster} is restored to ${describeTarget(target)}; nobody else can reach it yet.`,
  );
  output.print(`Look:      pgswarm psql ${cluster}`);
  output.print(`Keep it:   pgswarm restore ${cluster} --accept`);
  output.print(`Go back:   pgswarm restore ${cluster} --undo`);
  return DONE;
}

async function accept(
  ports: CliPorts,
  cluster: string,
  { yes, wait }: RestoreOptions,
): Promise<ExitCode> {
  if (yes !== true) {
    const warning = `What ${cluster} held before the restore is removed, on every server. Its WAL and its backups stay in the archive.`;
    await confirm(ports, { warning, word: cluster });
  }
  const { view } = await loadCluster(ports, cluster);
  const server = view.servers.find(({ name }) => name === view.state.restore?.server);
  const seen = server?.report?.restored ?? null;
  await fileWish(ports, cluster, {
    verb: 'restore',
    message: `${ports.user} accepts what was restored`,
    grant: (state) => {
      demandRestored(state);
      if (seen?.state !== 'reached' || seen.id !== state.restore?.current?.id) {
        const sentence = `What was asked for is not there to be looked at yet. See: pgswarm why ${cluster}`;
        throw refusal('NotRestored', sentence);
      }
      return restoreDecided(state, 'accept');
    },
  });
  await untilOver(ports, cluster, wait);
  ports.output.print(`${cluster} goes on with what was restored. See: pgswarm status ${cluster}`);
  return DONE;
}

async function undo(ports: CliPorts, cluster: string, { wait }: RestoreOptions): Promise<ExitCode> {
  const { before } = await fileWish(ports, cluster, {
    verb: 'restore',
    message: `${ports.user} takes the restore back`,
    grant: (state) => {
      if (state.restore?.decision === 'accepted') {
        throw refusal('RestoreAccepted', 'The restore was accepted: there is no way back.');
      }
      return restoreDecided(state, 'undo');
    },
  });
  if (before.restore === null) {
    ports.output.print(`${cluster} is not being restored: there is nothing to take back.`);
    return DONE;
  }
  await untilOver(ports, cluster, wait);
  ports.output.print(`${cluster} goes on as it was before the restore.`);
  return DONE;
}

/** It has a primary that accepts writes again. */
const untilOver = async (ports: CliPorts, cluster: string, seconds: number): Promise<void> =>
  await until(ports, cluster, seconds, {
    missed: `${cluster} does not accept writes yet`,
    isReached: ({ view: { state, primary } }) =>
      state.restore === null && primary?.asPrimary != null,
    refused: () => null,
  });

interface Ending {
  readonly missed: string;
  readonly isReached: (known: Known) => boolean;
  readonly refused: (known: Known) => Refused | null;
}

async function until(
  ports: CliPorts,
  cluster: string,
  seconds: number,
  ending: Ending,
): Promise<void> {
  try {
    await waitFor(ports, { cluster, seconds, ...ending });
  } catch (error) {
    throw goesOn(error, cluster);
  }
}

function refuseUnfit({ cluster, primary, paused, change, restore, request }: ClusterState): void {
  if (primary === null) throw refusal('NoPrimary', `${cluster} has no primary yet.`);
  if (paused !== null) {
    throw refusal('Paused', `${cluster} is paused; first: pgswarm resume ${cluster}`);
  }
  if (change !== null || request !== null) {
    throw refusal(
      'ChangeUnderWay',
      `The primary of ${cluster} is being changed: try it in a moment.`,
    );
  }
  if (restore?.wanted != null || restore?.decision != null) throw underWay(cluster, restore);
}

function demandRestored({ cluster, restore }: ClusterState): void {
  if (restore?.current == null) {
    throw refusal(
      'NotRestoring',
      `Nothing was restored in ${cluster}: there is nothing to accept.`,
    );
  }
  if (restore.wanted !== null || restore.decision === 'undo') throw underWay(cluster, restore);
}

function underWay(cluster: string, { wanted, decision }: RestoreTask): Error {
  const what = wanted === null ? `it was decided (${decision ?? ''})` : `asked for by ${wanted.by}`;
  const sentence = `A restore of ${cluster} is under way, ${what}. See: pgswarm why ${cluster}`;
  return refusal('RestoreUnderWay', sentence);
}
