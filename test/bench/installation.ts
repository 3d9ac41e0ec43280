/** A lab with the operator installed as a user installs it, and the program as a user runs it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Status } from '../../src/core/status';
import { productImage } from '../lab/images';
import { Lab, type UpOptions } from '../lab/lab';
import { resourceName } from '../lab/nodes';
import { step } from '../lab/progress';
import { attempt, LabError, run, waitFor, type Result } from '../lab/shell';
import { repository } from '../lab/stage';
import { type Place } from './load';

const program = join(repository, 'dist/main.js');
const stackFile = join(repository, 'manifests/pgswarm.yaml');
const stack = 'pgswarm';
const operatorService = `${stack}_operator`;
const operatorMaxMs = 120_000;
const statusMaxMs = 180_000;

export class Installation {
  readonly lab: Lab;
  readonly #environment: NodeJS.ProcessEnv;

  private constructor(lab: Lab, manager: string) {
    this.lab = lab;
    this.#environment = { ...process.env, DOCKER_HOST: manager };
  }

  /** Brings the lab up and installs the operator. */
  static async create(name: string, image: UpOptions['image']): Promise<Installation> {
    const lab = await Lab.open(name);
    await lab.up(image === undefined ? {} : { image });
    const installation = await Installation.find(name);
    await step('installing the operator', () => installation.#install());
    return installation;
  }

  /** A lab that is up, with the operator in it. */
  static async find(name: string): Promise<Installation> {
    const lab = await Lab.find(name);
    const manager = (await lab?.manager()) ?? null;
    if (lab === null || manager === null) throw new LabError(`No lab "${name}" answers.`);
    if (!existsSync(program)) {
      await step('compiling the program', () => run(['npm', 'run', 'build'], { cwd: repository }));
    }
    return new Installation(lab, manager);
  }

  /** Where containers reach the nodes by their addresses. */
  get place(): Place {
    const network = resourceName(this.lab.name);
    return { daemon: this.lab.hostDocker, network, image: productImage };
  }

  /** Runs the program; it must succeed. */
  async pgswarm(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.#try(args);
    if (code !== 0) throw new Error(`pgswarm ${args.join(' ')}: ${stderr.trim() || stdout}`);
    return stdout.trim();
  }

  /** Null when there is no such cluster, or nobody answers. */
  async status(cluster: string): Promise<Status | null> {
    const { code, stdout } = await this.#try(['status', cluster, '-o', 'json']);
    return code === 0 ? (JSON.parse(stdout) as Status) : null;
  }

  /** Looks at the status until it is as wanted. */
  async until(
    cluster: string,
    what: string,
    isReached: (status: Status) => boolean,
  ): Promise<Status> {
    let last: Status | null = null;
    return waitFor(`${cluster} to be ${what}`, statusMaxMs, async () => {
      last = await this.status(cluster);
      return last !== null && isReached(last) ? last : undefined;
    }).catch((error: unknown) => {
      const seen = `The last status: ${JSON.stringify(last)}`;
      throw error instanceof LabError ? new LabError(`${error.message} ${seen}`) : error;
    });
  }

  #try(args: readonly string[]): Promise<Result> {
    return attempt([process.execPath, program, ...args], { env: this.#environment });
  }

  async #install(): Promise<void> {
    const env = { ...this.#environment, PGSWARM_IMAGE: productImage };
    // --resolve-image: the image is in the nodes and in no registry.
    const deploy = ['docker', 'stack', 'deploy', '--resolve-image', 'never', '-c', stackFile];
    await run([...deploy, stack], { env });
    await waitFor('the operator to run with its key', operatorMaxMs, () => this.#isInstalled());
  }

  /** The operators restart once, when the leader has made the key. */
  async #isInstalled(): Promise<true | undefined> {
    const format = '{{len .Spec.TaskTemplate.ContainerSpec.Secrets}} {{.UpdateStatus.State}}';
    const inspect = ['docker', 'service', 'inspect', '--format', format, operatorService];
    const seen = await attempt(inspect, { env: this.#environment });
    return /^[1-9]\d* completed/.test(seen.stdout) ? true : undefined;
  }
}
