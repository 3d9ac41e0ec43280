/**
 * Where Docker is, found as the `docker` command finds it: DOCKER_HOST, else DOCKER_CONTEXT, else
 * the current context of `~/.docker/config.json`, else the default socket.
 * (Docker CLI manual, "Docker contexts"; a context's folder is the SHA-256 of its name.)
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { messageOf, OperatingError } from '../../core/errors';

export interface DockerEndpoint {
  /** `unix:///var/run/docker.sock`, `tcp://host:2375`, `ssh://user@host`. */
  readonly address: string;
  /** Folder with `ca.pem`, `cert.pem` and `key.pem`; null without TLS. */
  readonly certificates: string | null;
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_SOCKET = 'unix:///var/run/docker.sock';

export function findDocker(environment: Environment = process.env): DockerEndpoint {
  const { DOCKER_HOST: host } = environment;
  if (host !== undefined && host !== '') {
    const isTls = (environment['DOCKER_TLS_VERIFY'] ?? '') !== '';
    const certificates = environment['DOCKER_CERT_PATH'] ?? configFolder(environment);
    return { address: withScheme(host), certificates: isTls ? certificates : null };
  }
  const context = environment['DOCKER_CONTEXT'] ?? currentContext(environment);
  if (context !== '' && context !== 'default') return endpointOfContext(context, environment);
  return { address: defaultSocket(), certificates: null };
}

function configFolder(environment: Environment): string {
  return environment['DOCKER_CONFIG'] ?? join(homedir(), '.docker');
}

function currentContext(environment: Environment): string {
  const file = join(configFolder(environment), 'config.json');
  if (!existsSync(file)) return '';
  return (readJson(file) as { currentContext?: string }).currentContext ?? '';
}

function endpointOfContext(name: string, environment: Environment): DockerEndpoint {
  const contexts = join(configFolder(environment), 'contexts');
  const id = createHash('sha256').update(name).digest('hex');
  const file = join(contexts, 'meta', id, 'meta.json');
  if (!existsSync(file)) {
    const problem = `The Docker context "${name}" does not exist: ${file} is missing.`;
    const remedy = 'Choose one of `docker context ls`, or unset DOCKER_CONTEXT.';
    throw new OperatingError('refused', 'DockerContextMissing', `${problem} ${remedy}`);
  }
  const meta = readJson(file) as { Endpoints?: { docker?: { Host?: string } } };
  const certificates = join(contexts, 'tls', id, 'docker');
  return {
    address: withScheme(meta.Endpoints?.docker?.Host ?? defaultSocket()),
    certificates: existsSync(certificates) ? certificates : null,
  };
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    const message = `${file} cannot be read as JSON (${messageOf(error)}): correct it.`;
    throw new OperatingError('refused', 'DockerConfigBroken', message, error);
  }
}

/** Docker Desktop and rootless Docker keep the socket in the user's own folders. */
function defaultSocket(): string {
  const own = join(homedir(), '.docker', 'run', 'docker.sock');
  return existsSync(own) ? `unix://${own}` : DEFAULT_SOCKET;
}

const withScheme = (address: string): string =>
  address.includes('://') ? address : `tcp://${address}`;
