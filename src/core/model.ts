/**
 * A small model of Swarm and of well-behaved instances: what the world becomes when a step is
 * applied and when every instance has done what it was told. `plan` walks it with the operator's
 * own `decide`; so do the tests, from every state that it passes through.
 */
import { assignmentFor } from './assignment';
import { type Lsn } from './lsn';
import { type SwarmSeen } from './observation';
import {
  type PostgresReport,
  type Report,
  type Task,
  type VolumeReport,
  type VolumeTag,
} from './protocol';
import { describeOrder } from './restore/bootstrap';
import { heldBackOn, pendingOf } from './rules/servers';
import { viewOf, type ServerView, type Situation, type View } from './situation';
import { type Step } from './steps';
import { renderSyncNames } from './sync';

/** The system identifier of a database cluster that the model has initialised. */
const NEW_SYSTEM_IDENTIFIER = '7000000000000000001';
/** Where the WAL of every database cluster in the model begins; nothing is ever written there. */
const FIRST_LSN: Lsn = '0/3000000';

/** The situation after `step` has been applied. */
export function afterStep(situation: Situation, step: Step): Situation {
  if (step.kind === 'record') {
    const fingerprints = situation.fingerprints ?? NO_FINGERPRINTS;
    return { ...situation, state: step.next, fingerprints };
  }
  const { observation } = situation;
  if (observation.swarm === null) return situation;
  const swarm = swarmAfter(observation.swarm, step);
  const after = { ...situation, observation: { ...observation, swarm } };
  switch (step.kind) {
    case 'create-service':
      return withReport(after, step.service.server, newborn(situation, step.service.server));
    case 'remove-service':
      return withoutReport(after, step.name);
    case 'remove-volumes': {
      const volumesRemoved = [...observation.volumesRemoved, step.server];
      return { ...after, observation: { ...after.observation, volumesRemoved } };
    }
    default:
      return after;
  }
}

/** Keys that do not exist yet have no fingerprint. */
const NO_FINGERPRINTS = { control: 'new', replication: 'new', owner: 'new' };

function swarmAfter(swarm: SwarmSeen, step: Exclude<Step, { kind: 'record' }>): SwarmSeen {
  switch (step.kind) {
    case 'create-network': {
      const { name, cluster, subnet } = step.network;
      const network = { id: name, name, cluster, driver: 'overlay', subnets: [subnet] };
      return { ...swarm, networks: [...swarm.networks, network] };
    }
    case 'create-secret': {
      const { name } = step.secret;
      return { ...swarm, secrets: [...swarm.secrets, { id: name, name }] };
    }
    case 'create-service': {
      const { name, spec } = step.service;
      return { ...swarm, services: [...swarm.services, { id: name, name, version: 1, spec }] };
    }
    case 'update-service': {
      const services = swarm.services.map((service) =>
        service.id === step.id ? { ...service, spec: step.service.spec } : service,
      );
      return { ...swarm, services };
    }
    case 'remove-service':
      return {
        ...swarm,
        services: swarm.services.filter(({ id }) => id !== step.id),
        tasks: swarm.tasks.filter(({ service }) => service !== step.name),
      };
    case 'remove-network':
      return { ...swarm, networks: swarm.networks.filter(({ id }) => id !== step.id) };
    case 'remove-secret':
      return { ...swarm, secrets: swarm.secrets.filter(({ id }) => id !== step.id) };
    case 'remove-volumes':
    case 'forget':
      return swarm;
  }
}

/** An instance that has just started, on whatever its volume holds. */
function newborn({ record, observation }: Situation, server: string): Report {
  const before = observation.reports[server]?.report;
  return {
    cluster: record.spec.cluster,
    server,
    bootId: 'model',
    sequence: 1,
    obeys: null,
    volume: before?.volume ?? { kind: 'empty' },
    postgres: { state: 'stopped', control: null, standbySignal: false },
    busy: null,
    problem: null,
    checkpointedFor: null,
    taskId: null,
    promiseLeftMs: null,
    isLeaving: false,
    restartedFor: null,
    archive: null,
    backup: null,
    backups: [],
    rehearsal: null,
    dataVolume: null,
    divergence: null,
    prospect: null,
    restored: null,
  };
}

function withReport(situation: Situation, server: string, report: Report): Situation {
  const { observation, nowMs } = situation;
  const reports = { ...observation.reports, [server]: { report, seenAtMs: nowMs } };
  return { ...situation, observation: { ...observation, reports } };
}

function withoutReport(situation: Situation, service: string): Situation {
  const gone = situation.record.spec.servers.find(({ name }) => service.endsWith(`-${name}`));
  if (gone === undefined) return situation;
  const { [gone.name]: _, ...reports } = situation.observation.reports;
  return { ...situation, observation: { ...situation.observation, reports } };
}

/** The standbys have heard what their primary has been restarted with. */
function withLimitsReplayed(situation: Situation, { postgres }: Report): Situation {
  if (postgres.state !== 'primary' || postgres.pendingRestart.length > 0) return situation;
  return Object.entries(situation.observation.reports).reduce(
    (after, [name, { report }]) =>
      report.settings == null
        ? after
        : withReport(after, name, { ...report, settings: { ...report.settings, heldBack: [] } }),
    situation,
  );
}

export interface Deed {
  readonly server: string;
  /** In the user's words; null for what is not worth a line in a plan. */
  readonly text: string | null;
}

/** Every instance that reports does what it is told, once. */
export function afterInstances(situation: Situation): {
  readonly situation: Situation;
  readonly deeds: readonly Deed[];
} {
  if (situation.state === null) return { situation, deeds: [] };
  let after = situation;
  const deeds: Deed[] = [];
  for (const { name } of situation.record.spec.servers) {
    const view = viewOf(after, situation.state);
    const server = view.servers.find((each) => each.name === name);
    if (server?.report == null) continue;
    const done = obey(view, server, server.report);
    if (done === null) continue;
    deeds.push({ server: name, text: done.text });
    after = withReport(after, name, done.report);
    if (server === view.primary) after = withLimitsReplayed(after, done.report);
  }
  return { situation: after, deeds };
}

interface Obeyed {
  readonly report: Report;
  readonly text: string | null;
}

/** null when the instance already is what it is told to be. */
function obey(view: View, server: ServerView, report: Report): Obeyed | null {
  const { task, term, leaderEpoch, rollCall } = assignmentFor(view, server);
  const restartFor = 'restartFor' in task ? task.restartFor : null;
  const restartedFor = restartFor ?? report.restartedFor;
  const isRestarted = restartedFor !== report.restartedFor;
  const contract = task.kind === 'primary' ? task.contract : null;
  const done = waiting(doneTask(view, server, task), { view, server, isRestarted });
  const obeys = { term, leaderEpoch, task: task.kind, contract, rollCall };
  const isSame =
    done === null ||
    (sameJson(done.postgres, report.postgres) &&
      sameJson(done.volume, report.volume) &&
      done.checkpointedFor === report.checkpointedFor &&
      restartedFor === report.restartedFor &&
      sameJson(obeys, report.obeys));
  if (isSame) return null;
  const { postgres, volume, checkpointedFor } = done;
  const text = done.text ?? (isRestarted ? `restart PostgreSQL on ${server.name}` : null);
  return { report: { ...report, postgres, volume, checkpointedFor, restartedFor, obeys }, text };
}

/** Only a start takes over what waits for one, and a standby's not what waits for the primary. */
function waiting(
  done: Outcome | null,
  on: { readonly view: View; readonly server: ServerView; readonly isRestarted: boolean },
): Outcome | null {
  if (done === null || !('pendingRestart' in done.postgres)) return done;
  const { view, server, isRestarted } = on;
  const awaited = view.primary === null ? [] : pendingOf(view.primary);
  const isStart = isRestarted || (server.asPrimary ?? server.asStandby) === null;
  const pendingRestart = isStart
    ? heldBackOn(server).filter(
        (name) => done.postgres.state === 'standby' && awaited.includes(name),
      )
    : pendingOf(server);
  return { ...done, postgres: { ...done.postgres, pendingRestart } };
}

const sameJson = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

type Outcome = Pick<Report, 'volume' | 'postgres' | 'checkpointedFor'> & {
  readonly text: string | null;
};

function doneTask(view: View, server: ServerView, task: Task): Outcome | null {
  const { report } = server;
  const volume: VolumeReport = report?.volume ?? { kind: 'empty' };
  const checkpointedFor = report?.checkpointedFor ?? null;
  const { name } = server;
  switch (task.kind) {
    case 'wait':
    case 'restored':
      return null;
    case 'initialise': {
      const filled = tagged(view, name, task.volumeId, NEW_SYSTEM_IDENTIFIER);
      const text = fillText(task, name);
      return { ...stopped(filled, null), checkpointedFor, text };
    }
    case 'clone': {
      const filled = tagged(view, name, task.volumeId, task.from.systemIdentifier);
      const text = `clone ${name} from ${task.from.server} with pg_basebackup`;
      return { ...stopped(filled, lsnOf(view.primary)), checkpointedFor, text };
    }
    case 'primary': {
      const postgres = primaryReport(view, server);
      return {
        volume,
        postgres,
        checkpointedFor: task.checkpointFor ?? checkpointedFor,
        text: startText(server, 'primary'),
      };
    }
    case 'standby':
      return {
        volume,
        postgres: standbyReport(view, server),
        checkpointedFor,
        text: startText(server, 'standby'),
      };
    case 'stop':
      return { ...stopped(volume, lsnOf(server)), checkpointedFor, text: null };
  }
}

function tagged(
  view: View,
  server: string,
  volumeId: string,
  systemIdentifier: string,
): VolumeReport {
  const tag: VolumeTag = { cluster: view.spec.cluster, server, systemIdentifier, volumeId };
  return { kind: 'tagged', tag };
}

function stopped(
  volume: VolumeReport,
  lsn: string | null,
): { readonly volume: VolumeReport; readonly postgres: PostgresReport } {
  const endLsn = lsn ?? FIRST_LSN;
  const control = {
    systemIdentifier: volume.kind === 'tagged' ? volume.tag.systemIdentifier : '',
    timeline: 1,
    clusterState: 'shut down',
    checkpointLsn: endLsn,
    endLsn,
  };
  return { volume, postgres: { state: 'stopped', control, standbySignal: false } };
}

const fillText = ({ restore }: Extract<Task, { kind: 'initialise' }>, server: string): string =>
  restore === undefined
    ? `initdb on ${server}`
    : `restore ${server} from ${describeOrder(restore)}, on a timeline of its own`;

function startText(server: ServerView, role: 'primary' | 'standby'): string | null {
  const state = server.report?.postgres.state;
  if (state === role) return null;
  if (role === 'primary') {
    return state === 'standby' ? `promote ${server.name}` : `start ${server.name} as primary`;
  }
  return `start ${server.name} as standby`;
}

/** How far a server's WAL goes in the model. */
function lsnOf(server: ServerView | null): string | null {
  const postgres = server?.report?.postgres;
  if (postgres?.state === 'primary') return postgres.lsn;
  if (postgres?.state === 'standby') return postgres.replayedLsn;
  return postgres?.state === 'stopped' ? (postgres.control?.endLsn ?? null) : null;
}

function primaryReport(view: View, server: ServerView): PostgresReport {
  const lsn = lsnOf(server) ?? FIRST_LSN;
  const standbys = view.servers
    .filter((other) => other !== server && other.asStandby !== null)
    .map((other) => ({
      server: other.name,
      state: 'streaming' as const,
      sentLsn: lsn,
      flushedLsn: lsn,
      replayedLsn: lsn,
    }));
  const systemIdentifier = view.state.systemIdentifier ?? NEW_SYSTEM_IDENTIFIER;
  return {
    state: 'primary',
    systemIdentifier,
    timeline: view.state.term,
    lsn,
    standbys,
    syncNames: renderSyncNames(view.state.sync.wanted),
    isSyncInForce: true,
    pendingRestart: [],
  };
}

function standbyReport(view: View, server: ServerView): PostgresReport {
  const { primary, state } = view;
  const upstream = lsnOf(primary);
  const lsn = upstream ?? lsnOf(server) ?? FIRST_LSN;
  return {
    state: 'standby',
    systemIdentifier: state.systemIdentifier ?? NEW_SYSTEM_IDENTIFIER,
    timeline: state.term,
    receivedLsn: lsn,
    replayedLsn: lsn,
    upstreamLsn: lsn,
    receiver: { status: 'streaming', host: state.primary ?? '' },
    pendingRestart: [],
  };
}
