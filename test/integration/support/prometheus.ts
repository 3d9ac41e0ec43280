/** Debian's Prometheus, unpacked by test/run.sh, or one that is installed. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { MONITORING, readMonitoring } from '../../support/monitoring';
import { freePort } from './instance-process';

const UNPACKED = resolve(__dirname, '../../../.build/prometheus/usr/bin');

/** Folder with both of its programs; null when there are none. */
export const findPrometheus = (): string | null =>
  [UNPACKED, ...(process.env['PATH'] ?? '').split(delimiter)].find((folder) =>
    ['prometheus', 'promtool'].every((name) => existsSync(join(folder, name))),
  ) ?? null;

/** What promtool says; rejects when it finds something. */
export async function promtool(
  programs: string,
  options: readonly string[],
  input = '',
): Promise<string> {
  const child = execFile(join(programs, 'promtool'), [...options]);
  let said = '';
  child.stdout?.on('data', (text: string) => (said += text));
  child.stderr?.on('data', (text: string) => (said += text));
  child.stdin?.end(input);
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0 || /error|lint|should/i.test(said)) {
    throw new Error(`promtool ${options.join(' ')} has ended with ${String(code)}: ${said}`);
  }
  return said;
}

export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

/** Runs with the configuration of manifests/monitoring, but for where and how often it looks. */
export class Prometheus {
  readonly #child: ChildProcess | null;
  readonly #url: string;

  private constructor(child: ChildProcess | null, url: string) {
    this.#child = child;
    this.#url = url;
  }

  /** One that somebody else has started. */
  static at(url: string): Prometheus {
    return new Prometheus(null, url);
  }

  static async start(
    programs: string,
    home: string,
    { socket, metricsPort }: { readonly socket: string; readonly metricsPort: number },
  ): Promise<Prometheus> {
    const port = await freePort();
    mkdirSync(home, { recursive: true });
    const configuration = readMonitoring('prometheus.yml')
      .replace('unix:///var/run/docker.sock', `unix://${socket}`)
      .replace(':7701', `:${metricsPort}`)
      .replaceAll('15s', '1s')
      .replace('alerts.yml', join(MONITORING, 'alerts.yml'));
    writeFileSync(join(home, 'prometheus.yml'), configuration);
    const options = [
      `--config.file=${join(home, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(home, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ];
    const child = spawn(join(programs, 'prometheus'), options, { stdio: 'inherit' });
    return new Prometheus(child, `http://127.0.0.1:${port}`);
  }

  async stop(): Promise<void> {
    if (this.#child === null || this.#child.exitCode !== null) return;
    this.#child.kill('SIGTERM');
    await once(this.#child, 'exit');
  }

  /** What an expression is now; rejects when it is none. */
  async query(expression: string): Promise<readonly Series[]> {
    const found = await this.#get(`query?query=${encodeURIComponent(expression)}`);
    return (found as { result: readonly Series[] }).result;
  }

  /** The only value of an expression. */
  async value(expression: string): Promise<number> {
    const [first, ...others] = await this.query(expression);
    if (first === undefined || others.length > 0) {
      throw new Error(`${expression} has ${others.length + Number(first !== undefined)} values`);
    }
    return Number(first.value[1]);
  }

  /** Every alert with the health of its rule: `ok` once it was evaluated. */
  async rules(): Promise<readonly { readonly name: string; readonly health: string }[]> {
    const { groups } = (await this.#get('rules')) as {
      groups: readonly { rules: readonly { name: string; health: string }[] }[];
    };
    return groups.flatMap(({ rules }) => rules);
  }

  async #get(path: string): Promise<unknown> {
    const response = await fetch(`${this.#url}/api/v1/${path}`);
    const answer = (await response.json()) as { status: string; data: unknown; error?: string };
    if (answer.status === 'success') return answer.data;
    throw new Error(`Prometheus has refused ${decodeURIComponent(path)}: ${answer.error ?? ''}`);
  }
}
