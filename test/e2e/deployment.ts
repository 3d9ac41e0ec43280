/** The lab `test` with the operator installed as a user installs it, shared by all suites. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Status } from '../../src/core/status';
import { Lab } from '../lab/lab';
import { attempt, run, type Result } from '../lab/shell';

const ROOT = join(__dirname, '../..');
const LAB = process.env['PGSWARM_TEST_LAB'] ?? 'test';

/** Nothing in a healthy lab takes longer. */
const PATIENCE_MS = 120_000;

export class Deployment {
  readonly lab: Lab;
  readonly #folder = mkdtempSync(join(tmpdir(), 'pgswarm-'));

  private constructor(lab: Lab) {
    this.lab = lab;
  }

  /** Brings the lab up and deploys the stack, or finds both. */
  static async open(): Promise<Deployment> {
    const lab = await Lab.open(LAB);
    await lab.up();
    const deployment = new Deployment(lab);
    await deployment.docker([
      'stack',
      'deploy',
      '-c',
      join(ROOT, 'manifests/pgswarm.yaml'),
      'pgswarm',
    ]);
    return deployment;
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

  /** The same, and it must work. */
  async mustPgswarm(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.pgswarm(...args);
    if (code !== 0)
      {throw new Error(`pgswarm ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`);}
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

  /** Names of the running containers of a server, with the node each is on. */
  async containers(server: string): Promise<{ readonly node: string; readonly id: string }[]> {
    const found: { node: string; id: string }[] = [];
    for (const node of this.lab.nodes()) {
      const { code, stdout } = await this.lab.exec(node, [
        'docker',
        'ps',
        '-q',
        '--filter',
        `label=com.docker.swarm.service.name=${server}`,
      ]);
      if (code !== 0) continue;
      for (const id of stdout.split('\n').filter((line) => line !== '')) found.push({ node, id });
    }
    return found;
  }
}
