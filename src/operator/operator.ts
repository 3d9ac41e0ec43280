/**
 * The operator: while it leads, one controller per cluster in the store; while it does not, it
 * tells whoever asks who does.
 */
import { type Observation } from '../core/observation';
import { OperatingError, messageOf } from '../core/errors';
import { summaryOf, type Overview } from '../core/overview';
import { type NodeSeen } from '../core/observation';
import { mayBelongTo } from '../core/names';
import { betterPlace, stillness, type Stillness } from '../core/placement';
import { type HeartbeatAnswer, type NotLeader, type Report } from '../core/protocol';
import { type SpecRecord } from '../core/spec';
import { type SourceTrouble, type Status } from '../core/status';
import { ClusterController, type ControllerPorts } from './cluster-controller';

/** Records are listed at least this often, even when Docker has announced no change. */
const LIST_EVERY_MS = 10_000;
/** So many clusters are taken over at the same time. */
const TAKEN_AT_ONCE = 8;
/** Who has led for so long may hand over; twice as long each time, since it may be in vain. */
const SETTLED_AFTER_MS = 30_000;
const SETTLED_AFTER_MAX_MS = 60 * 60_000;

export interface OperatorPorts extends Omit<
  ControllerPorts,
  'isLeading' | 'leadingLeftMs' | 'onForgotten'
> {
  readonly leadership: {
    isLeading(): boolean;
    leftMs(): number;
    leaderAddress(): string | null;
    handOver(node: string, isStillFit: () => boolean): void;
  };
  /** Host name of the node that it runs on. */
  readonly node: string;
}

/** What the CLI is told of a cluster, ages instead of this machine's clock. */
export interface ClusterAnswer {
  readonly status: Status | null;
  readonly observation: Observation;
  /** The leader's monotonic clock at the time of the answer. */
  readonly nowMs: number;
}

const SPEC_RECORD = /^pgswarm\.(?<cluster>[^.]+)\.spec$/;

export class Operator {
  readonly #ports: OperatorPorts;
  readonly #controllers = new Map<string, ClusterController>();
  #epoch: number | null = null;
  #areLeasesOver = false;
  #stillness: Stillness | null = null;
  #settledAfterMs = SETTLED_AFTER_MS;
  #listTimer: NodeJS.Timeout | null = null;

  constructor(ports: OperatorPorts) {
    this.#ports = ports;
  }

  /** Takes every cluster over, each by a write that makes the former leader's writes fail. */
  async lead(epoch: number, areLeasesOver: boolean): Promise<void> {
    this.#epoch = epoch;
    this.#areLeasesOver = areLeasesOver;
    this.#stillness = null;
    await this.#list();
  }

  /** Another operator leads, or may lead: nothing is decided here any more. */
  lose(): void {
    this.#epoch = null;
    if (this.#listTimer !== null) clearTimeout(this.#listTimer);
    for (const controller of this.#controllers.values()) controller.stop();
    this.#controllers.clear();
  }

  /** Docker announced a change. */
  changed(what: { readonly type: string; readonly name: string }): void {
    if (this.#epoch === null) return;
    if (what.type !== 'config') {
      for (const controller of this.#concerned(what)) controller.look('swarm');
      return;
    }
    const cluster = SPEC_RECORD.exec(what.name)?.groups?.['cluster'];
    if (cluster === undefined) return;
    const controller = this.#controllers.get(cluster);
    if (controller === undefined) void this.#take(cluster);
    else controller.look('records');
  }

  /** A cluster's own service, or secret, is nobody else's; anything else may matter to all of them. */
  #concerned({
    type,
    name,
  }: {
    readonly type: string;
    readonly name: string;
  }): ClusterController[] {
    const all = [...this.#controllers.values()];
    if (type !== 'service' && type !== 'secret') return all;
    const own = all.filter(({ cluster }) => mayBelongTo(cluster, name));
    return own.length === 0 ? all : own;
  }

  report(report: Report): HeartbeatAnswer | NotLeader {
    const answer = this.#isLeading() ? this.#controllers.get(report.cluster)?.report(report) : null;
    return answer ?? { notLeader: true, leader: this.#ports.leadership.leaderAddress() };
  }

  async waitForChange(
    cluster: string,
    request: { readonly server: string; readonly digest: string },
    signal: AbortSignal,
  ): Promise<void> {
    await this.#controllers.get(cluster)?.waitForChange(request.server, request.digest, signal);
  }

  /** From which the cluster's keys are derived; null for a cluster that this operator does not lead. */
  uidOf(cluster: string): string | null {
    return this.#controllers.get(cluster)?.uid ?? null;
  }

  controller(cluster: string): ClusterController {
    const controller = this.#controllers.get(cluster);
    if (controller !== undefined) return controller;
    const known = this.clusters().join(', ') || 'none';
    throw new OperatingError(
      'refused',
      'UnknownCluster',
      `there is no cluster ${cluster}; known are: ${known}`,
    );
  }

  /** Names of the clusters that this operator leads, sorted. */
  clusters(): readonly string[] {
    return [...this.#controllers.keys()].toSorted();
  }

  /** A file about this cluster was refused (`null`: it is fine again). */
  refuseSpec(cluster: string | null, message: string | null): void {
    if (cluster !== null) this.#controllers.get(cluster)?.refuseSpec(message);
  }

  /** The Git repository is not followed for this cluster (`null`: it is again). */
  troubleSource(cluster: string, trouble: SourceTrouble | null): void {
    this.#controllers.get(cluster)?.troubleSource(trouble);
  }

  /** The spec that is in force, as its controller knows it. */
  specRecord(cluster: string): SpecRecord | null {
    return this.#controllers.get(cluster)?.spec?.value ?? null;
  }

  /** Somebody has written into the records of this cluster. */
  written(cluster: string): void {
    this.#controllers.get(cluster)?.look('records');
  }

  answer(cluster: string): ClusterAnswer {
    const controller = this.controller(cluster);
    return {
      status: controller.status(),
      observation: controller.observation(),
      nowMs: this.#ports.clock.monotonicMs(),
    };
  }

  /** For the web page; `cluster` may be empty: the only one then, if there is only one. */
  overview(cluster: string): Overview {
    const names = this.clusters();
    const [only, ...others] = names;
    const chosen = cluster === '' && others.length === 0 ? only : cluster;
    return {
      at: this.#ports.clock.now().toISOString(),
      clusters: names.map((name) => summaryOf(name, this.controller(name).status())),
      cluster: this.#controllers.get(chosen ?? '')?.detail() ?? null,
    };
  }

  #isLeading(): boolean {
    return this.#epoch !== null && this.#ports.leadership.isLeading();
  }

  async #list(): Promise<void> {
    if (this.#listTimer !== null) clearTimeout(this.#listTimer);
    try {
      const records = await this.#ports.store.list();
      const clusters = records.flatMap(
        ({ name }) => SPEC_RECORD.exec(name)?.groups?.['cluster'] ?? [],
      );
      this.#ports.journal?.tidy(clusters);
      await this.#takeAll(clusters);
    } catch (error) {
      this.#ports.log.warn('the store could not be listed; it is tried again', {
        message: messageOf(error),
      });
    }
    if (this.#epoch === null) return;
    this.#considerPlace();
    this.#listTimer = setTimeout(() => void this.#list(), LIST_EVERY_MS);
  }

  /**
   * Once all is quiet, and has been for a while: in a change of leader nobody decides for a moment,
   * and after a network or a node has come back Raft may elect anew, so that it is seconds.
   */
  #considerPlace(): void {
    const { clock, node, leadership } = this.#ports;
    const nowMs = clock.monotonicMs();
    const now = stillness(this.#stillness, this.#formation(), nowMs);
    this.#stillness = now;
    if (now === null || nowMs - now.sinceMs < this.#settledAfterMs) return;
    const controllers = [...this.#controllers.values()];
    const primaryNodes = new Set(controllers.flatMap(({ primaryNode }) => primaryNode ?? []));
    const better = betterPlace(node, this.#nodes(), primaryNodes);
    if (better === null) return;
    // There may be nobody there: then it comes back, and is to try ever less often.
    this.#settledAfterMs = Math.min(2 * this.#settledAfterMs, SETTLED_AFTER_MAX_MS);
    leadership.handOver(better, () => this.#formation() === now.formation);
  }

  #formation(): string | null {
    const formations = [...this.#controllers.values()].map(({ formation }) => formation);
    if (formations.includes(null)) return null;
    const nodes = this.#nodes().map(({ hostname, state }) => `${hostname} ${state}`);
    return [...formations, ...nodes.toSorted()].join('; ');
  }

  #nodes(): readonly NodeSeen[] {
    const [controller] = this.#controllers.values();
    return controller?.observation().swarm?.nodes ?? [];
  }

  /** A few at a time: each is a write into Raft, and until it is done nobody leads that cluster. */
  async #takeAll(clusters: readonly string[]): Promise<void> {
    const left = clusters.values();
    const takeOneByOne = async (): Promise<void> => {
      for (const cluster of left) await this.#take(cluster);
    };
    await Promise.all(Array.from({ length: TAKEN_AT_ONCE }, takeOneByOne));
  }

  async #take(cluster: string): Promise<void> {
    const epoch = this.#epoch;
    if (epoch === null || this.#controllers.has(cluster)) return;
    const reign = { epoch, areLeasesOver: this.#areLeasesOver };
    const controller = new ClusterController(cluster, reign, {
      ...this.#ports,
      isLeading: () => this.#isLeading() && this.#epoch === epoch,
      leadingLeftMs: () => (this.#epoch === epoch ? this.#ports.leadership.leftMs() : 0),
      onForgotten: (name) => {
        this.#controllers.get(name)?.stop();
        this.#controllers.delete(name);
        this.#ports.log.info('cluster forgotten', { cluster: name });
      },
    });
    this.#controllers.set(cluster, controller);
    try {
      await controller.start();
      this.#ports.log.info('cluster taken', { cluster, leaderEpoch: epoch });
    } catch (error) {
      this.#controllers.delete(cluster);
      this.#ports.log.warn('a cluster could not be taken over; it is tried again', {
        cluster,
        message: messageOf(error),
      });
    }
  }
}
