/**
 * One cluster in the hands of the leader: what it has seen, what it has decided, what it tells the
 * instances. Holds nothing that another leader would need; that is in the store.
 */
import { createHash } from 'node:crypto';
import { createActor, type Actor } from 'xstate';
import { archivePauseLeftMs } from '../core/archive/pause';
import { assignmentIn, positionsIn } from '../core/assignment';
import { assignedContract } from '../core/contract';
import { decide, type Decision } from '../core/decide';
import { isFollowing } from '../core/rules/servers';
import { OperatingError, messageOf, type ErrorKind } from '../core/errors';
import { mergedHistory, type HistoryEntry } from '../core/history';
import { LEADERSHIP_TIMING } from '../core/leadership';
import { type Observation, type UpdateMade } from '../core/observation';
import { detailOf, type ClusterDetail } from '../core/overview';
import { type Assignment, type HeartbeatAnswer, type Report } from '../core/protocol';
import { viewOf, type Situation, type View } from '../core/situation';
import { type SpecRecord } from '../core/spec';
import { type ClusterState } from '../core/state';
import { statusOf, type SourceTrouble, type Status } from '../core/status';
import { describe, type Step } from '../core/steps';
import { takenOver } from '../core/transitions';
import { type Log } from '../adapters/log';
import { ClusterRecords } from './cluster-records';
import { ConditionClock } from './condition-clock';
import { ClusterHistory } from './cluster-history';
import { clusterMachine, type ClusterLoop, type Done } from './cluster-machine';
import { GapClock } from './gap-clock';
import { type Journal } from './journal';
import { LeaseBook } from './lease-book';
import { ReportBook } from './report-book';
import { LateClock } from './late-clock';
import { measuredLoop } from './measured';
import { type OperatorMeter } from './operator-metrics';
import { StreamClock } from './stream-clock';
import { Suspicion } from './suspicion';
import { SwarmView } from './swarm-view';
import { Watchers } from './watchers';
import { type Clock, type Store, type StoredRecord, type Swarm } from '../core/ports';

/** Swarm may not answer for long, during an election: decisions go on with what was seen before. */
const SWARM_PATIENCE_MS = 1_500;

export interface ControllerPorts {
  readonly store: Store;
  readonly swarm: Swarm;
  readonly clock: Clock;
  readonly log: Log;
  readonly newUid: () => string;
  /** Image of the instances when the spec names none. */
  readonly image: string;
  readonly fingerprints: (cluster: string, uid: string) => Situation['fingerprints'];
  /** Checked before every write: a leader that was frozen must not act on what it knew. */
  readonly isLeading: () => boolean;
  /** For how long for certain: no lease may be longer. */
  readonly leadingLeftMs: () => number;
  /** Where the history is kept for longer than the store keeps it; absent: nowhere. */
  readonly journal?: Journal;
  /** The cluster's records are gone. */
  readonly onForgotten: (cluster: string) => void;
  /** Absent: nobody wants to know. */
  readonly meter?: Pick<OperatorMeter, 'round' | 'decided'>;
}

export class ClusterController implements ClusterLoop {
  readonly cluster: string;
  readonly #ports: ControllerPorts;
  readonly #leaderEpoch: number;
  readonly #leadingSinceMs: number;
  readonly #areLeasesOver: boolean;
  readonly #gap: GapClock;
  readonly #leases: LeaseBook;
  readonly #records: ClusterRecords;
  readonly #streams = new StreamClock();
  readonly #late = new LateClock();
  readonly #swarm: SwarmView;
  readonly #suspicion: Suspicion;
  readonly #actor: Actor<ReturnType<typeof clusterMachine>>;
  readonly #reports = new ReportBook();
  readonly #watchers = new Watchers();
  readonly #volumesRemoved = new Set<string>();
  readonly #updates: Record<string, UpdateMade> = {};
  readonly #conditions = new ConditionClock();
  readonly #history: ClusterHistory;
  /** The former leader's writes fail from now on: leases may be granted. */
  #isTaken = false;
  #decision: Decision | null = null;
  #phase: { readonly id: string; readonly sinceMs: number } | null = null;
  #failure: string | null = null;
  #specRefusal: string | null = null;
  #sourceTrouble: SourceTrouble | null = null;
  #term: number | null = null;

  constructor(
    cluster: string,
    reign: { readonly epoch: number; readonly areLeasesOver: boolean },
    ports: ControllerPorts,
  ) {
    this.cluster = cluster;
    this.#ports = ports;
    this.#leaderEpoch = reign.epoch;
    this.#areLeasesOver = reign.areLeasesOver;
    this.#history = new ClusterHistory(cluster, ports.journal ?? null);
    const lookAgain = (): void => this.look('reports');
    this.#leases = new LeaseBook(() => ports.clock.monotonicMs(), lookAgain);
    const { clock, swarm, store } = ports;
    this.#records = new ClusterRecords({
      cluster,
      store,
      assertLeading: (state) => this.#assertLeading(state),
    });
    this.#swarm = new SwarmView({ cluster, swarm, clock, onLate: lookAgain });
    this.#suspicion = new Suspicion({
      clock,
      heardAtMs: (server) => this.#reports.all()[server]?.seenAtMs ?? null,
      isPrimary: (server) => server === this.#records.state?.primary && this.#isTaken,
      ask: () => this.look('swarm'),
    });
    this.#leadingSinceMs = ports.clock.monotonicMs();
    this.#gap = new GapClock(() => ports.clock.monotonicMs());
    const loop = ports.meter === undefined ? this : measuredLoop(this, clock, ports.meter);
    this.#actor = createActor(clusterMachine(loop));
  }

  /** First makes every write of the leader before this one fail, then begins to look. */
  async start(): Promise<void> {
    await this.#reload();
    // Reading takes its time: meanwhile somebody else may have taken the cluster over.
    this.#assertLeading();
    const { spec, state } = this.#records;
    if (spec === null) return;
    if (state !== null && state.leaderEpoch !== this.#leaderEpoch) {
      await this.#write(takenOver(state, this.#leaderEpoch));
    }
    this.#assertLeading();
    this.#isTaken = true;
    const ttlMs = this.#records.state?.contract?.ttlMs ?? 0;
    // No lease outlives the leadership of the one who granted it.
    const longestMs = Math.min(ttlMs, LEADERSHIP_TIMING.leaseMs);
    this.#leases.begin(this.#areLeasesOver ? 0 : longestMs);
    this.#term = this.#records.state?.term ?? null;
    this.#actor.start();
  }

  stop(): void {
    this.#isTaken = false;
    this.#actor.stop();
    this.#suspicion.end();
    this.#leases.close();
    this.#watchers.release();
  }

  /** Something may have changed; `what` says which knowledge is not to be trusted any more. */
  look(what: 'reports' | 'swarm' | 'records'): void {
    if (what === 'swarm') this.#swarm.stale();
    if (what === 'records') this.#records.stale();
    this.#actor.send({ type: 'LOOK' });
  }

  /** The uid from which the cluster's keys are derived; null before its first record. */
  get uid(): string | null {
    return this.#records.state?.uid ?? null;
  }

  /** Who follows the primary, for a comparison; null while anybody should and does not, or it changes. */
  get formation(): string | null {
    const view = this.#view();
    if (view?.primary?.asPrimary == null || view.state.change !== null) return null;
    const { primary, state, servers } = view;
    const others = servers.filter(
      ({ name }) => name !== primary.name && !state.fenced.includes(name),
    );
    if (!others.every((server) => isFollowing(server, view))) return null;
    return [primary, ...others].map(({ name }) => name).join(' ');
  }

  /** Id of the node that the primary is tied to; null while there is no primary. */
  get primaryNode(): string | null {
    return this.#view()?.primary?.nodeId ?? null;
  }

  get spec(): StoredRecord<SpecRecord> | null {
    return this.#records.spec;
  }

  /** Takes an instance's report and answers what it shall be; null when the server is unknown. */
  report(report: Report): HeartbeatAnswer | null {
    if (!this.#isTaken) return null;
    const nowMs = this.#ports.clock.monotonicMs();
    const outcome = this.#reports.enter(report, nowMs);
    if (outcome !== 'repeated') {
      this.#gap.reported(report, this.#records.state);
      this.#streams.reported(report, nowMs);
      this.#late.reported(report, nowMs);
    }
    const view = this.#view();
    const assignment = assignmentIn(view, report.server);
    if (view === null || assignment === null) return null;
    const leaseMs = outcome === 'repeated' ? null : this.#lease(view, report, assignment);
    if (assignment.task.kind === 'stop') this.#gap.toldToStop();
    const isAwaited = outcome === 'same' && this.#records.state?.change != null;
    if (outcome === 'news' || isAwaited) {
      this.#wakeWatchers();
      this.look('reports');
    }
    const { state, situation } = view;
    const archivePauseMs = archivePauseLeftMs(state.archivePauses, report.server, situation.now);
    return { assignment, leaseMs, positions: positionsIn(view), archivePauseMs };
  }

  /**
   * What the primary is granted with this answer, and entered before it is sent. One that is being
   * stopped for a switchover is granted more time; one that was taken for lost is not.
   */
  #lease(view: View, { server, taskId, postgres }: Report, { task }: Assignment): number | null {
    // What is not known to be true is no ground for a lease.
    if (server !== view.state.primary || !this.#records.isCertain) return null;
    const isStopping = view.state.change?.phase === 'stopping' && task.kind === 'stop';
    const contract = task.kind === 'primary' || isStopping ? assignedContract(view) : null;
    if (contract === null) return null;
    const leaseMs = Math.floor(Math.min(contract.ttlMs, this.#ports.leadingLeftMs()));
    if (leaseMs <= 0) return null;
    this.#leases.granted(taskId, leaseMs, postgres.state === 'primary');
    return leaseMs;
  }

  /** Resolves when the server's assignment is not the one with this digest any more. */
  waitForChange(server: string, digest: string, signal: AbortSignal): Promise<void> {
    const watching = this.#watchers.wait({ server, digest }, signal, () => this.#suspect(server));
    this.#wakeWatchers();
    return watching;
  }

  /** A file was refused; the last good spec stays in force. */
  refuseSpec(message: string | null): void {
    this.#specRefusal = message;
  }

  /** The Git repository is not followed as it should be; null: it is. */
  troubleSource(trouble: SourceTrouble | null): void {
    this.#sourceTrouble = trouble;
  }

  /** null until the cluster has been looked at once. */
  status(): Status | null {
    const view = this.#view();
    if (view === null) return null;
    const refused = this.#specRefusal === null ? null : { message: this.#specRefusal };
    const status = statusOf(view, this.#decision ?? decide(view.situation), {
      specRefusal: refused,
      failure: this.#failure,
      source: this.#sourceTrouble,
    });
    const now = this.#ports.clock.now().toISOString();
    const conditions = status.conditions.map((each) => this.#conditions.stamp(each, now));
    return { ...status, conditions };
  }

  /** What the web page shows of it; null until the cluster has been looked at once. */
  detail(): ClusterDetail | null {
    const [status, state] = [this.status(), this.#records.state];
    if (status === null || state === null || this.#decision === null) return null;
    return detailOf(status, state, this.#decision);
  }

  /** What the CLI needs to decide for itself: reports with their age, and the present phase's. */
  observation(): Observation {
    return {
      reports: this.#reports.all(),
      swarm: this.#swarm.seen,
      phaseSinceMs: this.#phase?.sinceMs ?? null,
      writeGapMs: this.#gap.measuredMs,
      grants: this.#leases.grants,
      acceptedAtMs: this.#gap.acceptedAtMs,
      obeyingSinceMs: this.#gap.obeyingSinceMs,
      streamingSinceMs: this.#streams.sinceMs,
      lateSinceMs: this.#late.sinceMs,
      updates: { ...this.#updates },
      volumesRemoved: [...this.#volumesRemoved],
      leadingSinceMs: this.#leadingSinceMs,
    };
  }

  /** Since then (ISO 8601; empty: all), as far as anybody has kept it. */
  async history(since: string): Promise<readonly HistoryEntry[]> {
    const kept = (await this.#ports.journal?.read(this.cluster, since)) ?? [];
    const events = this.#records.state?.events.filter(({ at }) => at >= since) ?? [];
    return mergedHistory(kept, events);
  }

  // ── the loop ─────────────────────────────────────────────────────────────────────────────

  async observe(): Promise<Done> {
    await this.#reload();
    this.#history.noted(this.#records.state, this.#records.spec?.value ?? null);
    // An announcement of Docker's may have been missed: people write records, too.
    if (this.#swarm.isOld) this.#records.stale();
    const silence = await this.#swarm.refresh(this.#isRoleChanging() ? 0 : SWARM_PATIENCE_MS);
    if (silence !== null) this.#failure = silence;
    return 'done';
  }

  #suspect(server: string): void {
    if (server !== this.#records.state?.primary) return;
    const fields = { cluster: this.cluster, server };
    this.#ports.log.info('the primary has hung up; asking Swarm what became of it', fields);
    this.#suspicion.begin(server);
  }

  decide(): { readonly hasSteps: boolean } {
    const situation = this.#situation();
    if (situation === null) return { hasSteps: false };
    const decision = decide(situation);
    if (decision.rule !== this.#decision?.rule || decision.because !== this.#decision.because) {
      const { rule, because } = decision;
      const level = decision.steps.length > 0 || rule === 'steady' ? 'info' : 'debug';
      this.#ports.log.log(level, 'decided', { cluster: this.cluster, rule, because });
      this.#ports.meter?.decided(rule);
    }
    this.#decision = decision;
    if (decision.steps.length === 0) this.#failure = null;
    return { hasSteps: decision.steps.length > 0 };
  }

  async apply(): Promise<Done> {
    const before = this.#view();
    const beganMs = this.#ports.clock.monotonicMs();
    for (const step of this.#decision?.steps ?? []) {
      this.#assertLeading();
      const startedMs = this.#ports.clock.monotonicMs();
      await this.#applyStep(step);
      const durationMs = Math.round(this.#ports.clock.monotonicMs() - startedMs);
      const fields = { cluster: this.cluster, rule: this.#decision?.rule, durationMs };
      this.#ports.log.info('step done', { ...fields, step: describe(step) });
    }
    this.#failure = null;
    const durationMs = Math.round(this.#ports.clock.monotonicMs() - beganMs);
    if (before !== null && this.#decision !== null) {
      this.#history.decided(this.#decision, before, durationMs);
    }
    return 'done';
  }

  failed(error: unknown): ErrorKind {
    const kind = error instanceof OperatingError ? error.kind : 'transient';
    const fields = { cluster: this.cluster, rule: this.#decision?.rule, kind };
    if (kind === 'stale') {
      this.#records.stale();
      this.#swarm.stale();
      this.#ports.log.debug('the world has moved; looking again', fields);
    } else {
      this.#failure = messageOf(error);
      this.#ports.log.warn('a step failed', { ...fields, message: messageOf(error) });
    }
    return kind;
  }

  // ── effects ──────────────────────────────────────────────────────────────────────────────

  async #applyStep(step: Step): Promise<void> {
    switch (step.kind) {
      case 'record':
        await this.#write(step.next);
        return;
      case 'forget':
        await this.#records.remove();
        this.#ports.onForgotten(this.cluster);
        return;
      default:
        await this.#ports.swarm.apply(step);
        this.#swarm.stale();
        if (step.kind === 'remove-volumes') this.#volumesRemoved.add(step.server);
        if (step.kind === 'update-service') this.#noteUpdate(step.service.server);
    }
  }

  #noteUpdate(server: string): void {
    const bootId = this.#reports.all()[server]?.report.bootId ?? null;
    this.#updates[server] = { atMs: this.#ports.clock.monotonicMs(), bootId };
  }

  async #write(next: ClusterState): Promise<void> {
    await this.#records.write(next);
    this.#noteState();
  }

  async #reload(): Promise<void> {
    await this.#records.refresh();
    if (this.#records.spec === null) this.#ports.onForgotten(this.cluster);
    this.#noteState();
  }

  /** By the clock, and by the record: a later leader's epoch in it ends this one's writing for good. */
  #assertLeading(state = this.#records.state): void {
    const epoch = state?.leaderEpoch ?? this.#leaderEpoch;
    if (this.#ports.isLeading() && epoch <= this.#leaderEpoch) return;
    throw new OperatingError('refused', 'NotLeading', 'this operator does not lead any more');
  }

  // ── knowledge ────────────────────────────────────────────────────────────────────────────

  #noteState(): void {
    this.#noteTerm();
    const change = this.#records.state?.change ?? null;
    const id = change === null ? null : `${change.id} ${change.phase}`;
    if (id !== (this.#phase?.id ?? null)) {
      this.#phase = id === null ? null : { id, sinceMs: this.#ports.clock.monotonicMs() };
    }
    this.#wakeWatchers();
  }

  /** A new primary has had no lease yet; it is given the time to come for its first one. */
  #noteTerm(): void {
    const state = this.#records.state;
    if (!this.#isTaken || state === null || state.term === this.#term) return;
    if (this.#term !== null) this.#leases.begin(state.contract?.ttlMs ?? 0);
    this.#term = state.term;
  }

  #isRoleChanging(): boolean {
    const phase = this.#records.state?.change?.phase;
    return phase === 'stopping' || phase === 'promoting';
  }

  #situation(): Situation | null {
    if (this.#records.spec === null) return null;
    const { clock, newUid, image, fingerprints } = this.#ports;
    const uid = this.#records.state?.uid ?? null;
    return {
      record: this.#records.spec.value,
      state: this.#records.state,
      observation: this.observation(),
      nowMs: clock.monotonicMs(),
      now: clock.now().toISOString(),
      leaderEpoch: this.#leaderEpoch,
      newUid: newUid(),
      image,
      fingerprints: uid === null ? null : fingerprints(this.cluster, uid),
    };
  }

  #view(): View | null {
    const situation = this.#situation();
    return situation?.state == null ? null : viewOf(situation, situation.state);
  }

  #wakeWatchers(): void {
    if (this.#watchers.isEmpty) return;
    const view = this.#view();
    this.#watchers.wake((server) => {
      const assignment = assignmentIn(view, server);
      return assignment === null ? null : digestOf(assignment);
    });
  }
}

/** What an instance has been told, in short; both sides compute it over the same text. */
export const digestOf = (assignment: Assignment): string =>
  createHash('sha256').update(JSON.stringify(assignment)).digest('hex');
