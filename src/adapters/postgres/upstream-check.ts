/** Looks at an upstream before this server follows it, or copies its data. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientConfig } from 'pg';
import { OperatingError } from '../../core/errors';
import { type Lsn } from '../../core/lsn';
import { REPLICATION_ROLE } from '../../core/names';
import { type Upstream } from '../../core/protocol';
import { CLONE_APPLICATION_NAME, SWITCH_WAL } from './sql';
import { parseTimelineHistory, type Lineage } from '../../core/timelines';
import {
  CHECKPOINT_TIMELINE,
  HAS_SEGMENT,
  UPSTREAM_APPLICATION_NAME,
  UPSTREAM_SIZE,
} from './upstream-sql';

const TIMEOUT_MS = 5000;
/** Sizes are read file by file. */
const SLOW_TIMEOUT_MS = 60_000;
/** Longer than the checkpoint after a promotion may take (`checkpoint_timeout`, 5 minutes). */
const CHECKPOINT_MAX_MS = 6 * 60_000;
const CHECKPOINT_POLL_MS = 200;
const DUPLICATE_OBJECT = '42710';
const INVALID_PASSWORD = '28P01';
/** A primary that was just made sets its roles in its first moments. */
const ROLES_MAX_MS = 5000;
const ROLES_POLL_MS = 100;

export interface UpstreamSeen extends Lineage {
  /** How far its WAL is on disk. */
  readonly lsn: Lsn;
}

export interface UpstreamSize {
  readonly dataBytes: number;
  readonly walBytes: number;
}

/**
 * Refuses an upstream with another system identifier, and makes this server's slot on it, if it has one, so that
 * the WAL from the copy's start on is kept (manual: "Streaming Replication Protocol").
 */
export async function prepareUpstream(upstream: Upstream, password: string): Promise<void> {
  const deadlineMs = performance.now() + ROLES_MAX_MS;
  for (;;) {
    try {
      await reserveSlot(upstream, password);
      return;
    } catch (error) {
      const isTooEarly = (error as { code?: string }).code === INVALID_PASSWORD;
      if (!isTooEarly || performance.now() > deadlineMs) throw error;
      await sleep(ROLES_POLL_MS);
    }
  }
}

async function reserveSlot(upstream: Upstream, password: string): Promise<void> {
  await connected(forReplication(upstream, password), async (client) => {
    await identify(client, upstream);
    if (upstream.slot === null) return;
    await client
      .query(`CREATE_REPLICATION_SLOT ${upstream.slot} PHYSICAL RESERVE_WAL`)
      .catch((error: unknown) => {
        if ((error as { code?: string }).code !== DUPLICATE_OBJECT) throw error;
      });
  });
}

/**
 * The upstream's timelines and position: a few milliseconds. Refuses one that is a standby itself:
 * where the WAL of a server that is still to be promoted will go on is not known.
 */
export async function lookAtUpstream(upstream: Upstream, password: string): Promise<UpstreamSeen> {
  return await connected(forReplication(upstream, password), async (client) => {
    const { timeline, lsn } = await identify(client, upstream);
    if (await isStandby(client)) throw notPrimary(upstream);
    if (timeline === 1) return { timeline, lsn, history: [] };
    const { rows } = await client.query<{ content: unknown }>(`TIMELINE_HISTORY ${timeline}`);
    return { timeline, lsn, history: parseTimelineHistory(String(rows[0]?.content)) };
  });
}

/** Bytes in the upstream's databases and in its WAL. */
export async function sizeOfUpstream(upstream: Upstream, password: string): Promise<UpstreamSize> {
  return await connected(inDatabase(upstream, password), async (client) => {
    const { rows } = await client.query<{ data_bytes: string; wal_bytes: string }>(UPSTREAM_SIZE);
    return { dataBytes: Number(rows[0]?.data_bytes), walBytes: Number(rows[0]?.wal_bytes) };
  });
}

/** Whether the upstream has a segment of WAL, on its timeline or a later one. */
export async function hasSegment(
  upstream: Upstream,
  password: string,
  segment: string,
): Promise<boolean> {
  return await connected(inDatabase(upstream, password), async (client) => {
    const { rows } = await client.query<{ found: boolean }>(HAS_SEGMENT, [segment]);
    return rows[0]?.found === true;
  });
}

/** Has the upstream close the segment in use; its name. */
export async function closeSegmentOf(upstream: Upstream, password: string): Promise<string | null> {
  return await connected(inDatabase(upstream, password), async (client) => {
    const { rows } = await client.query<{ file: string }>(SWITCH_WAL);
    return rows[0]?.file ?? null;
  });
}

/**
 * Returns when the upstream's last checkpoint is of its present timeline. The one after a promotion
 * takes its time (manual: `checkpoint_completion_target`).
 */
export async function awaitCheckpoint(upstream: Upstream, password: string): Promise<void> {
  const { timeline } = await lookAtUpstream(upstream, password);
  await connected(inDatabase(upstream, password), async (client) => {
    const deadlineMs = performance.now() + CHECKPOINT_MAX_MS;
    while ((await checkpointTimeline(client)) < timeline) {
      if (performance.now() > deadlineMs) throw notCheckpointed(upstream);
      await sleep(CHECKPOINT_POLL_MS);
    }
  });
}

async function checkpointTimeline(client: Client): Promise<number> {
  const { rows } = await client.query<{ timeline: number }>(CHECKPOINT_TIMELINE);
  return rows[0]?.timeline ?? 0;
}

/** Under the name of a clone: the upstream would count any other one among its standbys. */
function forReplication(upstream: Upstream, password: string): ClientConfig {
  const replication = { replication: 'true' };
  return { ...connectionTo(upstream, password, CLONE_APPLICATION_NAME), ...replication };
}

function inDatabase(upstream: Upstream, password: string): ClientConfig {
  const to = connectionTo(upstream, password, UPSTREAM_APPLICATION_NAME);
  const options = '-c search_path=pg_catalog';
  return { ...to, database: 'postgres', options, query_timeout: SLOW_TIMEOUT_MS };
}

function connectionTo(upstream: Upstream, password: string, applicationName: string): ClientConfig {
  return {
    host: upstream.address ?? upstream.host,
    port: upstream.port,
    user: REPLICATION_ROLE,
    password,
    application_name: applicationName,
    connectionTimeoutMillis: TIMEOUT_MS,
    query_timeout: TIMEOUT_MS,
  };
}

async function connected<T>(
  config: ClientConfig,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client(config);
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await work(client);
  } finally {
    // Nobody waits for the goodbye.
    void client.end().catch(() => undefined);
  }
}

async function identify(
  client: Client,
  upstream: Upstream,
): Promise<{ timeline: number; lsn: Lsn }> {
  const { rows } = await client.query<{ systemid: string; timeline: number; xlogpos: Lsn }>(
    'IDENTIFY_SYSTEM',
  );
  const found = rows[0]?.systemid ?? 'unknown';
  if (rows[0] === undefined || found !== upstream.systemIdentifier) throw foreign(upstream, found);
  return { timeline: rows[0].timeline, lsn: rows[0].xlogpos };
}

async function isStandby(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ in_hot_standby: string }>('SHOW in_hot_standby');
  return rows[0]?.in_hot_standby === 'on';
}

function foreign(upstream: Upstream, found: string): OperatingError {
  const message =
    `${upstream.server} at ${upstream.host}:${upstream.port} holds another database cluster: its ` +
    `system identifier is ${found}, expected ${upstream.systemIdentifier}. Nothing was copied`;
  return new OperatingError('refused', 'UpstreamForeign', message);
}

function notPrimary({ server }: Upstream): OperatingError {
  const message = `${server} is still a standby itself: waiting until it is promoted`;
  return new OperatingError('transient', 'UpstreamNotPrimary', message);
}

function notCheckpointed({ server }: Upstream): OperatingError {
  const message = `${server} has not completed a checkpoint since it was promoted: waiting for it`;
  return new OperatingError('transient', 'UpstreamNotCheckpointed', message);
}
