/** As much of Docker's API as Prometheus asks for to find the tasks of a Swarm, on a unix socket. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { CLUSTER_LABEL, CONTROL_NETWORK, SERVER_LABEL } from '../../../src/core/names';

export interface TaskThere {
  readonly service: string;
  /** Its address on the control network. */
  readonly address: string;
  readonly node: string;
  /** null: it is no instance of ours. */
  readonly server: { readonly cluster: string; readonly name: string } | null;
  /** Published on the node. */
  readonly port: number | null;
}

/** Listens; every task has an address on another network, too. */
export async function dockerOfTasks(socket: string, tasks: readonly TaskThere[]): Promise<Server> {
  const answers: Readonly<Record<string, unknown>> = {
    tasks: tasks.map(taskOf),
    services: tasks.map(({ service: name, port }) => ({
      ID: name,
      Spec: { Name: name, Labels: {}, Mode: { Replicated: { Replicas: 1 } } },
      Endpoint: { Ports: portsOf(port) },
    })),
    nodes: tasks.map(({ node }) => ({
      ID: node,
      Description: { Hostname: node },
      Spec: { Role: 'manager', Availability: 'active', Labels: {} },
      Status: { State: 'ready', Addr: '127.0.0.9' },
    })),
    networks: [CONTROL_NETWORK, 'bystander'].map((name) => ({ Id: name, Name: name, Labels: {} })),
  };
  const server = createServer((request, response) => {
    const what = /^(?:\/v[\d.]+)?\/(\w+)/.exec(request.url ?? '')?.[1] ?? '';
    response.setHeader('api-version', '1.41');
    response.setHeader('content-type', 'application/json');
    response.end(what === '_ping' ? 'OK' : JSON.stringify(answers[what] ?? []));
  }).listen(socket);
  await once(server, 'listening');
  return server;
}

const portsOf = (port: number | null): readonly unknown[] =>
  port === null
    ? []
    : [{ Protocol: 'tcp', TargetPort: port, PublishedPort: port, PublishMode: 'host' }];

function taskOf({ service, address, node, server, port }: TaskThere): unknown {
  const labels =
    server === null ? {} : { [CLUSTER_LABEL]: server.cluster, [SERVER_LABEL]: server.name };
  return {
    ID: `task-of-${service}`,
    ServiceID: service,
    NodeID: node,
    Slot: 1,
    DesiredState: 'running',
    Status: { State: 'running', PortStatus: { Ports: portsOf(port) } },
    Spec: { ContainerSpec: { Labels: labels } },
    NetworksAttachments: [
      { Network: { ID: 'bystander' }, Addresses: ['127.0.0.8/24'] },
      { Network: { ID: CONTROL_NETWORK }, Addresses: [`${address}/24`] },
    ],
  };
}
