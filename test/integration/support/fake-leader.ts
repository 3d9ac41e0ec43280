/** A leader that assigns what the test says, and remembers what the instances report. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import {
  isSignature,
  NONCE_HEADER,
  signAnswer,
  SIGNATURE_HEADER,
  signRequest,
} from '../../../src/adapters/control/signing';
import {
  type Assignment,
  type InstanceSettings,
  type Report,
  type Task,
} from '../../../src/core/protocol';

export interface TimedReport {
  readonly report: Report;
  readonly atMs: number;
}

export class FakeLeader {
  readonly key: Buffer;
  readonly history: TimedReport[] = [];
  /** Told to every server with its next answer. */
  archivePauseMs: number | null = null;
  readonly #settings: InstanceSettings;
  readonly #cluster: string;
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  readonly #assignments = new Map<string, string>();
  readonly #listeners = new Set<() => void>();
  #term = 1;

  constructor(cluster: string, key: Buffer, settings: InstanceSettings) {
    this.#cluster = cluster;
    this.key = key;
    this.#settings = settings;
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  nextTerm(): void {
    this.#term += 1;
  }

  assign(server: string, task: Task, options: Partial<Assignment> = {}): void {
    const assignment: Assignment = {
      cluster: this.#cluster,
      server,
      leaderEpoch: 1,
      term: this.#term,
      task,
      settings: this.#settings,
      reportEveryMs: 1000,
      ttlMs: 5000,
      rollCall: null,
      others: [],
      backup: null,
      rehearsal: null,
      prospect: null,
      ...options,
    };
    this.#assignments.set(server, JSON.stringify(assignment));
    this.#notify();
  }

  /** As if this server had never been heard of, nor assigned anything. */
  forget(server: string): void {
    this.#assignments.delete(server);
    this.history.splice(
      0,
      this.history.length,
      ...this.history.filter(({ report }) => report.server !== server),
    );
  }

  last(server: string): Report | null {
    return this.history.findLast(({ report }) => report.server === server)?.report ?? null;
  }

  /** The first report of a server from now on, or the last one, that is as wanted. */
  async until(
    server: string,
    isAsWanted: (report: Report) => boolean,
    timeoutMs = 60_000,
  ): Promise<TimedReport> {
    const deadline = Date.now() + timeoutMs;
    for (let seen = this.#lastIndex(server); ;) {
      const found = this.history
        .slice(Math.max(seen, 0))
        .find(({ report }) => report.server === server && isAsWanted(report));
      if (found !== undefined) return found;
      seen = this.history.length;
      await this.#change(deadline, () => {
        const last = JSON.stringify(this.last(server), null, 1);
        return `${server} did not report what was waited for; last: ${last}`;
      });
    }
  }

  #lastIndex(server: string): number {
    return this.history.findLastIndex(({ report }) => report.server === server);
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  async #change(deadlineMs: number, complaint: () => string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#listeners.delete(done);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#listeners.delete(done);
        reject(new Error(complaint()));
      }, deadlineMs - Date.now());
      this.#listeners.add(done);
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const part of request) body += String(part);
    const nonce = String(request.headers[NONCE_HEADER]);
    const path = request.url ?? '';
    const expected = signRequest(this.key, { method: 'POST', path, nonce, body });
    if (!isSignature(expected, String(request.headers[SIGNATURE_HEADER]))) {
      response.writeHead(401).end();
      return;
    }
    const text = path === '/v1/watch' ? await this.#watch(body) : this.#beat(body);
    const status = text === null ? 404 : 200;
    response.setHeader(SIGNATURE_HEADER, signAnswer(this.key, nonce, status, text ?? ''));
    response.writeHead(status).end(text ?? '');
  }

  #beat(body: string): string | null {
    const report = JSON.parse(body) as Report;
    this.history.push({ report, atMs: performance.now() });
    this.#notify();
    const assignment = this.#assignments.get(report.server);
    // No lease: the contracts that are assigned here need none.
    return assignment === undefined
      ? null
      : `{"assignment":${assignment},"leaseMs":null,"positions":{},"archivePauseMs":${this.archivePauseMs}}`;
  }

  async #watch(body: string): Promise<string> {
    const { server, digest } = JSON.parse(body) as { server: string; digest: string };
    const isSame = (): boolean =>
      createHash('sha256')
        .update(this.#assignments.get(server) ?? '')
        .digest('hex') === digest;
    const deadline = Date.now() + 60_000;
    while (isSame()) {
      const changed = await this.#change(deadline, () => 'nothing changed').then(
        () => true,
        () => false,
      );
      if (!changed) break;
    }
    return '{}';
  }
}
