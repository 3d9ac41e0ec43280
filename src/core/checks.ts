/**
 * What a schema cannot say: how the fields of a document fit together, with each other and with
 * the other clusters. Every check takes what is there and leaves alone what is missing: a
 * document with other faults still gets all its findings at once.
 */
import { checkAvailability } from './availability';
import { checkSchedules } from './backup/check-schedules';
import { checkBounds } from './bounds';
import { type Draft, type ServerDraft, type SpecDraft } from './draft';
import { DEFAULTS, type NodeChoice, type PostgresCluster } from './generated';
import { errorAt, fieldPath, quoted, sortFindings, warningAt, type Finding } from './findings';
import { checkHba } from './hba';
import { POSTGRES_PORT, serviceName } from './names';
import { checkParameters } from './parameters';
import { checkBootstrap } from './restore/bootstrap';
import { contains, formatSubnet, overlaps, parseSubnet, sizeOf, type Subnet } from './subnet';

/** What another cluster already has. */
export interface OtherCluster {
  readonly cluster: string;
  readonly subnet: string;
  readonly servers?: readonly {
    readonly name: string;
    readonly node: Draft<NodeChoice>;
    readonly port?: number;
  }[];
}

/** All findings of a document whose fields have the right types. */
export function checkSpec(
  document: Draft<PostgresCluster>,
  others: readonly OtherCluster[] = [],
): Finding[] {
  const cluster = document.metadata?.name;
  const spec = document.spec ?? {};
  const rivals = others.filter((other) => other.cluster !== cluster);
  return sortFindings([
    ...checkServers(spec, cluster),
    ...checkPlaces(spec, rivals),
    ...checkServiceNames(spec, cluster, rivals),
    ...checkPrimary(spec),
    ...checkSubnet(spec, rivals),
    ...checkBootstrap(spec, cluster),
    ...checkPostgres(spec),
    ...checkBounds(spec),
    ...checkAvailability(spec),
    ...checkSchedules(spec),
  ]);
}

// ── servers ──────────────────────────────────────────────────────────────────────────────────

interface Numbered {
  readonly at: string;
  readonly server: ServerDraft;
}

const numbered = (spec: SpecDraft): Numbered[] =>
  (spec.servers ?? []).flatMap((server, index) =>
    server === undefined ? [] : [{ at: `spec.servers[${index}]`, server }],
  );

function checkServers(spec: SpecDraft, cluster: string | undefined): Finding[] {
  const first = new Map<string, string>();
  return numbered(spec).flatMap(({ at, server: { name, node, port } }) => {
    const findings = [...checkLabels(at, node), ...checkPort(`${at}.port`, port)];
    if (name === undefined) return findings;
    const twin = first.get(name);
    if (twin === undefined) first.set(name, at);
    else {
      const message = `there is a server ${name} already, at ${twin}`;
      findings.push(errorAt(`${at}.name`, message, 'give each server a name of its own'));
    }
    return [...findings, ...checkNameLength(at, name, cluster)];
  });
}

function checkLabels(at: string, node: Draft<NodeChoice> | undefined): Finding[] {
  if (node?.labels === undefined || Object.keys(node.labels).length > 0) return [];
  const hint = 'name a label that one node carries, such as `labels: { rack: b }`';
  return [errorAt(`${at}.node.labels`, 'no label is given, and that fits every node', hint)];
}

/** TCP ports on which every node of a Swarm listens already. */
const SWARM_PORTS: readonly number[] = [2377, 7946];

function checkPort(at: string, port: number | undefined): Finding[] {
  if (port === undefined || !SWARM_PORTS.includes(port)) return [];
  const hint = `use another one, such as ${POSTGRES_PORT}`;
  return [errorAt(at, `Swarm itself listens on port ${port} of every node`, hint)];
}

/** Swarm refuses the name of a service that is longer (a DNS label). */
const SERVICE_NAME_LENGTH_MAX = 63;

function checkNameLength(at: string, name: string, cluster: string | undefined): Finding[] {
  const excess =
    cluster === undefined ? 0 : serviceName(cluster, name).length - SERVICE_NAME_LENGTH_MAX;
  if (excess <= 0) return [];
  const message = `the names of the cluster and of the server ${quoted(name)} are too long together`;
  return [errorAt(`${at}.name`, message, `shorten one of them by ${excess} characters`)];
}

/** `pgswarm-a-b-c` is server `b-c` of cluster `a` and server `c` of cluster `a-b`. */
function checkServiceNames(
  spec: SpecDraft,
  cluster: string | undefined,
  others: readonly OtherCluster[],
): Finding[] {
  if (cluster === undefined) return [];
  const taken = new Map(
    others.flatMap((other) =>
      (other.servers ?? []).map(({ name }) => [
        serviceName(other.cluster, name),
        `server ${name} of cluster ${other.cluster}`,
      ]),
    ),
  );
  return numbered(spec).flatMap(({ at, server: { name } }) => {
    const owner = name === undefined ? undefined : taken.get(serviceName(cluster, name));
    if (name === undefined || owner === undefined) return [];
    const message = `the service ${serviceName(cluster, name)} belongs to ${owner}`;
    return [errorAt(`${at}.name`, message, 'give the server another name')];
  });
}

/** Two servers cannot publish one port of one node. */
function checkPlaces(spec: SpecDraft, others: readonly OtherCluster[]): Finding[] {
  const taken = new Map<string, string>();
  for (const { cluster, servers = [] } of others) {
    for (const { name, node, port } of servers) {
      const place = placeOf(node, port);
      if (place !== null) taken.set(place, `server ${name} of cluster ${cluster}`);
    }
  }
  return numbered(spec).flatMap(({ at, server: { name, node, port } }) => {
    const place = placeOf(node, port);
    if (place === null) return [];
    const owner = taken.get(place);
    if (owner === undefined) {
      taken.set(place, name === undefined ? at : `server ${name}`);
      return [];
    }
    const message = `port ${port ?? DEFAULTS.servers.port} of this node belongs to ${owner}`;
    return [errorAt(`${at}.port`, message, 'use another port, or another node')];
  });
}

/** Equal for two servers exactly when they choose a node in the same words, and the same port. */
function placeOf(
  node: Draft<NodeChoice> | undefined,
  port: number = DEFAULTS.servers.port,
): string | null {
  if (node === undefined) return null;
  const labels = Object.entries(node.labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  if (labels.some(([, value]) => value === undefined)) return null;
  if (node.hostname === undefined && node.id === undefined && labels.length === 0) return null;
  return JSON.stringify([node.hostname ?? null, node.id ?? null, labels, port]);
}

function checkPrimary(spec: SpecDraft): Finding[] {
  const { primary, servers = [] } = spec;
  const names = new Set(servers.map((server) => server?.name));
  // A name that is wrong itself may be the one that was meant.
  if (primary === undefined || names.size === 0 || names.has(undefined)) return [];
  if (names.has(primary)) return [];
  const known = [...names].sort().join(', ');
  const message = `there is no server ${quoted(primary)}`;
  return [errorAt('spec.primary', message, `name one of the servers: ${known}`)];
}

// ── network ──────────────────────────────────────────────────────────────────────────────────

/** Network and broadcast address, and the gateway. */
const ADDRESSES_OF_A_NETWORK = 3;
/** The container, the one that replaces it, and the load balancer that Swarm adds on its node. */
const ADDRESSES_OF_A_SERVER = 3;

const range = (text: string): Subnet => {
  const parsed = parseSubnet(text);
  if (parsed.kind === 'problem') throw new Error(parsed.message);
  return parsed.subnet;
};

const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'].map(range);
/** This host, loopback, link-local, multicast and reserved addresses. */
const UNUSABLE = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3'].map(range);

const ANOTHER = 'use another private range that nothing else uses, such as 10.0.210.0/24';

function checkSubnet(spec: SpecDraft, others: readonly OtherCluster[]): Finding[] {
  const at = 'spec.network.subnet';
  const text = spec.network?.subnet;
  if (text === undefined) return [];
  const parsed = parseSubnet(text);
  if (parsed.kind === 'problem') return [errorAt(at, parsed.message, parsed.hint)];
  const { subnet } = parsed;
  const findings = [...checkRange(at, subnet), ...checkSize(at, subnet, spec.servers?.length ?? 1)];
  for (const other of others) {
    const theirs = parseSubnet(other.subnet);
    if (theirs.kind === 'problem' || !overlaps(subnet, theirs.subnet)) continue;
    const message = `${text} overlaps ${other.subnet}, the subnet of cluster ${other.cluster}`;
    findings.push(errorAt(at, message, ANOTHER));
  }
  return findings;
}

function checkRange(at: string, subnet: Subnet): Finding[] {
  const text = formatSubnet(subnet);
  if (UNUSABLE.some((unusable) => overlaps(subnet, unusable))) {
    return [errorAt(at, `${text} holds addresses that no network can have`, ANOTHER)];
  }
  if (PRIVATE.some((outer) => contains(outer, subnet))) return [];
  const message = `${text} is not a private range: the servers cannot reach what really has these addresses`;
  return [warningAt(at, message, ANOTHER)];
}

function checkSize(at: string, subnet: Subnet, servers: number): Finding[] {
  const needed = ADDRESSES_OF_A_NETWORK + ADDRESSES_OF_A_SERVER * servers;
  if (sizeOf(subnet) >= needed) return [];
  const prefix = 32 - Math.ceil(Math.log2(needed));
  const message = `${formatSubnet(subnet)} has ${sizeOf(subnet)} addresses, and ${servers} servers need ${needed}`;
  return [errorAt(at, message, `use a /${prefix} or larger; a /24 has room for every cluster`)];
}

// ── PostgreSQL ───────────────────────────────────────────────────────────────────────────────

const TAKEN_DATABASES = ['postgres', 'template0', 'template1', 'replication', 'all'];
const TAKEN_OWNERS = ['postgres', 'public', 'none', 'all', 'user', 'current_user', 'session_user'];
/** Words with a meaning of their own in `pg_hba.conf`. */
const HBA_WORDS = ['sameuser', 'samerole', 'samegroup'];

function checkPostgres(spec: SpecDraft): Finding[] {
  const { database, owner, parameters, hba } = spec.postgres ?? {};
  const at = 'spec.postgres';
  const given = Object.entries(parameters ?? {}).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  );
  return [
    ...checkTaken(`${at}.database`, database, [...TAKEN_DATABASES, ...HBA_WORDS]),
    ...checkTaken(`${at}.owner`, owner, [...TAKEN_OWNERS, ...HBA_WORDS]),
    ...checkParameters(
      fieldPath(at, 'parameters'),
      Object.fromEntries(given),
      spec.servers?.length ?? 1,
    ),
    ...checkHba(`${at}.hba`, hba ?? []),
  ];
}

function checkTaken(at: string, name: string | undefined, taken: readonly string[]): Finding[] {
  if (name === undefined) return [];
  const hint = 'use another name, such as app';
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(name)) {
    const message = `${quoted(name)} is not a plain PostgreSQL name`;
    return [errorAt(at, message, 'use small letters, digits and `_`, at most 63 characters')];
  }
  const prefix = ['pg_', 'pgswarm_'].find((start) => name.startsWith(start));
  if (prefix !== undefined) {
    const owner = prefix === 'pg_' ? 'PostgreSQL' : 'pgswarm';
    return [errorAt(at, `names that start with ${prefix} belong to ${owner}`, hint)];
  }
  if (!taken.includes(name)) return [];
  return [errorAt(at, `${quoted(name)} has a meaning of its own in PostgreSQL`, hint)];
}
