/** Two plain PostgreSQL servers in one container of the product image, without any operator. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { type Readable, type Writable } from 'node:stream';
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript';
import { docker, dockerEnv, tryDocker } from '../lab/docker';
import { type Place } from './load';
import { type Answer, type CrashTimes, type SwitchTimes } from './two-postmasters';

const agentFile = join(__dirname, 'two-postmasters.ts');

export class HandMadePair {
  /** Follows the primary, with `target_session_attrs`. */
  readonly uri: string;
  readonly #agent: Agent;

  private constructor(agent: Agent, uri: string) {
    this.#agent = agent;
    this.uri = uri;
  }

  /** Starts the container, makes both servers, and waits until the second streams. */
  static async start(place: Place): Promise<HandMadePair> {
    const password = randomBytes(12).toString('hex');
    const agent = new Agent(place, await compiledAgent(), password);
    try {
      const ports = await agent.ask<number[]>('set-up');
      const address = await agent.address();
      const hosts = ports.map((port) => `${address}:${port}`).join(',');
      const parameters = 'target_session_attrs=read-write&connect_timeout=2';
      return new HandMadePair(agent, `postgresql://app:${password}@${hosts}/app?${parameters}`);
    } catch (error) {
      await agent.end();
      throw error;
    }
  }

  /** One switchover; resolves when the old primary streams from the new one. */
  switchOver(): Promise<SwitchTimes> {
    return this.#agent.ask<SwitchTimes>('switch');
  }

  /** One crash of the primary, answered at once; resolves when both stream again. */
  crash(answer: 'restart' | 'promote'): Promise<CrashTimes> {
    return this.#agent.ask<CrashTimes>(`crash-${answer}`);
  }

  /** Makes two primaries of them, for those who must notice it. */
  async split(): Promise<void> {
    await this.#agent.ask('split');
  }

  /** The container that both are in. */
  get container(): string {
    return this.#agent.container;
  }

  async remove(): Promise<void> {
    await this.#agent.end();
  }
}

async function compiledAgent(): Promise<string> {
  const compilerOptions = { module: ModuleKind.CommonJS, target: ScriptTarget.ES2022 };
  return transpileModule(await readFile(agentFile, 'utf8'), { compilerOptions }).outputText;
}

/** The other end of `two-postmasters.ts`. */
class Agent {
  readonly #place: Place;
  readonly container = `pgswarm-bench-pair-${process.pid}`;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #lines: Interface;
  readonly #answers: AsyncIterator<string>;
  #log = '';

  constructor(place: Place, program: string, password: string) {
    this.#place = place;
    this.#child = spawn('docker', [...this.#run(password), program], {
      env: dockerEnv(place.daemon),
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.stdin.on('error', () => undefined); // The missing answer says it.
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString()).slice(-4000);
    });
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
  }

  async ask<T>(command: string): Promise<T> {
    this.#child.stdin.write(`${command}\n`);
    const line = await this.#answers.next();
    if (line.done === true) throw new Error(`the pair of servers is gone:\n${this.#log}`);
    const answer = JSON.parse(line.value) as Answer<T>;
    if (!answer.ok) throw new Error(`${answer.error}\n${this.#log}`);
    return answer.value;
  }

  async address(): Promise<string> {
    const format = `{{(index .NetworkSettings.Networks "${this.#place.network}").IPAddress}}`;
    return docker(this.#place.daemon, ['inspect', '--format', format, this.container]);
  }

  async end(): Promise<void> {
    await tryDocker(this.#place.daemon, ['rm', '--force', '--volumes', this.container]);
    this.#child.stdin.end();
    this.#lines.close();
  }

  #run(password: string): string[] {
    return [
      ...['run', '--rm', '--interactive', '--name', this.container],
      ...['--network', this.#place.network, '--volume', '/var/lib/pgswarm/data'],
      ...['--env', `BENCH_PASSWORD=${password}`, '--entrypoint', 'tini'],
      ...[this.#place.image, '--', 'node', '-e'],
    ];
  }
}
