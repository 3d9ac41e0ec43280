/** Who is where at the moment before a fault: looked up once, so that the fault itself is quick. */
import { type Status } from '../../src/core/status';
import { serviceName } from '../../src/core/names';
import { type Lab } from '../lab/lab';
import { CLUSTER, type MatrixCluster, type Place } from './cluster';

/** A running server, with the ids of its processes on its node. */
export interface Actor extends Place {
  readonly container: string;
  readonly managerPid: number;
  readonly postmasterPid: number;
  /** Of its container, on every network. */
  readonly addresses: readonly string[];
  /** `host:port` as clients know it. */
  readonly published: string;
}

export interface Scene {
  readonly cluster: MatrixCluster;
  readonly lab: Lab;
  /** That ends when another server becomes primary. */
  readonly term: number;
  readonly primary: Actor;
  readonly standbys: readonly Actor[];
  /** Nodes of the lab other than the primary's. */
  readonly otherNodes: readonly string[];
  /** Node whose operator leads. */
  readonly operatorLeader: string;
  readonly swarmLeader: string;
}

/** Looks at a settled cluster. */
export async function look(cluster: MatrixCluster, status: Status): Promise<Scene> {
  const { deployment } = cluster;
  const { lab } = deployment;
  const actors = await Promise.all(cluster.places.map((place) => actorAt(cluster, status, place)));
  const primary = actors.find(({ server }) => server === status.primary);
  if (primary === undefined) throw new Error(`${CLUSTER} has no primary`);
  return {
    cluster,
    lab,
    term: status.term,
    primary,
    standbys: actors.filter((actor) => actor !== primary),
    otherNodes: lab.nodes().filter((node) => node !== primary.node),
    operatorLeader: await deployment.leaderNode(),
    swarmLeader: await swarmLeader(lab),
  };
}

/** The node that leads the Swarm. */
export async function swarmLeader(lab: Lab): Promise<string> {
  const leader = (await lab.status()).find(({ manager }) => manager === 'Leader');
  if (leader === undefined) throw new Error('the Swarm has no leader');
  return leader.name;
}

async function actorAt(cluster: MatrixCluster, status: Status, place: Place): Promise<Actor> {
  const { lab } = cluster.deployment;
  const service = serviceName(CLUSTER, place.server);
  const script = `c=$(docker ps -q --filter label=com.docker.swarm.service.name=${service})
    echo $c
    docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' $c
    docker top $c -eo pid,args`;
  const { stdout, stderr } = await lab.exec(place.node, ['sh', '-c', script]);
  const [container = '', addresses = '', , ...processes] = stdout.split('\n');
  const pidOf = (pattern: RegExp): number => {
    const line = processes.find((process) => pattern.test(process.trim()));
    if (line === undefined) {
      throw new Error(`${service} does not run as expected: ${stderr}${stdout}`);
    }
    return Number.parseInt(line, 10);
  };
  return {
    ...place,
    container,
    managerPid: pidOf(/^\d+ +node .*main\.js instance/),
    postmasterPid: pidOf(/^\d+ +\S*postgres +-D/),
    addresses: addresses.trim().split(/\s+/),
    published: status.servers.find(({ name }) => name === place.server)?.address ?? '',
  };
}
