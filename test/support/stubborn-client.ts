/**
 * A client that stays with one server whatever happens: what it gets acknowledged while others write
 * elsewhere is the time with two writers. It shares the network of the server's node, so that it
 * reaches the server even when the node is cut off from everybody.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Readable, type Writable } from 'node:stream';
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript';
import { dockerEnv, tryDocker, type Docker } from '../lab/docker';
import { waitFor } from '../lab/shell';
import { type LibpqUri } from './libpq-uri';
import { serverOf } from './race';
import { type Line } from './stubborn-agent';
import { type Attempt } from './writes';

export interface StubbornOptions {
  readonly daemon: Docker;
  /** Container on whose network the client lives. */
  readonly beside: string;
  readonly image: string;
  /** Names the server alone. */
  readonly uri: LibpqUri;
  /** Must exist. */
  readonly table: string;
}

const startMaxMs = 20_000;
/** The agent's clock is the machine's; ours began with this process. */
const clockOffsetMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();
let started = 0;

export class StubbornClient {
  readonly #options: StubbornOptions;
  readonly #server: string;
  /** Tells its rows from those of others. */
  readonly run: string;
  readonly #container: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #attempts: Attempt[] = [];

  private constructor(options: StubbornOptions, program: string) {
    this.#options = options;
    const [host] = options.uri.hosts;
    if (host === undefined) throw new Error('a stubborn client needs a server');
    this.#server = serverOf(host);
    started += 1;
    this.run = `stubborn-${process.pid}-${started}`;
    this.#container = `pgswarm-${this.run}`;
    this.#child = spawn('docker', [...this.#command(host.port), program], {
      env: dockerEnv(options.daemon),
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    this.#child.stdin.on('error', () => undefined); // The missing lines say it.
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      this.#record(line);
    });
  }

  /** Resolves with its first acknowledged write. */
  static async start(options: StubbornOptions): Promise<StubbornClient> {
    const source = await readFile(join(__dirname, 'stubborn-agent.ts'), 'utf8');
    const compilerOptions = { module: ModuleKind.CommonJS, target: ScriptTarget.ES2022 };
    const client = new StubbornClient(
      options,
      transpileModule(source, { compilerOptions }).outputText,
    );
    try {
      await waitFor('the stubborn client to write', startMaxMs, () =>
        Promise.resolve(client.#attempts.length > 0 ? true : undefined),
      );
      return client;
    } catch (error) {
      await client.stop();
      throw error;
    }
  }

  /** Every attempt that has ended, in order. */
  get attempts(): readonly Attempt[] {
    return this.#attempts;
  }

  async stop(): Promise<void> {
    await tryDocker(this.#options.daemon, ['rm', '--force', this.#container]);
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
  }

  #record(line: string): void {
    const { sentAtMs, endedAtMs, ...rest } = JSON.parse(line) as Line;
    this.#attempts.push({
      ...rest,
      server: this.#server,
      sentAtMs: sentAtMs - clockOffsetMs,
      endedAtMs: endedAtMs - clockOffsetMs,
    });
  }

  #command(port: number): string[] {
    const { user, password, database } = this.#options.uri;
    const credentials = [user, password].map((each) => encodeURIComponent(each ?? '')).join(':');
    // On the node itself: its address on the lab's network is gone while it is cut off.
    const uri = `postgresql://${credentials}@127.0.0.1:${port}/${database ?? ''}`;
    const { beside, table, image } = this.#options;
    const environment = { STUBBORN_URI: uri, STUBBORN_TABLE: table, STUBBORN_RUN: this.run };
    return [
      ...['run', '--rm', '--interactive', '--name', this.#container],
      ...['--network', `container:${beside}`, '--entrypoint', 'tini'],
      ...Object.entries(environment).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
      ...[image, '--', 'node', '-e'],
    ];
  }
}
