/** Backups that were asked for: which server takes them, and how they ended. */
import { type BackupOrder } from '../backup/backup';
import { nextBackupId } from '../backup/names';
import { backupTrouble, type BackupTrouble } from '../backup/recent';
import { type BackupRequest, type BackupResult, type BackupTask } from '../backup/task';
import { isLate } from '../late';
import { type ServerView, type View } from '../situation';
import { backupBegun, backupEnded } from '../transitions';
import { recorded, rule, type Rule } from './rule';
import { isFollowing } from './servers';

interface Choice {
  readonly server: ServerView;
  readonly order: BackupOrder;
}

export const backupRules: readonly Rule[] = [
  rule<BackupResult>({
    id: 'backup-end',
    section: 'backup',
    about: 'A server has taken a backup, or could not.',
    when: (view) => {
      const begun = view.state.backup?.begun ?? null;
      const server = view.servers.find(({ name }) => name === begun?.server);
      if (begun === null) return null;
      const { id } = begun.order;
      const result = { id, server: begun.server, at: view.situation.now };
      if (server === undefined) {
        return { ...result, problem: 'the server is not in the spec any more' };
      }
      const work = server.report?.backup ?? null;
      if (work?.id !== id || work.state === 'running') return null;
      return { ...result, problem: work.state === 'done' ? null : work.words };
    },
    because: (result) => wordsOf(result),
    steps: (result, view) =>
      recorded(view, backupEnded(view.state, result), {
        rule: 'backup-end',
        summary: `note how backup ${result.id} ended`,
        message: wordsOf(result),
      }),
  }),
  rule<Choice>({
    id: 'backup-begin',
    section: 'backup',
    about:
      'A backup was asked for, and no restarts are under way: a server begins to take it, a standby if there is one.',
    when: (view) => {
      const { backup, change, restart } = view.state;
      if (backup === null || backup.begun !== null) return null;
      if (change !== null || restart !== null) return null;
      const server = serverFor(view, backup.request);
      return server === null ? null : { server, order: orderFor(view, backup, server) };
    },
    because: ({ server, order }) => `${server.name} can take backup ${order.id}`,
    steps: ({ server: { name }, order }, view) =>
      recorded(view, backupBegun(view.state, { server: name, order }), {
        rule: 'backup-begin',
        summary: `take backup ${order.id} on ${name}`,
        message: `${name} takes ${describe(order)}: ${order.because}`,
      }),
  }),
  rule<BackupTask>({
    id: 'backup-waits',
    section: 'backup',
    about: 'A backup is being taken, or waits for a server that can take it.',
    when: ({ state }) => state.backup,
    because: ({ begun, request }, view) => {
      if (begun === null) return `a backup waits for ${awaitedIn(view, request)}`;
      const work = view.servers.find(({ name }) => name === begun.server)?.report?.backup ?? null;
      const words = work?.id === begun.order.id ? work.words : 'it has not begun yet';
      return `${begun.server} takes backup ${begun.order.id}: ${words}`;
    },
  }),
  rule<BackupTrouble>({
    id: 'backup-not-recent',
    section: 'backup',
    about: 'The last backup has failed, or a schedule has long waited for one.',
    when: ({ state, situation }) => {
      const dueAt = Object.values(state.schedules).flatMap(({ nextDueAt }) => nextDueAt ?? []);
      return backupTrouble(state.lastBackup, dueAt, situation.now);
    },
    because: ({ message }, { spec }) => `${message}; take one: pgswarm backup ${spec.cluster}`,
    condition: ({ reason }) => ({ type: 'BackupRecent', reason }),
  }),
];

/** A standby spares the primary the work; of several the first that streams, and is not late. */
export function serverFor(view: View, wanted: Pick<BackupRequest, 'server'>): ServerView | null {
  if (wanted.server !== null) {
    const named = view.servers.find(({ name }) => name === wanted.server);
    return named !== undefined && isAble(named, view) ? named : null;
  }
  const able = view.servers.filter((server) => isAble(server, view) && !isLate(server.spec));
  return able.find(({ asStandby }) => asStandby !== null) ?? able[0] ?? null;
}

/** What a backup that has not begun waits for. */
export const awaitedIn = (
  { state: { restart } }: View,
  { server }: Pick<BackupRequest, 'server'>,
): string =>
  restart === null
    ? (server ?? 'a server that runs')
    : `the end of the restarts (${restart.servers.join(', ')})`;

const isAble = (server: ServerView, view: View): boolean =>
  server.asPrimary !== null || (isFollowing(server, view) && server.asStandby?.isWarm !== true);

function orderFor(view: View, { request }: BackupTask, server: ServerView): BackupOrder {
  const { method, format, bytesPerSecondMax, by } = request;
  const everywhere = view.servers.flatMap(({ report }) => report?.backups ?? []);
  return {
    id: nextBackupId(new Date(Date.parse(view.situation.now)), [
      ...everywhere.map(({ id }) => id),
      view.state.lastBackup?.id ?? '',
    ]),
    method,
    format: method === 'snapshot' ? 'plain' : format,
    bytesPerSecondMax,
    compression: view.spec.archive.compression,
    parent: request.incremental ? newestOn(server) : null,
    because: `asked for by ${by}`,
    spec: view.situation.record.document,
  };
}

/** null: there is none yet, and the first one has to be full. */
function newestOn({ report }: ServerView): string | null {
  const base = (report?.backups ?? []).filter(
    ({ method, verification }) => method === 'base' && verification?.problem == null,
  );
  return base.toSorted((a, b) => (a.startedAt < b.startedAt ? -1 : 1)).at(-1)?.id ?? null;
}

const describe = ({ id, method, parent }: BackupOrder): string =>
  parent === null
    ? `${method} backup ${id}`
    : `${method} backup ${id}, the changes since ${parent}`;

const wordsOf = ({ id, server, problem }: BackupResult): string =>
  problem === null
    ? `backup ${id} is complete on ${server}, and verified`
    : `backup ${id} on ${server} has failed: ${problem}`;
