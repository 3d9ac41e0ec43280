/**
 * `pgswarm psql`: psql in the operator's container, where the servers' names are known. The
 * password goes through a file in memory that only that container's user can read: not through
 * arguments or variables, which `docker inspect` shows to everybody.
 */
import { PassThrough, Writable } from 'node:stream';
import { POSTGRES_PORT, PREVIEW_PORT, serviceName } from '../../core/names';
import { type RehearsalTask } from '../../core/restore/rehearsal';
import { type Spec } from '../../core/spec';
import { type ClusterState } from '../../core/state';
import { readSpec, readState } from '../cluster';
import { refusal, type ExitCode } from '../exit';
import { type ExecutionStreams } from '../docker-exec';
import { askLeader } from '../leader';
import { type CliPorts, type Credentials } from '../ports';
import { SESSION_ATTRIBUTES, type SessionRole } from '../uri';

export interface PsqlOptions {
  readonly role: SessionRole;
  /** Into the copy of `pgswarm restore --preview`. */
  readonly preview?: boolean;
}

/** Reads one line and keeps it in a file of mode 0600 that is never on a disk; says its name. */
const KEEP_PASSWORD =
  'umask 077; IFS= read -r line && file=$(mktemp /dev/shm/pgpass.XXXXXX) && printf "%s\\n" "$line" > "$file" && printf "%s" "$file"';
/** The file goes with psql, however that ends. */
const RUN_PSQL = 'trap \'rm -f "$PGPASSFILE"\' EXIT; trap : INT; psql "$@"';

export async function run(
  ports: CliPorts,
  cluster: string,
  args: readonly string[],
  { role, preview }: PsqlOptions,
): Promise<ExitCode> {
  const access = ports.connect();
  const { store } = access;
  const { spec } = (await readSpec(store, cluster)).value;
  const state = await readState(store, cluster);
  const server =
    preview === true
      ? previewEnvironment(spec, state?.value.rehearsal ?? null)
      : libpqEnvironment(spec, state?.value ?? null, role);
  const credentials = await askLeader(ports, () => access.operator.credentials(cluster));
  const passFile = await keepPassword(ports, credentials);
  const environment = [
    ...server,
    `PGPASSFILE=${passFile}`,
    // Statements may hold secrets, and the container is not the user's own.
    'PSQL_HISTORY=/dev/null',
    `TERM=${process.env['TERM'] ?? 'dumb'}`,
  ];
  const command = ['sh', '-c', RUN_PSQL, 'psql', ...args];
  // psql's own exit codes are passed on.
  return (await access.execute({ command, environment, streams: ownStreams() })) as ExitCode;
}

/** libpq's variables, so that every argument of psql stays the user's. */
export function libpqEnvironment(
  { cluster, servers, postgres }: Spec,
  state: Pick<ClusterState, 'primary' | 'restore'> | null,
  role: SessionRole,
): readonly string[] {
  const { primary = null, restore = null } = state ?? {};
  const isOnTrial = restore?.current != null;
  const names = servers
    .map(({ name }) => name)
    .filter((name) => !isOnTrial || name === restore.server)
    .toSorted((a, b) => Number(b === primary) - Number(a === primary));
  const ordered = role === 'rw' ? names : names.toReversed();
  return [
    `PGHOST=${ordered.map((name) => serviceName(cluster, name)).join(',')}`,
    `PGPORT=${POSTGRES_PORT}`,
    `PGUSER=${postgres.owner}`,
    `PGDATABASE=${postgres.database}`,
    `PGTARGETSESSIONATTRS=${isOnTrial ? 'any' : SESSION_ATTRIBUTES[role]}`,
    'PGCONNECT_TIMEOUT=2',
    'PGAPPNAME=pgswarm psql',
  ];
}

/** The same of the one server that keeps the copy. */
export function previewEnvironment(
  { cluster, postgres }: Spec,
  rehearsal: RehearsalTask | null,
): readonly string[] {
  if (rehearsal?.begun == null || rehearsal.request.kind !== 'preview') {
    const sentence = `There is no preview of ${cluster}. Make one: pgswarm restore ${cluster} --preview --time …`;
    throw refusal('NoPreview', sentence);
  }
  return [
    `PGHOST=${serviceName(cluster, rehearsal.begun.server)}`,
    `PGPORT=${PREVIEW_PORT}`,
    `PGUSER=${postgres.owner}`,
    `PGDATABASE=${postgres.database}`,
    'PGCONNECT_TIMEOUT=2',
    'PGAPPNAME=pgswarm psql',
  ];
}

async function keepPassword(
  { connect }: CliPorts,
  { owner, password }: Credentials,
): Promise<string> {
  const stdin = new PassThrough();
  stdin.end(`*:*:*:${escaped(owner)}:${escaped(password)}\n`);
  const said = collector();
  const complaint = collector();
  const streams = { stdin, stdout: said.stream, stderr: complaint.stream, terminal: null };
  const code = await connect().execute({
    command: ['sh', '-c', KEEP_PASSWORD],
    environment: [],
    streams,
  });
  if (code === 0) return said.text();
  const sentence = `The password could not be kept in the operator's container: ${complaint.text()}`;
  throw refusal('PasswordFile', sentence);
}

/** PostgreSQL manual, 34.16 "The Password File". */
const escaped = (text: string): string => text.replaceAll(/[\\:]/g, '\\$&');

function collector(): { readonly stream: Writable; readonly text: () => string } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write: (chunk: Buffer, _, done) => {
      chunks.push(chunk);
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString().trim() };
}

/** A terminal is passed through as it is: psql edits lines, completes and pages by itself. */
function ownStreams(): ExecutionStreams {
  const { stdin, stdout, stderr } = process;
  const isTerminal = stdin.isTTY && stdout.isTTY;
  if (!isTerminal) return { stdin, stdout, stderr, terminal: null };
  return {
    stdin,
    stdout,
    stderr,
    terminal: {
      begin: () => void stdin.setRawMode(true),
      end: () => void stdin.setRawMode(false),
      size: () => ({ h: stdout.rows, w: stdout.columns }),
      resized: (changed) => {
        stdout.on('resize', changed);
        return () => void stdout.off('resize', changed);
      },
    },
  };
}
