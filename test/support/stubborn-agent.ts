/**
 * Runs beside one server: a client that writes to it over one connection, never gives up waiting for
 * an answer, and connects again to the same server only. Prints one line of JSON for every write
 * that has ended, with times of the machine's monotonic clock, which all of its containers share.
 *
 * One self-contained file: it is compiled and handed to `node -e`. From the image it takes only
 * Node and node-pg.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, DatabaseError } from 'pg';

/** A write as the agent prints it. */
export interface Line {
  readonly id: number;
  readonly sentAtMs: number;
  readonly endedAtMs: number;
  readonly outcome: 'acknowledged' | 'refused' | 'unknown';
  readonly timeline: number | null;
  readonly problem: string | null;
}

const connectionString = process.env['STUBBORN_URI'] ?? '';
const table = process.env['STUBBORN_TABLE'] ?? '';
const run = process.env['STUBBORN_RUN'] ?? '';
const intervalMs = 5;
const connectTimeoutMs = 1000;
/** A server that starts again has better to do than to refuse us. */
const reconnectMs = 50;

const text = `insert into ${table} (run, id) values ($1, $2)
  returning left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) as timeline`;

const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

async function connect(): Promise<Client | null> {
  const client = new Client({ connectionString, connectionTimeoutMillis: connectTimeoutMs });
  client.on('error', () => undefined); // The next query says it.
  try {
    await client.connect();
    return client;
  } catch {
    return null;
  }
}

async function write(client: Client, id: number): Promise<Line> {
  const sentAtMs = nowMs();
  try {
    const { rows } = await client.query<{ timeline: string }>(text, [run, id]);
    const timeline = Number.parseInt(rows[0]?.timeline ?? '', 16);
    return { id, sentAtMs, endedAtMs: nowMs(), outcome: 'acknowledged', timeline, problem: null };
  } catch (error) {
    // Only an error of the statement says that nothing was committed; a fatal one may come later.
    const isRefusal = error instanceof DatabaseError && error.severity === 'ERROR';
    const outcome = isRefusal ? 'refused' : 'unknown';
    const problem = (error as Error).message;
    return { id, sentAtMs, endedAtMs: nowMs(), outcome, timeline: null, problem };
  }
}

async function main(): Promise<void> {
  let client: Client | null = null;
  for (let id = 1; ;) {
    client ??= await connect();
    if (client !== null) {
      const line = await write(client, id);
      id += 1;
      process.stdout.write(`${JSON.stringify(line)}\n`);
      if (line.outcome === 'unknown') {
        void client.end().catch(() => undefined);
        client = null;
      }
    }
    await sleep(client === null ? reconnectMs : intervalMs);
  }
}

process.stdin.resume().on('end', () => process.exit());
void main();
