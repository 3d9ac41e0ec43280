/** Programs in the operator's container: `docker exec`, as the Docker command does it. */
import { Duplex, type Readable, type Writable } from 'node:stream';
import Dockerode from 'dockerode';
import { OperatingError } from '../core/errors';
import { OPERATOR_SERVICE } from '../core/names';
import { connectionOf } from '../adapters/swarm/docker';
import { type DockerEndpoint } from '../adapters/swarm/endpoint';
import { dockerError } from '../adapters/swarm/errors';
import { readFrames } from './frames';

/** A program that is connected to the user's own streams. */
export interface Execution {
  readonly command: readonly string[];
  /** `NAME=value`; everybody who may use this Docker can read it. */
  readonly environment: readonly string[];
  readonly streams: ExecutionStreams;
}

export interface ExecutionStreams {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** The terminal that the program gets; null when it gets none. */
  readonly terminal: PassedTerminal | null;
}

export interface PassedTerminal {
  /** Keys go to the program from here on, Ctrl-C included. */
  begin(): void;
  end(): void;
  size(): { readonly h: number; readonly w: number };
  /** Calls back when the size has changed; returns a stop function. */
  resized(changed: () => void): () => void;
}

const SWARM_SERVICE_LABEL = 'com.docker.swarm.service.name';

export class DockerExec {
  readonly #engine: Dockerode;
  readonly #address: string;

  constructor(endpoint: DockerEndpoint) {
    this.#engine = new Dockerode(connectionOf(endpoint));
    this.#address = endpoint.address;
  }

  /** A connection to a program's standard input and output; what it says on standard error is its end. */
  async tunnel(command: readonly string[]): Promise<Duplex> {
    const { stream } = await this.#start({ Cmd: [...command] });
    return duplexOf(stream);
  }

  /** Runs to the end and gives the exit code. */
  async run({ command, environment, streams }: Execution): Promise<number> {
    const { terminal, stdin, stdout, stderr } = streams;
    const Tty = terminal !== null;
    const { exec, stream } = await this.#start({
      Cmd: [...command],
      Env: [...environment],
      Tty,
    });
    const resize = (): void => void exec.resize(terminal?.size() ?? {}).catch(ignore);
    const stopResizing = terminal?.resized(resize);
    terminal?.begin();
    if (Tty) resize();
    const frames = readFrames((name, bytes) => (name === 'stdout' ? stdout : stderr).write(bytes));
    stream.on('data', Tty ? (bytes: Buffer) => stdout.write(bytes) : frames);
    stdin.pipe(stream);
    try {
      await ended(stream);
    } finally {
      stopResizing?.();
      terminal?.end();
      stdin.unpipe(stream);
      stdin.pause();
    }
    return (await exec.inspect()).ExitCode ?? 1;
  }

  async #start(
    options: Dockerode.ExecCreateOptions,
  ): Promise<{ readonly exec: Dockerode.Exec; readonly stream: Duplex }> {
    // Every time anew: while somebody waits, the operator may start, die and be replaced.
    const container = await this.#findOperator();
    const attached = { AttachStdin: true, AttachStdout: true, AttachStderr: true };
    const Tty = options.Tty ?? false;
    try {
      const exec = await container.exec({ ...attached, ...options });
      return { exec, stream: await exec.start({ hijack: true, stdin: true, Tty }) };
    } catch (error) {
      throw dockerError(error, `\`docker exec\` in the operator's container`, this.#address);
    }
  }

  async #findOperator(): Promise<Dockerode.Container> {
    const filters = { label: [`${SWARM_SERVICE_LABEL}=${OPERATOR_SERVICE}`], status: ['running'] };
    let found: Dockerode.ContainerInfo[];
    try {
      found = await this.#engine.listContainers({ filters });
    } catch (error) {
      throw dockerError(error, 'looking for the operator', this.#address);
    }
    const [container] = found;
    if (container !== undefined) return this.#engine.getContainer(container.Id);
    const sentence = `No operator runs on the manager at ${this.#address}. Start it: docker stack deploy -c manifests/pgswarm.yaml pgswarm`;
    // It may be being replaced at this moment.
    throw new OperatingError('transient', 'OperatorMissing', sentence);
  }
}

/** A terminal that has gone has no size. */
const ignore = (): void => undefined;

function ended(stream: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.once('end', resolve).once('close', resolve).once('error', reject);
  });
}

function duplexOf(stream: Duplex): Duplex {
  let complaint = '';
  const tunnel = new Duplex({
    read: () => void stream.resume(),
    write: (chunk: Buffer, _, done) => void stream.write(chunk, done),
    final: (done) => void stream.end(done),
    destroy: (error, done) => {
      stream.destroy();
      done(error);
    },
  });
  const frames = readFrames((name, bytes) => {
    if (name === 'stderr') complaint += bytes.toString();
    else if (!tunnel.push(bytes)) stream.pause();
  });
  stream.on('data', frames);
  stream.once('error', (error) => tunnel.destroy(error));
  stream.once('end', () => {
    if (complaint === '') tunnel.push(null);
    else tunnel.destroy(new Error(complaint.trim()));
  });
  return tunnel;
}
