/** Dockerode's options for the Docker of this environment: only it can hijack a connection. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DockerOptions } from 'dockerode';
import { type DockerEndpoint } from '../adapters/swarm/endpoint';

const API_VERSION = 'v1.41';

export function connectionOf({ address, certificates }: DockerEndpoint): DockerOptions {
  const { protocol, pathname, hostname, port, username } = new URL(address);
  // Named even where undefined: docker-modem would take the missing ones from the environment.
  const common = { version: API_VERSION, host: undefined, port: undefined, socketPath: undefined };
  if (protocol === 'unix:') return { ...common, socketPath: pathname };
  if (protocol === 'ssh:') {
    return { ...common, protocol: 'ssh', host: hostname, port: port || 22, username };
  }
  return certificates === null
    ? { ...common, protocol: 'http', host: hostname, port: port || 2375 }
    : { ...common, protocol: 'https', host: hostname, port: port || 2376, ...tls(certificates) };
}

function tls(folder: string): Pick<DockerOptions, 'ca' | 'cert' | 'key'> {
  const read = (name: string): Buffer => readFileSync(join(folder, name));
  return { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') };
}
