/** What goes into a report, piece by piece: one that cannot be had says why in its place. */
import { messageOf, OperatingError } from '../../core/errors';
import { serviceName, OPERATOR_SERVICE } from '../../core/names';
import { type SpecRecord } from '../../core/spec';
import { readSpec, readState, loadCluster } from '../cluster';
import { run as why } from '../commands/why';
import { historyOf } from '../history';
import { readLog } from '../log-stream';
import { json, plain, serialised, type Output } from '../output';
import { type CliPorts } from '../ports';
import { statusText } from '../status-text';
import { version } from '../version';
import { redactText, redactValue } from './redact';
import { type TarFile } from './tar';

interface Piece {
  readonly path: string;
  readonly collect: () => Promise<unknown>;
}

export interface Bundle {
  readonly files: readonly TarFile[];
  /** What could not be had, each with the reason. */
  readonly missing: readonly string[];
}

/** Lines from the end of each log. */
const LOG_LINES = 2_000;

export async function collectBundle(ports: CliPorts, cluster: string): Promise<Bundle> {
  const known = await knownSecrets(ports, cluster);
  const collected = await Promise.all(
    (await piecesOf(ports, cluster)).map(async ({ path, collect }) => {
      try {
        return { path, text: textOf(redactValue(await collect(), known)), problem: null };
      } catch (error) {
        const problem = redactText(messageOf(error), known);
        return { path, text: `${problem}\n`, problem };
      }
    }),
  );
  const missing = collected.flatMap(({ path, problem }) =>
    problem === null ? [] : [`${path}: ${problem}`],
  );
  const readme = { path: 'README.txt', text: readmeOf(ports, cluster, missing) };
  return { files: [readme, ...collected], missing };
}

const textOf = (value: unknown): string =>
  typeof value === 'string' ? `${value.trimEnd()}\n` : `${json(value)}\n`;

/** To be recognised wherever they stand; they go nowhere else. */
async function knownSecrets(ports: CliPorts, cluster: string): Promise<readonly string[]> {
  try {
    return [(await ports.connect().operator.credentials(cluster)).password];
  } catch {
    // Without an operator nothing has the password but the instances themselves.
    return [];
  }
}

/** A Swarm without a leader answers almost nothing: then that is what the report says. */
async function piecesOf(ports: CliPorts, cluster: string): Promise<readonly Piece[]> {
  const access = ports.connect();
  const record = await unlessTransient(async () => (await readSpec(access.store, cluster)).value);
  const state = once(async () => (await readState(access.store, cluster))?.value ?? null);
  const known = once(() => loadCluster(ports, cluster));
  const log = (service: string) => (): Promise<string> => readLog(ports, service, LOG_LINES);
  const facts = await access.facts(cluster);
  return [
    piece('status.txt', async () => statusText(await known(), ports.now(), plain)),
    piece('status.json', async () => (await known()).status),
    piece('why.txt', () => printed(ports, (to) => why(to, cluster))),
    ...(record === null ? [] : specPieces(record)),
    piece('record.json', state),
    piece('events.json', async () => (await historyOf(ports, cluster, null)).entries),
    piece('observation.json', async () => (await known()).situation.observation),
    ...facts.map(({ name, collect }) => piece(`docker/${name}.json`, collect)),
    ...(record?.spec.servers ?? []).map(({ name }) =>
      piece(`logs/${name}.log`, log(serviceName(cluster, name))),
    ),
    piece('logs/operator.log', log(OPERATOR_SERVICE)),
  ];
}

function specPieces({ document, ...provenance }: SpecRecord): readonly Piece[] {
  return [
    // Hidden before it is text: in YAML a value may span lines.
    piece('spec.yaml', () => Promise.resolve(serialised(redactValue(document, []), 'yaml'))),
    piece('spec.json', () => Promise.resolve(provenance)),
  ];
}

const piece = (path: string, collect: () => Promise<unknown>): Piece => ({ path, collect });

async function unlessTransient<T>(look: () => Promise<T>): Promise<T | null> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof OperatingError && error.kind === 'transient') return null;
    throw error;
  }
}

/** Several pieces are of one look. */
function once<T>(look: () => Promise<T>): () => Promise<T> {
  let seen: Promise<T> | null = null;
  return () => (seen ??= look());
}

/** What a command prints, instead of printing it. */
async function printed(
  ports: CliPorts,
  command: (ports: CliPorts) => Promise<unknown>,
): Promise<string> {
  const lines: string[] = [];
  const keep = (text: string): void => void lines.push(text);
  const output: Output = {
    ...ports.output,
    isTerminal: false,
    print: keep,
    note: keep,
    redraw: keep,
    paint: plain,
  };
  await command({ ...ports, output });
  return lines.join('\n');
}

function readmeOf({ now, user }: CliPorts, cluster: string, missing: readonly string[]): string {
  const lines = [
    `A report on the cluster ${cluster}, made by pgswarm ${version()} for ${user} at ${now().toISOString()}.`,
    '',
    'Passwords, keys and whatever looks like one read [hidden]. Queries in the logs may still',
    'contain data: look through logs/ before you hand this to somebody.',
    ...(missing.length === 0 ? [] : ['', 'Not to be had:', ...missing.map((each) => `- ${each}`)]),
    '',
  ];
  return lines.join('\n');
}
