/** One connection to the local server, over its Unix socket, as its superuser (peer). */
import { Socket } from 'node:net';
import { Client } from 'pg';

export interface LocalAddress {
  readonly socketDirectory: string;
  readonly port: number;
  /** `postgres` unless told. */
  readonly database?: string;
}

const CONNECT_TIMEOUT_MS = 2000;
/**
 * What a user may have set for all sessions must not reach ours: statements are short and not for
 * the log, write even where the default is read-only, and never wait for a synchronous standby.
 */
const SESSION = [
  'search_path=pg_catalog',
  'default_transaction_read_only=off',
  'synchronous_commit=local',
  'log_statement=none',
  'log_min_duration_statement=-1',
  'statement_timeout=0',
  'lock_timeout=10s',
  'idle_session_timeout=0',
];

/** The socket is our own, so that it can be closed without waiting for a server that hangs. */
interface Session {
  readonly client: Client;
  readonly socket: Socket;
}

/** Opens on first use and again after it broke. Statements wait for each other. */
export class LocalConnection {
  readonly #address: LocalAddress;
  #session: Session | null = null;
  #opening: Promise<Session> | null = null;

  constructor(address: LocalAddress) {
    this.#address = address;
  }

  /** Rows of one statement. After an error of the connection itself the next use opens another. */
  async query<Row extends object>(
    text: string,
    options: { values?: readonly unknown[]; timeoutMs: number },
  ): Promise<readonly Row[]> {
    const session = this.#session ?? (await this.#openOnce());
    try {
      // Documented for `query` as for the client, but missing from the types.
      const timeout = { query_timeout: options.timeoutMs };
      const values = [...(options.values ?? [])];
      const { rows } = await session.client.query<Row>({ text, values, ...timeout });
      return rows;
    } catch (error) {
      if (isConnectionError(error)) this.#drop(session);
      throw error;
    }
  }

  close(): void {
    if (this.#session !== null) this.#drop(this.#session);
  }

  async #openOnce(): Promise<Session> {
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null;
    });
    return await this.#opening;
  }

  async #open(): Promise<Session> {
    const socket = new Socket();
    const client = new Client({
      host: this.#address.socketDirectory,
      port: this.#address.port,
      user: 'postgres',
      database: this.#address.database ?? 'postgres',
      application_name: 'pgswarm',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      options: SESSION.map((setting) => `-c ${setting}`).join(' '),
      stream: () => socket,
    });
    const session = { client, socket };
    // Without a listener the end of an idle connection, as by a stop, would end the process.
    client.on('error', () => this.#drop(session));
    try {
      await client.connect();
    } catch (error) {
      socket.destroy();
      throw error;
    }
    this.#session = session;
    return session;
  }

  #drop(session: Session): void {
    if (this.#session === session) this.#session = null;
    session.socket.destroy();
  }
}

/** Anything but the server's answer to a statement; class 57P is a server that shuts down. */
function isConnectionError(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code) || code.startsWith('57P');
}
