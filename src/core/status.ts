/** What the user is told. The shape of `status -o json` is a contract. */
import { archiveStatus, type ArchiveStatus } from './archive/status';
import { type BackupResult, type BackupSummary } from './backup/task';
import { type RehearsalResult } from './restore/rehearsal';
import { type VolumeRoom } from './budget';
import { type ConditionType } from './rules/rule';
import { isFollowing, isStreaming, volumeObstacle } from './rules/servers';
import { describeFeed, isLate } from './late';
import { switchoverObstacle } from './rules/request';
import { type Followed } from './git/source';
import { lagBytes } from './lsn';
import { type Decision } from './decide';
import { type ServerView, type View } from './situation';
import { type SpecSource } from './spec';
import {
  type LastChange,
  type Loss,
  type Override,
  type Pause,
  type PromotionRequest,
} from './state';
import { describeSet } from './sync';

export interface Status {
  readonly cluster: string;
  readonly generation: number;
  /** Who has asked for what is in force, and when. */
  readonly source: SpecSource & { readonly appliedAt: string };
  /** What was taken from the Git repository last; null: nothing ever was. */
  readonly followed: Followed | null;
  readonly phase: Phase;
  readonly paused: boolean;
  readonly primary: string | null;
  readonly declaredPrimary: string;
  readonly term: number;
  readonly timeline: number | null;
  /** Why the primary is another one than declared, on purpose. */
  readonly override: Override | null;
  readonly pause: Pause | null;
  /** A promotion that a person has asked for and that is not done yet. */
  readonly request: PromotionRequest | null;
  readonly synchronous: Synchronous | null;
  /** null: the primary needs none. */
  readonly lease: Lease | null;
  /** Newest last. */
  readonly losses: readonly Loss[];
  readonly servers: readonly ServerStatus[];
  readonly conditions: readonly Condition[];
  readonly lastChange: LastChange | null;
  /** The one that is asked for or being taken, in words; null: none. */
  readonly backupUnderWay: string | null;
  readonly lastBackup: BackupResult | null;
  /** The restore drill or the preview that is asked for or under way, in words; null: none. */
  readonly rehearsalUnderWay: string | null;
  readonly lastDrill: RehearsalResult | null;
  /** Oldest first; where each of them is. */
  readonly backups: readonly BackupStatus[];
  /** In the spec's order. */
  readonly schedules: readonly ScheduleStatus[];
  /** The decision of this moment: rule id and sentence. */
  readonly decision: { readonly rule: string; readonly because: string };
}

export type Phase =
  | 'Creating'
  | 'Switchover'
  | 'Failover'
  | 'Ready'
  | 'Degraded'
  | 'Unavailable'
  | 'Paused'
  | 'Deleting';

/** Which standbys have a commit before it is acknowledged, in words: `1 of pg2, pg3`. */
export interface Synchronous {
  /** What the primary is told; null: to wait for nobody. */
  readonly wanted: string | null;
  /** What is true of every commit that was acknowledged; null: nothing. */
  readonly guaranteed: string | null;
}

/** Under what the primary accepts writes. */
export interface Lease {
  readonly ttlMs: number;
  /** Until the last one that was granted is over; null when none is known. */
  readonly leftMs: number | null;
  /** All of them must promise to wait when no operator answers. */
  readonly peers: readonly string[];
}

export interface ServerStatus {
  readonly name: string;
  readonly node: string | null;
  /** Address and port at which clients reach it. */
  readonly address: string | null;
  readonly role: 'primary' | 'standby' | null;
  /** `running`, `streaming`, `stopped`, `cloning from pg1 …`, `unknown`, … */
  readonly state: string;
  /** It has reported lately. */
  readonly known: boolean;
  /** It streams, and the primary says so, too. */
  readonly streaming: boolean;
  /** It is behind on purpose. */
  readonly late: boolean;
  readonly timeline: number | null;
  readonly receivedLsn: string | null;
  readonly replayedLsn: string | null;
  readonly lagBytes: number | null;
  /** Room in its data volume; null while nothing is known of it. */
  readonly dataVolume: VolumeRoom | null;
  /** null while nothing is known of it. */
  readonly archive: ArchiveStatus | null;
  /** May become primary by a switchover now. */
  readonly eligible: boolean;
  readonly because: string;
}

export interface BackupStatus extends Omit<BackupSummary, 'verification'> {
  /** Servers whose archive volume has it; sorted. */
  readonly on: readonly string[];
  /** When it was last compared with its manifest, where that is longest ago; copies are compared by hash. */
  readonly verifiedAt: string | null;
  /** What is wrong with it, and where. */
  readonly problem: string | null;
}

export interface ScheduleStatus {
  readonly name: string;
  readonly schedule: string;
  readonly timeZone: string;
  readonly suspended: boolean;
  /** ISO 8601; in the past: it waits. null: it is suspended, or not followed yet. */
  readonly nextDueAt: string | null;
  /** The last moment that a backup was asked for, and when that was. */
  readonly lastDueAt: string | null;
  readonly lastBegunAt: string | null;
}

export interface Condition {
  readonly type: ConditionType;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
  /** ISO 8601; the leader knows since when, nobody else does. */
  readonly since?: string;
}

/** Troubles that no rule can see. */
export interface Troubles {
  /** Findings of a spec that was refused while the last good one stays in force. */
  readonly specRefusal: { readonly message: string } | null;
  /** Why the last step failed. */
  readonly failure: string | null;
  /** Why the Git repository is not followed as it should be. */
  readonly source?: SourceTrouble | null;
}

export interface SourceTrouble {
  /** Stable word in CamelCase. */
  readonly reason: string;
  readonly message: string;
}

const NO_TROUBLE: Troubles = { specRefusal: null, failure: null };

export function statusOf(view: View, decision: Decision, troubles: Troubles = NO_TROUBLE): Status {
  const { spec, state } = view;
  const conditions = conditionsOf(decision, troubles);
  return {
    cluster: spec.cluster,
    generation: view.generation,
    source: { ...view.situation.record.source, appliedAt: view.situation.record.appliedAt },
    followed: view.situation.record.followed ?? null,
    phase: phaseOf(view, conditions),
    paused: state.paused !== null,
    primary: state.primary,
    declaredPrimary: spec.primary,
    term: state.term,
    timeline: view.primary?.asPrimary?.timeline ?? state.timeline,
    override: state.override,
    pause: state.paused,
    request: state.request,
    synchronous: synchronousOf(view),
    lease: leaseOf(view),
    losses: state.losses,
    servers: view.servers.map((server) => serverStatus(view, server)),
    conditions,
    lastChange: state.lastChange,
    backupUnderWay: wordsOf('backup-waits', decision),
    lastBackup: state.lastBackup,
    rehearsalUnderWay: wordsOf('rehearsal-waits', decision),
    lastDrill: state.lastDrill,
    backups: backupsOf(view),
    schedules: schedulesOf(view),
    decision: { rule: decision.rule, because: decision.because },
  };
}

function phaseOf(view: View, conditions: readonly Condition[]): Phase {
  if (view.situation.record.deletion !== null) return 'Deleting';
  if (view.state.systemIdentifier === null) return 'Creating';
  const { change, paused } = view.state;
  if (change !== null) return change.kind === 'failover' ? 'Failover' : 'Switchover';
  if (view.primary?.asPrimary == null) return 'Unavailable';
  if (paused !== null) return 'Paused';
  return conditions.every(({ status }) => status === 'True') ? 'Ready' : 'Degraded';
}

function synchronousOf({ state, spec }: View): Synchronous | null {
  const { wanted, guaranteed } = state.sync;
  const isConcerned =
    wanted !== null || guaranteed !== null || spec.replication.synchronous !== null;
  if (!isConcerned) return null;
  return {
    wanted: wanted === null ? null : describeSet(wanted),
    guaranteed: guaranteed === null ? null : describeSet(guaranteed),
  };
}

function leaseOf({ state, situation, nowMs }: View): Lease | null {
  if (state.contract === null) return null;
  const ends = situation.observation.grants.map(({ endsAtMs }) => endsAtMs - nowMs);
  const leftMs = ends.length === 0 ? null : Math.max(0, Math.round(Math.max(...ends)));
  return { ttlMs: state.contract.ttlMs, leftMs, peers: state.contract.peers };
}

const CONDITIONS: Readonly<Record<ConditionType, string>> = {
  Ready: 'the primary accepts writes',
  ObjectsReady: 'network, secrets and services are as declared',
  ServersReady: 'every standby streams from the primary',
  Synchronous: 'commits are on as many standbys as declared',
  WalArchived: 'every server archives its WAL',
  RecoveryWindow: 'every point since the oldest backup can be restored',
  RestoreDrill: 'the last restore drill, if there was one, has brought the data back',
  BackupRecent: 'the last backup has succeeded, and none is overdue',
  DataVolume: 'every data volume has room',
  ArchiveVolume: 'every archive volume has room',
  UpToDate: 'every server runs with the declared settings and image',
  PrimaryAsDeclared: 'the primary is the declared one',
  SpecValid: 'the spec is valid',
  SourceFollowed: 'the Git repository, if there is one, is followed',
};

/** What is lost when they are false is lost later, or nothing: the cluster serves. */
const PRECAUTIONS: readonly ConditionType[] = [
  'WalArchived',
  'RecoveryWindow',
  'RestoreDrill',
  'BackupRecent',
  'DataVolume',
  'ArchiveVolume',
  'SourceFollowed',
];

/** As declared and at work; whether somebody should look at its archives is another question. */
export const isServing = ({ phase, conditions }: Status): boolean =>
  (phase === 'Ready' || phase === 'Degraded') &&
  conditions.every(({ type, status }) => status === 'True' || PRECAUTIONS.includes(type));

/** Every condition, always; one that no rule disputes is `True`. */
function conditionsOf(decision: Decision, { specRefusal, failure, source }: Troubles): Condition[] {
  return (Object.keys(CONDITIONS) as ConditionType[]).map((type) => {
    if (type === 'SourceFollowed' && source != null) return { type, status: 'False', ...source };
    if (type === 'SpecValid' && specRefusal !== null) {
      return { type, status: 'False', reason: 'SpecRefused', message: specRefusal.message };
    }
    if (type === 'ObjectsReady' && failure !== null) {
      return { type, status: 'False', reason: 'StepFailed', message: failure };
    }
    const raised = decision.findings.filter(({ condition }) => condition?.type === type);
    const [first] = raised;
    return first?.condition == null
      ? { type, status: 'True', reason: 'AsDeclared', message: CONDITIONS[type] }
      : {
          type,
          status: 'False',
          reason: first.condition.reason,
          message: raised.map(({ because }) => because).join('; '),
        };
  });
}

function serverStatus(view: View, server: ServerView): ServerStatus {
  return {
    name: server.name,
    node: server.nodeName,
    address: addressOf(view, server),
    role: roleOf(server),
    state: stateOf(view, server),
    known: server.report !== null,
    streaming: isStreaming(server, view),
    late: isLate(server.spec),
    ...positionsOf(view, server),
    dataVolume: server.report?.dataVolume ?? null,
    archive: archiveStatus(server.report?.archive ?? null, view.situation.now),
    ...eligibility(view, server),
  };
}

const wordsOf = (wanted: string, { findings }: Decision): string | null =>
  findings.find(({ rule }) => rule === wanted)?.because ?? null;

function backupsOf({ servers }: View): readonly BackupStatus[] {
  const copies = servers.flatMap(({ name, lastReport }) =>
    (lastReport?.backups ?? []).map((backup) => ({ name, backup })),
  );
  const ids = [...new Set(copies.map(({ backup }) => backup.id))].toSorted();
  return ids.flatMap((id) => {
    const those = copies.filter(({ backup }) => backup.id === id);
    const [first] = those;
    if (first === undefined) return [];
    const { verification: _, ...summary } = first.backup;
    const fates = new Set(those.flatMap(({ backup }) => backup.retention ?? []));
    const verified = those.flatMap(({ backup }) => backup.verification?.at ?? []);
    const wrong = those.find(({ backup }) => backup.verification?.problem != null);
    return {
      ...summary,
      retention: fates.size === 0 ? null : [...fates].join('; '),
      on: those.map(({ name }) => name).toSorted(),
      verifiedAt: verified.toSorted()[0] ?? null,
      problem:
        wrong === undefined
          ? null
          : `on ${wrong.name}: ${wrong.backup.verification?.problem ?? ''}`,
    };
  });
}

const schedulesOf = ({ spec, state }: View): readonly ScheduleStatus[] =>
  spec.backup.schedules.map(({ name, schedule, timeZone, suspend }) => {
    const followed = state.schedules[name];
    return {
      name,
      schedule,
      timeZone,
      suspended: suspend,
      nextDueAt: followed?.nextDueAt ?? null,
      lastDueAt: followed?.last?.dueAt ?? null,
      lastBegunAt: followed?.last?.at ?? null,
    };
  });

function addressOf(view: View, { nodeId, spec }: ServerView): string | null {
  const node = view.swarm?.nodes.find(({ id }) => id === nodeId);
  return node === undefined ? null : `${node.address}:${String(spec.port)}`;
}

function roleOf({ asPrimary, asStandby }: ServerView): ServerStatus['role'] {
  if (asPrimary !== null) return 'primary';
  return asStandby === null ? null : 'standby';
}

function positionsOf(
  view: View,
  { asPrimary, asStandby }: ServerView,
): Pick<ServerStatus, 'timeline' | 'receivedLsn' | 'replayedLsn' | 'lagBytes'> {
  if (asPrimary !== null) {
    const { timeline, lsn } = asPrimary;
    return { timeline, receivedLsn: lsn, replayedLsn: lsn, lagBytes: null };
  }
  if (asStandby === null) {
    return { timeline: null, receivedLsn: null, replayedLsn: null, lagBytes: null };
  }
  const { timeline, receivedLsn, replayedLsn } = asStandby;
  const current = view.primary?.asPrimary?.lsn ?? null;
  const lag = current === null ? null : lagBytes(current, replayedLsn);
  return { timeline, receivedLsn, replayedLsn, lagBytes: lag };
}

function stateOf(view: View, server: ServerView): string {
  const { report } = server;
  if (report === null) return 'unknown';
  if (report.busy !== null) return report.busy;
  if (server.asPrimary !== null) return 'running';
  if (server.asStandby !== null) return standbyState(server, view);
  return report.problem === null
    ? report.postgres.state
    : `${report.postgres.state} (${report.problem.reason})`;
}

function standbyState(server: ServerView, view: View): string {
  const streams = isStreaming(server, view);
  if (!isLate(server.spec)) return streams ? 'streaming' : 'not streaming';
  return isFollowing(server, view) ? describeFeed(server.spec, streams) : 'behind the archive';
}

/** Whether a switchover to this server would be begun now, and the rule's own words if not. */
export function eligibility(
  view: View,
  server: ServerView,
): { readonly eligible: boolean; readonly because: string } {
  if (server.name === view.state.primary) return { eligible: false, because: 'it is the primary' };
  const because = volumeObstacle(server, view) ?? switchoverObstacle(view, server)?.because ?? null;
  return because === null
    ? { eligible: true, because: 'it streams and is close enough behind' }
    : { eligible: false, because };
}
