/** A cluster under pgswarm, whose primary is moved the way a user moves it: by its file. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { load } from 'js-yaml';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Status } from '../../src/core/status';
import { type Installation } from './installation';

/** What status says of a switchover. */
export interface Reported {
  readonly writeGapMs: number | null;
}

export class ManagedPair {
  readonly cluster: string;
  readonly #installation: Installation;
  readonly #text: string;

  constructor(installation: Installation, file: string) {
    this.#installation = installation;
    this.#text = readFileSync(file, 'utf8');
    this.cluster = (load(this.#text) as { metadata: { name: string } }).metadata.name;
  }

  /** Applies the file as it is; resolves when every standby streams, with the time that it took. */
  async create(): Promise<number> {
    const startedMs = performance.now();
    await this.#apply(this.#text);
    await this.#installation.until(this.cluster, 'complete', isWhole);
    return performance.now() - startedMs;
  }

  /** Follows the primary. */
  uri(): Promise<string> {
    return this.#installation.pgswarm('connect', this.cluster, '--with-password');
  }

  /**
   * Declares the next server as the primary, and resolves when it is and the others stream.
   * `isOver`: status is not asked before, because asking would take processor time from the
   * switchover.
   */
  async switchOver(isOver: Promise<unknown>): Promise<Reported> {
    const before = await this.#installation.until(this.cluster, 'complete', isWhole);
    const to = nextServer(before);
    await this.#apply(withPrimary(this.#text, to));
    await isOver;
    const after = await this.#installation.until(
      this.cluster,
      `complete with ${to} as its primary`,
      (status) => isWhole(status) && status.primary === to && status.term > before.term,
    );
    return { writeGapMs: after.lastChange?.writeGapMs ?? null };
  }

  /** Leaves the cluster as the file says. */
  async restore(): Promise<void> {
    await this.#apply(this.#text);
  }

  async #apply(text: string): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), 'pgswarm-bench-'));
    const file = join(folder, `${this.cluster}.yaml`);
    try {
      writeFileSync(file, text);
      await this.#installation.pgswarm('apply', '-f', file);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
}

/** The file with another primary, and all else as it was written. */
export function withPrimary(text: string, server: string): string {
  const line = /^( {2}primary: *)\S+/m;
  if (!line.test(text)) throw new Error('the file declares no primary on a line of its own');
  return text.replace(line, `$1${server}`);
}

function nextServer({ servers, primary }: Status): string {
  const index = servers.findIndex(({ name }) => name === primary);
  const next = servers[(index + 1) % servers.length];
  if (next === undefined) throw new Error('a cluster without servers');
  return next.name;
}

const isWhole = ({ phase, primary, declaredPrimary, servers }: Status): boolean =>
  phase === 'Ready' &&
  primary === declaredPrimary &&
  servers.every(({ role, state }) => role === 'primary' || state === 'streaming');
