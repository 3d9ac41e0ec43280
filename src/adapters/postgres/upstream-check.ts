/** A look at an upstream before its data is copied, over a replication connection. */
import { Client } from 'pg';
import { OperatingError } from '../../core/errors';
import { REPLICATION_ROLE } from '../../core/names';
import { type Upstream } from '../../core/protocol';
import { CLONE_APPLICATION_NAME } from './sql';

const TIMEOUT_MS = 5000;
const DUPLICATE_OBJECT = '42710';

/**
 * Refuses an upstream with another system identifier, and makes this server's slot on it, so that
 * the WAL from the copy's start on is kept (manual: "Streaming Replication Protocol").
 */
export async function prepareUpstream(upstream: Upstream, password: string): Promise<void> {
  const client = new Client({
    host: upstream.host,
    port: upstream.port,
    user: REPLICATION_ROLE,
    password,
    application_name: CLONE_APPLICATION_NAME,
    connectionTimeoutMillis: TIMEOUT_MS,
    query_timeout: TIMEOUT_MS,
    ...{ replication: 'true' },
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ systemid: string }>('IDENTIFY_SYSTEM');
    const found = rows[0]?.systemid ?? 'unknown';
    if (found !== upstream.systemIdentifier) throw foreign(upstream, found);
    await client
      .query(`CREATE_REPLICATION_SLOT ${upstream.slot} PHYSICAL RESERVE_WAL`)
      .catch((error: unknown) => {
        if ((error as { code?: string }).code !== DUPLICATE_OBJECT) throw error;
      });
  } finally {
    await client.end().catch(() => undefined);
  }
}

function foreign(upstream: Upstream, found: string): OperatingError {
  const message =
    `${upstream.server} at ${upstream.host}:${upstream.port} holds another database cluster: its ` +
    `system identifier is ${found}, expected ${upstream.systemIdentifier}. Nothing was copied`;
  return new OperatingError('refused', 'UpstreamForeign', message);
}
