/** The lab `test` with the operator installed as a user installs it, shared by all suites. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LeaderRecord } from '../../src/core/leadership';
import { LEADER_RECORD } from '../../src/core/names';
import { type ClusterState } from '../../src/core/state';
import { type Status } from '../../src/core/status';
import { Lab, type UpOptions } from '../lab/lab';
import { attempt, run, waitFor, type Result } from '../lab/shell';

export const ROOT = join(__dirname, '../..');
const LAB = process.env['PGSWARM_TEST_LAB'] ?? 'test';

const LOOKING: readonly string[] = ['connect', 'events', 'page', 'psql', 'status', 'plan', 'why'];
/** Nothing in a healthy lab takes longer. */
const PATIENCE_MS = 120_000;

interface Container {
  readonly node: string;
  readonly id: string;
}

export class Deployment {
  readonly lab: Lab;
  readonly #folder = mkdtempSync(join(tmpdir(), 'pgswarm-'));

  private constructor(lab: Lab) {
    this.lab = lab;
  }

  /** Brings the lab up and deploys the stack; what an earlier run left there is taken away. */
  static async open(name = LAB, options: UpOptions = {}): Promise<Deployment> {
    const lab = await Lab.open(name);
    await lab.up(options);
    const deployment = new Deployment(lab);
    const stack = ['pgswarm', 'page'].flatMap((name) => [
      '-c',
      join(ROOT, `manifests/${name}.yaml`),
    ]);
    await deployment.#update(['stack', 'deploy', ...stack, 'pgswarm']);
    await deployment.#update('service update --force -q -d pgswarm_operator'.split(' '));
    for (const cluster of await deployment.clusters()) {
      // A run that was broken off may have left it paused; then this works, else it is refused.
      await deployment.pgswarm('resume', cluster);
      await deployment.mustPgswarm('delete', cluster, '--volumes', '--yes');
    }
    return deployment;
  }

  /** Another update of the operators may be under way: then Swarm refuses this one for a moment. */
  async #update(args: readonly string[]): Promise<void> {
    await waitFor('Swarm to take an update of the operators', 60_000, async () => {
      const { code, stderr } = await attempt(['docker', '-H', await this.manager(), ...args]);
      if (code !== 0 && !stderr.includes('out of sequence')) throw new Error(stderr);
      return code === 0 ? true : undefined;
    });
  }

  /** Names of the clusters in the store. */
  async clusters(): Promise<readonly string[]> {
    const names = await this.docker(['config', 'ls', '--format', '{{.Name}}']);
    return [...names.matchAll(/^pgswarm\.(.+)\.spec$/gm)].map((match) => match[1]!);
  }

  /** `docker …` on a manager that answers. */
  async docker(args: readonly string[]): Promise<string> {
    return run(['docker', '-H', await this.manager(), ...args]);
  }

  async manager(): Promise<string> {
    const manager = await this.lab.manager();
    if (manager === null) throw new Error('no manager of the lab answers');
    return manager;
  }

  /** The program as users run it. */
  async pgswarm(...args: readonly string[]): Promise<Result> {
    const env = { ...process.env, DOCKER_HOST: await this.manager() };
    return attempt([process.execPath, join(ROOT, 'dist/main.js'), ...args], { env });
  }

  /**
   * The same, and it must work. What only looks is asked again while no operator leads: they are
   * restarted one by one in the first seconds of a deployment.
   */
  async mustPgswarm(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = LOOKING.includes(args[0] ?? '')
      ? await waitFor('an operator that leads', 30_000, async () => {
          const result = await this.pgswarm(...args);
          return result.stderr.includes('No operator leads') ? undefined : result;
        })
      : await this.pgswarm(...args);
    if (code !== 0) {
      throw new Error(`pgswarm ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`);
    }
    return stdout;
  }

  /** Writes a cluster file as a user would. */
  file(name: string, text: string): string {
    const path = join(this.#folder, name);
    writeFileSync(path, text);
    return path;
  }

  async status(cluster: string): Promise<Status | null> {
    const { code, stdout } = await this.pgswarm('status', cluster, '-o', 'json');
    return code === 0 ? (JSON.parse(stdout) as Status) : null;
  }

  /** Looks at the status until it is as wanted; says what it was when it never is. */
  async until(
    cluster: string,
    what: string,
    isReached: (status: Status) => boolean,
    patienceMs = PATIENCE_MS,
  ): Promise<Status> {
    const deadline = performance.now() + patienceMs;
    let last: Status | null = null;
    while (performance.now() < deadline) {
      last = await this.status(cluster);
      if (last !== null && isReached(last)) return last;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    throw new Error(
      `${cluster}: ${what} was not reached; status: ${JSON.stringify(last, null, 1)}`,
    );
  }

  /** As declared, with every standby streaming. */
  async ready(cluster: string, primary?: string): Promise<Status> {
    return this.until(
      cluster,
      `Ready${primary === undefined ? '' : ` with ${primary} as primary`}`,
      ({ phase, primary: now }) => phase === 'Ready' && (primary === undefined || now === primary),
    );
  }

  /** A psql query as the owner, through the CLI. */
  async sql(cluster: string, query: string): Promise<string> {
    return (await this.mustPgswarm('psql', cluster, '--', '-qAt', '-c', query)).trim();
  }

  /** Looks at the record in the store until the change of role is in this phase. */
  async untilPhase(cluster: string, phase: string): Promise<void> {
    await waitFor(`phase ${phase}`, 30_000, async () => {
      const state = await this.record<ClusterState>(`pgswarm.${cluster}.state`);
      return state.change?.phase === phase ? true : undefined;
    });
  }

  /** A record of the store, read with nothing but Docker. */
  async record<T>(name: string): Promise<T> {
    const format = '{{index .Spec.Labels "dev.pgswarm.payload"}}';
    return JSON.parse(await this.docker(['config', 'inspect', '--format', format, name])) as T;
  }

  /** The node whose operator leads. */
  async leaderNode(): Promise<string> {
    const { holder } = await this.record<LeaderRecord>(LEADER_RECORD);
    return /^(n\d+)-/.exec(holder)![1]!;
  }

  /** Kills the container of the operator that leads; returns when another one does. */
  async killLeader(): Promise<void> {
    const { epoch } = await this.record<LeaderRecord>(LEADER_RECORD);
    const node = await this.leaderNode();
    const [operator] = (await this.containers('pgswarm_operator')).filter(
      (container) => container.node === node,
    );
    await this.lab.exec(node, ['docker', 'kill', operator!.id]);
    await waitFor('another operator to lead', 60_000, async () => {
      const record = await this.record<LeaderRecord>(LEADER_RECORD);
      return record.epoch > epoch ? true : undefined;
    });
  }

  /** Kills the one container of a service as `docker kill` does; returns when another one runs. */
  async killContainer(service: string): Promise<void> {
    await this.replacing(service, async ({ node, id }) => {
      await this.lab.exec(node, ['docker', 'kill', id]);
    });
  }

  /** Does something that makes Swarm replace a service's container, and waits for the new one. */
  async replacing(service: string, what: (old: Container) => Promise<void>): Promise<void> {
    const [old] = await this.containers(service);
    await what(old!);
    await waitFor(`another container of ${service}`, PATIENCE_MS, async () => {
      const [now] = await this.containers(service);
      return now === undefined || now.id === old!.id ? undefined : true;
    });
  }

  /** Waits for a line in a service's log. */
  async untilLogged(service: string, pattern: RegExp): Promise<void> {
    await waitFor(`${String(pattern)} in the log of ${service}`, PATIENCE_MS, async () =>
      pattern.test(await this.logs(service)) ? true : undefined,
    );
  }

  /**
   * What all containers of a service have logged, asked of the nodes themselves: `docker service
   * logs` was seen to hang after a node's role had changed.
   */
  async logs(service: string): Promise<string> {
    const filter = `label=com.docker.swarm.service.name=${service}`;
    const script = `for c in $(docker ps -aq --filter ${filter}); do docker logs $c 2>&1; done`;
    const texts = await Promise.all(
      this.lab.nodes().map((node) => this.lab.exec(node, ['sh', '-c', script])),
    );
    return texts.map(({ stdout }) => stdout).join('');
  }

  /** Writes the logs of a cluster's servers and of the operators where a failure can be read. */
  async keepLogs(cluster: string, name: string): Promise<void> {
    const folder = join(ROOT, '.build/e2e', name);
    mkdirSync(folder, { recursive: true });
    const services = await this.docker(['service', 'ls', '--format', '{{.Name}}']);
    const ours = (each: string): boolean =>
      each === 'pgswarm_operator' || each.startsWith(`pgswarm-${cluster}-`);
    for (const service of services.split('\n').filter(ours)) {
      writeFileSync(join(folder, `${service}.log`), await this.logs(service));
    }
  }

  /** psql as `postgres` inside a server's container. */
  async asSuperuser(cluster: string, server: string, sql: string): Promise<string> {
    const psql = ['psql', '-h', '/run/pgswarm', '-U', 'postgres', '-qAt', '-c', sql];
    return this.inside(`pgswarm-${cluster}-${server}`, psql);
  }

  /** Runs a command in the one container of a service. */
  async inside(service: string, argv: readonly string[]): Promise<string> {
    const [container] = await this.containers(service);
    if (container === undefined) throw new Error(`${service} has no running container`);
    const command = ['docker', 'exec', container.id, ...argv];
    const { code, stdout, stderr } = await this.lab.exec(container.node, command);
    if (code !== 0) throw new Error(`${argv.join(' ')} in ${service}: ${stderr}`);
    return stdout.trim();
  }

  /** Image of the one container of a service; null while there is none. */
  async imageOf(service: string): Promise<string | null> {
    const [container] = await this.containers(service);
    if (container === undefined) return null;
    const inspect = ['docker', 'inspect', '--format', '{{.Config.Image}}', container.id];
    const { code, stdout } = await this.lab.exec(container.node, inspect);
    return code === 0 ? stdout.trim() : null;
  }

  /** Names of the running containers of a server, with the node each is on. */
  async containers(service: string): Promise<Container[]> {
    const found: Container[] = [];
    for (const node of this.lab.nodes()) {
      const { code, stdout } = await this.lab.exec(node, [
        'docker',
        'ps',
        '-q',
        '--filter',
        `label=com.docker.swarm.service.name=${service}`,
      ]);
      if (code !== 0) continue;
      for (const id of stdout.split('\n').filter((line) => line !== '')) found.push({ node, id });
    }
    return found;
  }
}
