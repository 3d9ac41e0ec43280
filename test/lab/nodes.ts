/** Creates and finds the containers that are a lab's nodes. */
import { docker, type Docker } from './docker';
import { LabError } from './shell';
import { freeRanges } from './subnet';

const labLabel = 'pgswarm.lab';
const addressLabel = 'pgswarm.lab.address';
const firstHost = 11;
const rangeAttemptsMax = 5;

/** The Docker API's port on every node. */
export const apiPort = 2375;

/** A node as it was found. */
export interface LabNode {
  /** n1, n2, … */
  readonly name: string;
  readonly container: string;
  readonly address: string;
  /** Docker's word: running, paused, exited, created. */
  readonly state: string;
}

/** What a lab's containers, volumes and network are called. */
export function resourceName(lab: string, node?: string): string {
  return ['pgswarm', lab, node].filter((part) => part !== undefined).join('-');
}

/** The nodes of a lab in order, none when the lab does not exist. */
export async function listNodes(daemon: Docker, lab: string): Promise<LabNode[]> {
  const filter = ['--filter', `label=${labLabel}=${lab}`];
  const columns = ['.Names', `.Label "${addressLabel}"`, '.State'].map((part) => `{{${part}}}`);
  const format = columns.join(' ');
  const listed = await docker(daemon, ['ps', '--all', ...filter, '--format', format]);
  const rows = listed.split('\n').filter((line) => line !== '');
  const nodes = rows.map((row) => {
    const [container = '', address = '', state = ''] = row.split(' ');
    return { name: container.split('-').at(-1) ?? '', container, address, state };
  });
  return nodes.sort((left, right) => numberOf(left.name) - numberOf(right.name));
}

/** The names of the labs that exist: each has a network from its first moment on. */
export async function listLabs(daemon: Docker): Promise<string[]> {
  const args = ['network', 'ls', '--filter', `label=${labLabel}`];
  const listed = await docker(daemon, [...args, '--format', `{{.Label "${labLabel}"}}`]);
  return listed
    .split('\n')
    .filter((line) => line !== '')
    .sort();
}

/** Creates a lab's network unless it is there; its range as `a.b.c`. */
export async function ensureNetwork(daemon: Docker, lab: string): Promise<string> {
  const name = resourceName(lab);
  const listed = await docker(daemon, ['network', 'ls', '--format', '{{.Name}}']);
  if (!listed.split('\n').includes(name)) await createNetwork(daemon, lab, name);
  const format = '{{(index .IPAM.Config 0).Subnet}}';
  const subnet = await docker(daemon, ['network', 'inspect', '--format', format, name]);
  return subnet.split('.').slice(0, 3).join('.');
}

async function createNetwork(daemon: Docker, lab: string, name: string): Promise<void> {
  const ranges = await freeRanges(daemon, lab);
  let problem: unknown = new LabError('No free address range is left for the lab on this machine.');
  for (const range of ranges.slice(0, rangeAttemptsMax)) {
    try {
      const subnet = ['--subnet', `${range}.0/24`, '--gateway', `${range}.1`];
      const label = ['--label', `${labLabel}=${lab}`];
      await docker(daemon, ['network', 'create', ...subnet, ...label, name]);
      return;
    } catch (error) {
      problem = error; // Another lab took the range a moment ago, or a route that is not ours.
    }
  }
  throw problem;
}

/** Creates and starts the container of a node; a volume of the same name keeps its data. */
export async function createNode(
  daemon: Docker,
  node: {
    readonly lab: string;
    readonly name: string;
    readonly range: string;
    readonly image: string;
  },
): Promise<void> {
  const container = resourceName(node.lab, node.name);
  const address = `${node.range}.${firstHost - 1 + numberOf(node.name)}`;
  await docker(daemon, ['volume', 'create', '--label', `${labLabel}=${node.lab}`, container]);
  await docker(daemon, [
    ...['run', '--detach', '--name', container, '--hostname', node.name],
    ...['--label', `${labLabel}=${node.lab}`, '--label', `${addressLabel}=${address}`],
    ...[
      '--dns',
      '127.0.0.1',
      '--network',
      resourceName(node.lab),
      '--ip',
      address,
      '--env',
      `LAB_ADDRESS=${address}`,
    ],
    ...['--volume', `${container}:/var/lib/docker`, '--tmpfs', '/run'],
    ...(await powers(daemon)),
    ...[node.image],
  ]);
}

/**
 * What a Docker daemon needs to run in a container. Not --privileged: Docker refuses it where the
 * machine itself lacks CAP_SYS_RESOURCE, and this works there too.
 */
async function powers(daemon: Docker): Promise<string[]> {
  const version = await docker(daemon, ['info', '--format', '{{.CgroupVersion}}']);
  const cgroups =
    version === '2' ? ['--cgroupns', 'private'] : ['--volume', '/sys/fs/cgroup:/sys/fs/cgroup:rw'];
  return [
    ...['--cap-add', 'ALL', '--cap-drop', 'SYS_RESOURCE'],
    ...['seccomp', 'apparmor', 'systempaths'].flatMap((each) => [
      '--security-opt',
      `${each}=unconfined`,
    ]),
    ...['--device-cgroup-rule', 'a *:* rwm'],
    ...cgroups,
  ];
}

/** Removes the nodes of a lab with their data, and its network. */
export async function removeAll(daemon: Docker, lab: string): Promise<void> {
  const nodes = await listNodes(daemon, lab);
  if (nodes.length > 0) {
    await docker(daemon, ['rm', '--force', '--volumes', ...nodes.map((node) => node.container)]);
  }
  const filter = ['--quiet', '--filter', `label=${labLabel}=${lab}`];
  for (const kind of ['volume', 'network']) {
    const names = (await docker(daemon, [kind, 'ls', ...filter])).split('\n').filter(Boolean);
    if (names.length > 0) await docker(daemon, [kind, 'rm', ...names]);
  }
}

/** The 2 of n2. */
export function numberOf(node: string): number {
  return Number(node.replace(/^n/, ''));
}
