/** What explains a repetition that went wrong: every log line around the fault, in one order. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OPERATOR_SERVICE, serviceName, stateRecordName } from '../../src/core/names';
import { type Lab } from '../lab/lab';
import { CLUSTER, type MatrixCluster } from './cluster';

/** Something that the harness did, at a time of `performance.now()`. */
export interface Mark {
  readonly atMs: number;
  readonly what: string;
}

const beforeMs = 10_000;
/** What servers say to clients that knock too early. */
const NOISE = /"client backend".*the database system is/;

/** Writes the logs since shortly before the first mark; returns the file. */
export async function saveEvidence(
  folder: string,
  name: string,
  cluster: MatrixCluster,
  marks: readonly Mark[],
): Promise<string> {
  const { lab } = cluster.deployment;
  const services = [
    OPERATOR_SERVICE,
    ...cluster.places.map(({ server }) => serviceName(CLUSTER, server)),
  ];
  const since = wallClock((marks[0]?.atMs ?? performance.now()) - beforeMs);
  const logs = await Promise.all(
    lab.nodes().flatMap((node) => services.map((service) => linesOf(lab, node, service, since))),
  );
  const own = marks.map(({ atMs, what }) => `${wallClock(atMs)} ======== ${what}`);
  const record = await cluster.deployment.record(stateRecordName(CLUSTER)).catch(String);
  const status = await cluster.deployment.status(CLUSTER);
  await mkdir(folder, { recursive: true });
  const file = join(folder, `${name}.log`);
  const lines = [...own, ...logs.flat()].sort();
  await writeFile(
    file,
    [
      ...lines,
      'state:',
      JSON.stringify(record, null, 1),
      'status:',
      JSON.stringify(status, null, 1),
      '',
    ].join('\n'),
  );
  return file;
}

/** Lines of all containers of a service on a node, each with its time, node and container first. */
async function linesOf(lab: Lab, node: string, service: string, since: string): Promise<string[]> {
  const script = `for c in $(docker ps -aq --filter label=com.docker.swarm.service.name=${service}); do
      docker logs --timestamps --since ${since} $c 2>&1 | sed "s/ / ${node} ${service} $c /"
    done`;
  const { stdout } = await lab.exec(node, ['sh', '-c', script]);
  return stdout.split('\n').filter((line) => line !== '' && !NOISE.test(line));
}

const wallClock = (atMs: number): string =>
  new Date(Date.now() - performance.now() + atMs).toISOString();
