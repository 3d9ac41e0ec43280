/**
 * From the document to the spec: defaults filled in, durations in milliseconds, sizes in bytes,
 * everything in one order. Only for documents in which the checks found no error.
 */
import { DEFAULTS, type NodeChoice, type PostgresCluster } from './generated';
import { restoreOrder } from './restore/bootstrap';
import { parseDuration, parseSize, type Parsed } from './quantities';
import type { BackupSpec, NodeSelector, ServerSpec, Spec } from './spec';

/** A value of `spec.postgres.parameters` as the user may write it. */
export type ParameterValue = string | number | boolean;

type BackupDocument = NonNullable<PostgresCluster['spec']['backup']>;

export function withDefaults(document: PostgresCluster): Spec {
  const { metadata, spec } = document;
  const postgres = { ...DEFAULTS.postgres, ...spec.postgres };
  const switchover = { ...DEFAULTS.switchover, ...spec.switchover };
  const failover = { ...DEFAULTS.failover, ...spec.failover };
  const archive = { ...DEFAULTS.archive, ...spec.archive };
  const synchronous = spec.replication?.synchronous;
  return {
    cluster: metadata.name,
    image: spec.image ?? null,
    postgres: {
      version: postgres.version,
      parameters: parametersAsText(postgres.parameters),
      hba: [...postgres.hba],
      database: postgres.database,
      owner: postgres.owner,
    },
    network: { subnet: spec.network.subnet },
    primary: spec.primary,
    servers: spec.servers
      .map((server) => ({
        name: server.name,
        node: nodeSelector(server.node),
        port: server.port ?? DEFAULTS.servers.port,
        ...lateness(server),
      }))
      .sort((a, b) => compare(a.name, b.name)),
    ...(spec.bootstrap === undefined
      ? {}
      : { bootstrap: { restore: restoreOrder(spec.bootstrap.restore) } }),
    replication: {
      synchronous:
        synchronous === undefined ? null : { ...DEFAULTS.replication.synchronous, ...synchronous },
    },
    switchover: {
      lagBytesMax: valueOf(parseSize(switchover.maxLag)),
      timeoutMs: valueOf(parseDuration(switchover.timeout)),
    },
    failover: {
      mode: failover.mode,
      ttlMs: valueOf(parseDuration(failover.ttl)),
      lagBytesMax: valueOf(parseSize(failover.maxLag)),
      delayMs: valueOf(parseDuration(failover.delay)),
      priorities: sortedByName(failover.priorities),
      failback: failover.failback,
      failbackAfterMs: valueOf(parseDuration(failover.failbackAfter)),
    },
    update: { ...DEFAULTS.update, ...spec.update },
    archive: {
      compression: archive.compression,
      timeoutMs: valueOf(parseDuration(archive.timeout)),
    },
    backup: backupOf(spec.backup),
    ...(spec.deletionPolicy === 'delete' ? { deletionPolicy: 'delete' } : {}),
  };
}

function backupOf({ retention = {}, schedules = [], drill }: BackupDocument = {}): BackupSpec {
  const { keep, maxAge } = retention;
  return {
    retention: {
      keep: keep ?? null,
      maxAgeMs: maxAge === undefined ? null : valueOf(parseDuration(maxAge)),
    },
    schedules: schedules.map((schedule) => ({
      server: null,
      ...DEFAULTS.backup.schedules,
      ...schedule,
    })),
    ...(drill === undefined
      ? {}
      : {
          drill: { schedule: null, query: null, server: null, ...DEFAULTS.backup.drill, ...drill },
        }),
  };
}

/** As PostgreSQL writes it: a YAML boolean is `on` or `off`. */
export function parameterText(value: ParameterValue): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return String(value);
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const sortedByName = (values: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(values).sort(([a], [b]) => compare(a, b)));

function parametersAsText(
  parameters: Readonly<Record<string, ParameterValue>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(parameters)
      .map(([name, value]) => [name, parameterText(value)] as const)
      .sort(([a], [b]) => compare(a, b)),
  );
}

function nodeSelector({ hostname, id, labels }: NodeChoice): NodeSelector {
  if (hostname !== undefined) return { hostname };
  if (id !== undefined) return { id };
  if (labels === undefined) throw new Error('a node is chosen by hostname, id or labels');
  return { labels: Object.fromEntries(Object.entries(labels).sort(([a], [b]) => compare(a, b))) };
}

/** Nothing for a server that streams and replays at once. */
function lateness(server: PostgresCluster['spec']['servers'][number]): Pick<ServerSpec, 'late'> {
  const { replication, hotStandby, applyDelay } = { ...DEFAULTS.servers, ...server };
  const applyDelayMs = valueOf(parseDuration(applyDelay));
  if (replication === 'streaming' && applyDelayMs === 0) return {};
  return { late: { replication, hotStandby, applyDelayMs } };
}

function valueOf(parsed: Parsed): number {
  if (parsed.kind === 'problem') throw new Error(parsed.message);
  return parsed.value;
}
