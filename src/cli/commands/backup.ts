/** `pgswarm backup` and `pgswarm backups`: have a backup taken, and see which there are. */
import { type BackupMethod } from '../../core/backup/backup';
import { calledOff, type BackupRequest, type BackupResult } from '../../core/backup/task';
import { type BackupStatus, type ScheduleStatus, type Status } from '../../core/status';
import { type ClusterState } from '../../core/state';
import { backupEnded, backupRequested } from '../../core/transitions';
import { loadCluster, readSpec } from '../cluster';
import { DONE, refusal, type ExitCode } from '../exit';
import { fold, serialised, table, type Format } from '../output';
import { type CliPorts } from '../ports';
import { ago, sizeText } from '../quantity-text';
import { fileWish } from '../record';
import { serverNamed } from '../servers';
import { goesOn, waitFor } from '../wait';

export interface BackupOptions {
  readonly server?: string;
  readonly method: BackupMethod;
  readonly incremental?: boolean;
  readonly plain?: boolean;
  /** Bytes in a second. */
  readonly maxRate?: number;
  readonly wait: number;
  /** End the one that is under way, instead. */
  readonly cancel?: boolean;
}

export async function backup(
  ports: CliPorts,
  cluster: string,
  options: BackupOptions,
): Promise<ExitCode> {
  const { spec } = (await readSpec(ports.connect().store, cluster)).value;
  if (options.cancel === true) return await cancel(ports, cluster);
  if (options.server !== undefined) serverNamed(spec, options.server);
  const request: BackupRequest = {
    method: options.method,
    incremental: options.incremental ?? false,
    format: options.plain === true ? 'plain' : 'tar',
    bytesPerSecondMax: options.maxRate ?? null,
    server: options.server ?? null,
    by: ports.user,
    at: ports.now().toISOString(),
  };
  if (request.incremental && request.method !== 'base') {
    throw refusal('MethodUnsuitable', 'Only a base backup can be incremental.');
  }
  await fileWish(ports, cluster, {
    verb: 'backup',
    message: `${ports.user} asks for a ${request.method} backup`,
    grant: (state) => {
      refuseUnfit(state);
      return backupRequested(state, request);
    },
  });
  const result = await waitUntilEnded(ports, cluster, request, options.wait);
  if (result.problem !== null) {
    throw refusal('BackupFailed', `Backup ${result.id}: ${result.problem}`);
  }
  ports.output.print(`Backup ${result.id} is complete on ${result.server}, and verified.`);
  ports.output.print(`See: pgswarm backups ${cluster}`);
  return DONE;
}

async function cancel(ports: CliPorts, cluster: string): Promise<ExitCode> {
  const at = ports.now().toISOString();
  const { before, after } = await fileWish(ports, cluster, {
    verb: 'backup',
    message: `${ports.user} calls the backup off`,
    grant: (state) => {
      if (state.backup === null) return state;
      const { begun } = state.backup;
      const problem = calledOff(ports.user);
      const id = begun?.order.id ?? 'not begun';
      return backupEnded(state, { id, server: begun?.server ?? '-', at, problem });
    },
  });
  ports.output.print(
    before === after
      ? 'No backup is under way.'
      : 'The backup is called off; nothing of it is kept.',
  );
  return DONE;
}

function refuseUnfit({ cluster, primary, paused, backup: before }: ClusterState): void {
  if (primary === null) throw refusal('NoPrimary', `${cluster} has no primary yet.`);
  if (paused !== null) {
    throw refusal('Paused', `${cluster} is paused; first: pgswarm resume ${cluster}`);
  }
  if (before !== null) {
    const since = `asked for by ${before.request.by} at ${before.request.at}`;
    const end = `End it: pgswarm backup ${cluster} --cancel`;
    throw refusal('BackupUnderWay', `A backup of ${cluster} is under way, ${since}. ${end}`);
  }
}

async function waitUntilEnded(
  ports: CliPorts,
  cluster: string,
  { at }: BackupRequest,
  seconds: number,
): Promise<BackupResult> {
  try {
    const { view } = await waitFor(ports, {
      cluster,
      seconds,
      missed: 'the backup is not complete',
      isReached: ({ view: { state } }) => state.backup?.request.at !== at,
      refused: () => null,
    });
    const { lastBackup } = view.state;
    if (lastBackup !== null) return lastBackup;
    throw refusal('BackupUnknown', 'The record says nothing of how the backup has ended.');
  } catch (error) {
    throw goesOn(error, cluster);
  }
}

export interface BackupsOptions {
  readonly output?: Format;
}

export async function backups(
  ports: CliPorts,
  cluster: string,
  { output: format }: BackupsOptions,
): Promise<ExitCode> {
  const { status } = await loadCluster(ports, cluster);
  const { output } = ports;
  if (format !== undefined) output.print(serialised(status.backups, format));
  else output.print(backupsText(status, ports.now()));
  return DONE;
}

function backupsText(status: Status, now: Date): string {
  const { cluster, backups: known, backupUnderWay, schedules } = status;
  const below = [
    ...(schedules.length === 0 ? [] : ['', schedulesText(schedules)]),
    ...(backupUnderWay === null ? [] : ['', fold(backupUnderWay, 0)]),
  ];
  if (known.length === 0) {
    const words = `There is no backup of ${cluster}. Take one: pgswarm backup ${cluster}`;
    return [words, ...below].join('\n');
  }
  const rows = known.map((each) => [
    each.id,
    each.parent === null ? each.method : `${each.method}, since ${each.parent}`,
    sizeText(each.bytes),
    `${ago(each.stoppedAt, now)} ago`,
    each.on.join(', '),
    verdictOf(each, now),
  ]);
  const head = ['BACKUP', 'METHOD', 'SIZE', 'TAKEN', 'ON', 'VERIFIED'];
  const fates = known.flatMap(({ id, retention }) =>
    retention === null ? [] : [fold(`${id} ${retention}`, 2)],
  );
  const retention = fates.length === 0 ? [] : ['', ...fates];
  return [table(head, rows), ...retention, ...below].join('\n');
}

function schedulesText(schedules: readonly ScheduleStatus[]): string {
  const rows = schedules.map(({ name, schedule, timeZone, suspended, ...times }) => [
    name,
    `${schedule} ${timeZone}`,
    suspended ? 'suspended' : (times.nextDueAt ?? 'not yet known'),
    times.lastBegunAt ?? 'never',
  ]);
  return table(['SCHEDULE', 'WHEN', 'NEXT', 'LAST'], rows);
}

function verdictOf({ problem, verifiedAt }: BackupStatus, now: Date): string {
  if (problem !== null) return problem;
  return verifiedAt === null ? 'not yet' : `${ago(verifiedAt, now)} ago`;
}
