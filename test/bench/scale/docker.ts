/**
 * A stand-in for a manager's Docker: as much of its API as an operator asks for, over clusters that
 * somebody else has made. Records are written by compare-and-set, as Swarm's are; the rest stays.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import {
  CLUSTER_LABEL,
  PAYLOAD_LABEL,
  specRecordName,
  stateRecordName,
} from '../../../src/core/names';
import { nodes, type Pair } from './clusters';

interface Config {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: { readonly Name: string; readonly Labels: Readonly<Record<string, string>> };
}

/** Lists that an operator asks for, by path; each cluster's part of them is text already. */
const LISTS = ['/services', '/networks', '/secrets', '/tasks'] as const;
type List = (typeof LISTS)[number];

const VERSION = /^\/v[\d.]+/;
const WRITTEN_AT = '2026-01-01T00:00:00.000000000Z';
const MANAGER = { Swarm: { ControlAvailable: true, LocalNodeState: 'active' } };

export class DockerStandIn {
  /** Questions answered so far. */
  requests = 0;
  readonly #configs = new Map<string, Config>();
  readonly #parts: readonly {
    readonly name: string;
    readonly lists: Readonly<Record<List, string>>;
  }[];
  readonly #listeners = new Set<ServerResponse>();
  readonly #server: Server;
  #version = 1;

  constructor(pairs: readonly Pair[]) {
    this.#parts = pairs.map((pair) => ({ name: pair.name, lists: listsOf(pair) }));
    for (const { name, record, state } of pairs) {
      this.#write(specRecordName(name), { [PAYLOAD_LABEL]: JSON.stringify(record) });
      this.#write(stateRecordName(name), { [PAYLOAD_LABEL]: JSON.stringify(state) });
    }
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  listen(socket: string): Promise<void> {
    return new Promise((resolve) => this.#server.listen(socket, resolve));
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** Nothing has changed; but who is told so has to look. */
  announce(type: string, name: string): void {
    const event = JSON.stringify({ Type: type, Action: 'update', Actor: { Attributes: { name } } });
    for (const listener of this.#listeners) listener.write(`${event}\n`);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests += 1;
    const url = new URL(request.url ?? '', 'http://docker');
    const path = decodeURIComponent(url.pathname.replace(VERSION, ''));
    if (path === '/events') {
      this.#listeners.add(response);
      response.once('close', () => this.#listeners.delete(response)).writeHead(200);
      response.flushHeaders();
      return;
    }
    const body = await text(request);
    const { status, answer } = this.#answer(`${request.method ?? ''} ${path}`, url, body);
    response.writeHead(status, { 'content-type': 'application/json' }).end(answer);
  }

  #answer(question: string, url: URL, body: string): { status: number; answer: string } {
    const list = LISTS.find((each) => question === `GET ${each}`);
    if (list !== undefined) return { status: 200, answer: this.#list(list, url) };
    if (question === 'GET /info') return answerOf(MANAGER);
    if (question === 'GET /nodes') return answerOf(nodes().map(nodeAnswer));
    if (question === 'GET /configs') return answerOf([...this.#configs.values()]);
    const [, method, name = '', isUpdate] =
      /^(\w+) \/configs\/([^/]+)(\/update)?$/.exec(question) ?? [];
    if (name === 'create') return this.#create(body);
    const config = this.#configs.get(name);
    if (config === undefined) return refusal(404, `${question} finds nothing`);
    if (method === 'GET') return answerOf(config);
    if (isUpdate !== undefined) return this.#update(config, url, body);
    return refusal(400, `${question} is not known here`);
  }

  #create(body: string): { status: number; answer: string } {
    const { Name: name, Labels: labels } = JSON.parse(body) as Config['Spec'];
    if (this.#configs.has(name)) return refusal(409, `${name} exists`);
    return answerOf({ ID: this.#write(name, labels).ID });
  }

  #update(config: Config, url: URL, body: string): { status: number; answer: string } {
    if (Number(url.searchParams.get('version')) !== config.Version.Index) {
      return refusal(500, 'rpc error: update out of sequence');
    }
    const { Labels: labels } = JSON.parse(body) as Config['Spec'];
    this.#write(config.Spec.Name, labels);
    return answerOf(null);
  }

  #write(name: string, labels: Readonly<Record<string, string>>): Config {
    this.#version += 1;
    const config = {
      ID: name,
      Version: { Index: this.#version },
      Spec: { Name: name, Labels: labels },
    };
    this.#configs.set(name, config);
    return config;
  }

  /** With a label that has a value: one cluster's; with none, or one without: all of them. */
  #list(list: List, url: URL): string {
    const filters = JSON.parse(url.searchParams.get('filters') ?? '{}') as { label?: string[] };
    const wanted = filters.label?.[0]?.split('=') ?? [];
    const parts = this.#parts.filter(({ name }) => wanted[1] === undefined || wanted[1] === name);
    return `[${parts.map(({ lists }) => lists[list]).join(',')}]`;
  }
}

const answerOf = (value: unknown): { status: number; answer: string } => ({
  status: 200,
  answer: JSON.stringify(value),
});

const refusal = (status: number, message: string): { status: number; answer: string } => ({
  status,
  answer: JSON.stringify({ message }),
});

// ── from our words to Docker's (Docker API v1.41) ────────────────────────────────────────────

const meta = { CreatedAt: WRITTEN_AT, UpdatedAt: WRITTEN_AT };

const nodeAnswer = (node: ReturnType<typeof nodes>[number], index: number): unknown => ({
  ...{ ID: node.id, Version: { Index: 10 }, ...meta },
  Spec: { Labels: node.labels, Role: 'manager', Availability: node.availability },
  Description: { Hostname: node.hostname },
  Status: { State: node.state, Addr: node.address },
  ManagerStatus: { Leader: index === 0, Reachability: 'reachable', Addr: `${node.address}:2377` },
});

function listsOf({ name: cluster, swarm }: Pair): Readonly<Record<List, string>> {
  const labels = { [CLUSTER_LABEL]: cluster };
  const networks = swarm.networks.map(({ id, name, driver, subnets }) => ({
    ...{ Id: id, Name: name, Driver: driver, Scope: 'swarm', Created: WRITTEN_AT, Labels: labels },
    IPAM: { Driver: 'default', Config: subnets.map((subnet) => ({ Subnet: subnet })) },
  }));
  const services = swarm.services.map(({ id, version, spec }) => ({
    ...{ ID: id, Version: { Index: version }, ...meta, Spec: spec },
    Endpoint: { Spec: (spec as { EndpointSpec: unknown }).EndpointSpec },
  }));
  const tasks = swarm.tasks.map((task) => ({
    ...{ ID: task.id, Version: { Index: 1 }, ...meta, CreatedAt: task.createdAt, Labels: labels },
    ...{ ServiceID: task.service, NodeID: task.nodeId, DesiredState: task.desiredState, Slot: 1 },
    Spec: (services.find(({ ID: id }) => id === task.service)?.Spec as { TaskTemplate: unknown })
      .TaskTemplate,
    Status: { State: task.state, Timestamp: WRITTEN_AT, Message: 'started' },
    NetworksAttachments: networks.map((network) => ({ Network: network })),
  }));
  const secrets = swarm.secrets.map(({ id, name }) => ({
    ...{ ID: id, Version: { Index: 1 }, ...meta, Spec: { Name: name, Labels: labels } },
  }));
  const part = (list: readonly unknown[]): string => JSON.stringify(list).slice(1, -1);
  return {
    '/services': part(services),
    '/networks': part(networks),
    '/secrets': part(secrets),
    '/tasks': part(tasks),
  };
}
