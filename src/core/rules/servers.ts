/** The servers of a running cluster: their volumes, and whether their PostgreSQL does its job. */
import { isKeepingUp, isLate } from '../late';
import { isShort } from '../budget';
import { type VolumeTag } from '../protocol';
import { formatSize } from '../quantities';
import { isRestoring } from '../restore/task';
import { dataVolumeName } from '../names';
import { type ServerView, type View } from '../situation';
import { volumeRecorded } from '../transitions';
import { tagOf } from './bootstrap';
import { recorded, rule, type ConditionRaised, type Rule } from './rule';
import { silenceOf } from './silence';

const notReady = (reason: string): ConditionRaised => ({ type: 'ServersReady', reason });

/**
 * Why this server's volume must not be used; null when it may. A volume that is known to have
 * held data and is empty now is the same as a foreign one: somebody has to look first.
 */
export function volumeObstacle(server: ServerView, view: View): string | null {
  const known = view.state.volumes[server.name];
  const { volume } = server;
  const where = `${dataVolumeName(view.spec.cluster, server.name)} on ${server.nodeName ?? 'its node'}`;
  const recloning = `if its data is gone, let it be cloned again: pgswarm reclone ${view.spec.cluster} ${server.name}`;
  if (volume === null) return null;
  switch (volume.kind) {
    case 'unusable':
    case 'foreign':
      return `the volume ${where} is refused: ${volume.detail}`;
    case 'empty':
      return known === undefined
        ? null
        : `the volume ${where} is empty, but ${server.name}'s volume ${known.volumeId} was expected there; bring it back, or ${recloning}`;
    case 'tagged':
      return tagObstacle(
        volume.tag,
        { where, recloning, known: known?.volumeId ?? null },
        server,
        view,
      );
  }
}

function tagObstacle(
  tag: VolumeTag,
  expected: { readonly where: string; readonly recloning: string; readonly known: string | null },
  server: ServerView,
  { spec, state }: View,
): string | null {
  const { where, known } = expected;
  if (tag.cluster !== spec.cluster || tag.server !== server.name) {
    return `the volume ${where} belongs to server ${tag.server} of cluster ${tag.cluster}; put the right volume back`;
  }
  if (state.systemIdentifier !== null && tag.systemIdentifier !== state.systemIdentifier) {
    return `the volume ${where} holds another database cluster (system identifier ${tag.systemIdentifier}, expected ${state.systemIdentifier}); put the right volume back`;
  }
  if (known !== null && tag.volumeId !== known) {
    return `the volume ${where} is ${tag.volumeId}, expected was ${known}; bring that back, or ${expected.recloning}`;
  }
  return null;
}

const isInitialised = ({ state }: View): boolean => state.systemIdentifier !== null;

export const serverRules: readonly Rule[] = [
  rule<VolumeTag>({
    id: 'record-volume',
    section: 'servers',
    about: 'A server’s volume has been filled: from now on this volume is expected there.',
    when: (view) => {
      if (!isInitialised(view)) return null;
      const server = view.servers.find(
        (each) =>
          tagOf(each) !== null &&
          view.state.volumes[each.name] === undefined &&
          volumeObstacle(each, view) === null,
      );
      return server === undefined ? null : tagOf(server);
    },
    because: ({ server, volumeId }) => `the volume of ${server} is complete (${volumeId})`,
    steps: (tag, view) =>
      recorded(view, volumeRecorded(view.state, tag), {
        rule: 'record-volume',
        summary: `record the volume of ${tag.server}`,
        message: `the data volume of ${tag.server} is complete`,
      }),
  }),
  rule<{ server: ServerView; because: string }>({
    id: 'volume-refused',
    section: 'servers',
    about: 'A server’s volume is empty, foreign or another one than expected: it is not touched.',
    when: (view) => {
      if (!isInitialised(view)) return null;
      for (const server of view.servers) {
        const because = volumeObstacle(server, view);
        if (because !== null) return { server, because };
      }
      return null;
    },
    because: ({ because }) => because,
    condition: ({ server }) =>
      notReady(server.volume?.kind === 'empty' ? 'VolumeMissing' : 'VolumeRefused'),
  }),
  rule<ServerView>({
    id: 'primary-silent',
    section: 'servers',
    about: 'The primary does not accept writes. It is brought back; nobody else is promoted.',
    when: ({ primary, state }) =>
      primary?.asPrimary === null &&
      state.change === null &&
      !isRestoring(state) &&
      !state.fenced.includes(primary.name)
        ? primary
        : null,
    because: (server, view) =>
      server.report === null
        ? silenceOf(server, view)
        : (server.report.problem?.message ??
          `${server.name} is ${server.report.busy ?? server.report.postgres.state}`),
    condition: ({ report }) => ({
      type: 'Ready',
      reason: report === null ? 'PrimaryUnknown' : (report.problem?.reason ?? 'PrimaryStarting'),
    }),
  }),
  rule<ServerView>({
    id: 'standby-not-streaming',
    section: 'servers',
    about: 'A standby is being cloned, starts, is silent, or does not stream from the primary.',
    when: (view) => {
      if (!isInitialised(view) || isRestoring(view.state)) return null;
      const isDisturbed = (server: ServerView): boolean =>
        server !== view.primary &&
        !view.state.fenced.includes(server.name) &&
        !isFollowing(server, view);
      return view.servers.find(isDisturbed) ?? null;
    },
    because: (server, view) => standbyTrouble(server, view),
    condition: ({ report }) => notReady(report?.problem?.reason ?? 'StandbyNotStreaming'),
  }),
  rule<ServerView>({
    id: 'volume-full',
    section: 'servers',
    about: 'There is no room left in a data volume: PostgreSQL goes on, and refuses to write.',
    when: (view) => view.servers.find(isFull) ?? null,
    because: (server, view) =>
      `the data volume ${dataVolumeName(view.spec.cluster, server.name)} on ${server.nodeName ?? 'its node'} is full (${formatSize(freeBytes(server) ?? 0)} left): make room there`,
    condition: notReady('DataVolumeFull'),
  }),
];

/** Less than two WAL segments: the next one may not fit any more. */
const FULL_BYTES = 32 * 1024 * 1024;

const freeBytes = ({ asPrimary, asStandby }: ServerView): number | undefined =>
  asPrimary?.freeBytes ?? asStandby?.freeBytes;

export function isFull(server: ServerView): boolean {
  const free = freeBytes(server);
  const isRefusing = isRunning(server) && server.report?.dataVolume?.stage === 'full';
  return isRefusing || (free !== undefined && free < FULL_BYTES);
}

const isRunning = ({ asPrimary, asStandby }: ServerView): boolean =>
  (asPrimary ?? asStandby) !== null;

/** Room for more than a moment: worth moving the role for. */
export const hasRoom = (server: ServerView): boolean =>
  (freeBytes(server) ?? 0) > 4 * FULL_BYTES && !isShort(server.report?.dataVolume);

/** Limits that a standby takes over with its next restart, once its primary has them so low. */
export const heldBackOn = ({ report }: ServerView): readonly string[] =>
  report?.settings?.heldBack ?? [];

/** Settings that it takes over with its next restart. */
export const pendingOf = ({ asPrimary, asStandby }: ServerView): readonly string[] =>
  asPrimary?.pendingRestart ?? asStandby?.pendingRestart ?? [];

/** Both ends agree: the primary sends, and the standby is up. */
export function isStreaming(server: ServerView, view: View): boolean {
  const stream = view.primary?.asPrimary?.standbys.find((row) => row.server === server.name);
  return server.asStandby !== null && stream?.state === 'streaming';
}

/** It does what is asked of it: one that is late on purpose need not stream. */
export const isFollowing = (server: ServerView, view: View): boolean =>
  isLate(server.spec) ? isKeepingUp(server, view) : isStreaming(server, view);

function standbyTrouble(server: ServerView, view: View): string {
  const { report } = server;
  if (report === null) return silenceOf(server, view);
  if (report.problem !== null) return `${server.name}: ${report.problem.message}`;
  if (report.busy !== null) return `${server.name} is ${report.busy}`;
  const upstream = view.state.primary ?? 'the primary';
  if (server.asStandby === null) return `${server.name} is ${report.postgres.state}`;
  return isLate(server.spec)
    ? `${server.name} should have replayed by now what ${upstream} has archived, and is at ${server.asStandby.replayedLsn}`
    : `${server.name} runs, but does not stream from ${upstream} yet`;
}
