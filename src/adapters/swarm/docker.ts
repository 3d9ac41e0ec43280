/** Docker's HTTP API, one call at a time: bounded in time, with errors for people. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Readable } from 'node:stream';
import Dockerode from 'dockerode';
import { OperatingError } from '../../core/errors';
import { findDocker, type DockerEndpoint } from './endpoint';
import { dockerError } from './errors';

/** Engine 20.10 and all later ones speak it. */
const API_VERSION = 'v1.41';
/** A healthy manager answers in milliseconds; one without a Raft leader only after a long time. */
const CALL_TIMEOUT_MS = 5_000;

export interface CallOptions {
  /** Maps as values, like `filters`, are written as JSON. */
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
  readonly timeoutMs?: number;
}

type Method = 'GET' | 'POST' | 'DELETE';

export class Docker {
  /** For messages. */
  readonly address: string;
  readonly #modem: Dockerode['modem'];

  constructor(endpoint: DockerEndpoint) {
    this.address = endpoint.address;
    this.#modem = new Dockerode(connectionOf(endpoint)).modem;
  }

  get(path: string, options: CallOptions = {}): Promise<unknown> {
    return this.#call('GET', path, options);
  }

  post(path: string, options: CallOptions = {}): Promise<unknown> {
    return this.#call('POST', path, options);
  }

  delete(path: string, options: CallOptions = {}): Promise<unknown> {
    return this.#call('DELETE', path, options);
  }

  /** An answer that goes on, like `/events`; ends when `signal` is aborted. */
  async stream(path: string, options: CallOptions & { signal: AbortSignal }): Promise<Readable> {
    return (await this.#dial('GET', path, { ...options, isStream: true })) as Readable;
  }

  async #call(method: Method, path: string, options: CallOptions): Promise<unknown> {
    const signal = AbortSignal.timeout(options.timeoutMs ?? CALL_TIMEOUT_MS);
    return this.#dial(method, path, { ...options, signal, isStream: false });
  }

  #dial(
    method: Method,
    path: string,
    options: CallOptions & { readonly signal: AbortSignal; readonly isStream: boolean },
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#modem.dial(
        {
          method,
          // The question mark is how docker-modem is told that there may be a query.
          path: `${path}?`,
          options: { _query: options.query ?? {}, _body: options.body ?? {} },
          isStream: options.isStream,
          abortSignal: options.signal,
          statusCodes: SUCCESS,
        },
        (error, answer) => {
          if (error === null) resolve(answer);
          else reject(dockerError(error, `Docker's ${method} ${path}`, this.address));
        },
      );
    });
  }
}

const SUCCESS = { 200: true, 201: true, 202: true, 204: true };

/** A connection to the Docker of this environment. Nothing is sent yet. */
export function openDocker(): Docker {
  return new Docker(findDocker());
}

/** Refuses, with what to do, unless this Docker is a manager of a Swarm. */
export async function requireManager(docker: Docker): Promise<void> {
  const info = (await docker.get('/info')) as {
    Swarm?: { LocalNodeState?: string; ControlAvailable?: boolean };
  };
  if (info.Swarm?.ControlAvailable === true) return;
  const state = info.Swarm?.LocalNodeState ?? 'inactive';
  if (state === 'active') {
    const text = `The Docker at ${docker.address} is a worker of its Swarm. Use one of its managers, or run \`docker node promote\` for this node on one of them.`;
    throw new OperatingError('refused', 'NotManager', text);
  }
  const remedy =
    state === 'locked' ? 'Run `docker swarm unlock`.' : 'Run `docker swarm init` first.';
  const text = `The Docker at ${docker.address} is not in a Swarm (its state is ${state}). ${remedy}`;
  throw new OperatingError('refused', 'SwarmInactive', text);
}

/** Dockerode's options for the Docker of this environment. */
export function connectionOf({ address, certificates }: DockerEndpoint): Dockerode.DockerOptions {
  const url = new URL(address);
  // Named even where undefined: docker-modem would take the missing ones from the environment.
  const common = { version: API_VERSION, host: undefined, port: undefined, socketPath: undefined };
  switch (url.protocol) {
    case 'unix:':
      return { ...common, socketPath: url.pathname };
    case 'ssh:':
      return {
        ...common,
        protocol: 'ssh',
        host: url.hostname,
        port: url.port === '' ? 22 : url.port,
        username: url.username,
      };
    case 'tcp:':
    case 'http:':
    case 'https:':
      return {
        ...common,
        host: url.hostname,
        ...(certificates === null
          ? { protocol: 'http', port: url.port === '' ? 2375 : url.port }
          : { protocol: 'https', port: url.port === '' ? 2376 : url.port, ...tls(certificates) }),
      };
    default:
      throw new OperatingError(
        'refused',
        'DockerAddressUnknown',
        `Docker's address ${address} is none that pgswarm can use. Use unix://, tcp:// or ssh://.`,
      );
  }
}

function tls(folder: string): Pick<Dockerode.DockerOptions, 'ca' | 'cert' | 'key'> {
  const read = (name: string): Buffer => readFileSync(join(folder, name));
  return { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') };
}
