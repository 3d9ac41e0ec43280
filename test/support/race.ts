/**
 * Connects to whichever of several servers is fit for a session: all are asked at once, each again
 * and again with a short timeout, and the first that fits wins. A silent server delays nobody.
 */
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { type Host, type LibpqUri, type SessionAttributes } from './libpq-uri';

export interface RaceOptions {
  readonly connectTimeoutMs: number;
  /** A statement without an answer for this long is given up. */
  readonly answerTimeoutMs: number;
  /** Pause before a server that does not fit, or cannot be reached, is asked again. */
  readonly retryMs: number;
  readonly signal: AbortSignal;
}

/** A connection that knows whether it is still there. */
export interface Session {
  /** `host:port`, as in the URI. */
  readonly server: string;
  readonly client: Client;
  readonly isLost: () => boolean;
  /** Ends it without asking the server. */
  readonly close: () => void;
}

/** `host:port`; servers are told apart by it everywhere. */
export const serverOf = ({ host, port }: Host): string => `${host}:${port}`;

/** A session on the first server that fits `target_session_attrs`; rejects only when aborted. */
export async function raceForSession(uri: LibpqUri, options: RaceOptions): Promise<Session> {
  const race = new AbortController();
  const signal = AbortSignal.any([race.signal, options.signal]);
  try {
    return await Promise.any(uri.hosts.map((host) => insist(uri, host, { ...options, signal })));
  } catch (error) {
    options.signal.throwIfAborted();
    throw error;
  } finally {
    race.abort();
  }
}

/** Over one connection as long as it lasts: a standby may become what is wanted at any moment. */
async function insist(uri: LibpqUri, host: Host, options: RaceOptions): Promise<Session> {
  for (;;) {
    options.signal.throwIfAborted();
    const session = prepare(uri, host, options);
    options.signal.addEventListener('abort', session.close);
    try {
      await session.client.connect();
      while (!(await fits(session.client, uri.targetSessionAttributes))) await rest(options);
      if (!options.signal.aborted) return session;
    } catch {
      // Refused, silent or gone: the next connection may find it otherwise.
    } finally {
      options.signal.removeEventListener('abort', session.close);
    }
    session.close();
    await rest(options);
  }
}

const rest = ({ retryMs, signal }: RaceOptions): Promise<void> =>
  sleep(retryMs, undefined, { signal });

function prepare(uri: LibpqUri, host: Host, options: RaceOptions): Session {
  // Our own socket: node-pg cannot be told to give up a connection that is being made.
  const socket = new Socket();
  const client = new Client({
    ...host,
    ...(uri.user === null ? {} : { user: uri.user }),
    ...(uri.password === null ? {} : { password: uri.password }),
    ...(uri.database === null ? {} : { database: uri.database }),
    application_name: 'writer',
    stream: () => socket,
    connectionTimeoutMillis: options.connectTimeoutMs,
    query_timeout: options.answerTimeoutMs,
  });
  let isLost = false;
  const lose = (): void => void (isLost = true);
  client.on('error', lose);
  socket.on('close', lose);
  return {
    server: serverOf(host),
    client,
    isLost: () => isLost,
    close: () => void socket.destroy(),
  };
}

const ROLE = `select pg_is_in_recovery() as "isStandby",
  pg_is_in_recovery() or current_setting('default_transaction_read_only')::bool as "isReadOnly"`;

/** As libpq decides (manual: "target_session_attrs"); a preference is as good as no demand here. */
async function fits(client: Client, wanted: SessionAttributes): Promise<boolean> {
  if (wanted === 'any' || wanted === 'prefer-standby') return true;
  const { rows } = await client.query<{ isStandby: boolean; isReadOnly: boolean }>(ROLE);
  const [row] = rows;
  if (row === undefined) return false;
  const answers: Record<typeof wanted, boolean> = {
    'read-write': !row.isReadOnly,
    'read-only': row.isReadOnly,
    primary: !row.isStandby,
    standby: row.isStandby,
  };
  return answers[wanted];
}
