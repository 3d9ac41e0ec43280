/** Ties the parts together: assignments come in, actions follow, and what is seen is reported. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createActor, waitFor } from 'xstate';
import { type ControlAnswer } from '../adapters/control/client';
import { answerPromise, promisedUntil, promiseLeftMs } from '../core/promise';
import {
  type Assignment,
  type InstanceSettings,
  type PostgresReport,
  type PromiseAnswer,
  type PromiseRequest,
  type Report,
} from '../core/protocol';
import { type Guidance } from './backup/retention';
import { Heart } from './heart';
import { type Health } from './health-server';
import { lifeMachine, type LifePorts } from './life-machine';
import { LocalState } from './local-state';
import { isSuperseded, nextAction, type Action, type LocalFacts } from './next-action';
import { disobedience } from './obedience';
import { type InstanceOptions, type InstanceParts } from './ports';
import { Tenure } from './tenure';

/** At the end of the grace period Docker kills: the harder ways to stop must fit in before. */
const ESCALATION_MS = 5000;
const IMMEDIATE_MS = 3000;
const FAST_MIN_MS = 1000;
/** Observations while a change of role waits for this server, when reports are closer than this. */
const URGENT_REPORT_MS = 200;
const URGENT_POLL_MS = 5;

/** A primary that is told to end waits this long for another server to take over. */
const HANDOVER_MAX_MS = 15_000;
const ROOM_MOVING: readonly string[] = ['freeBytes', 'fullInMs'];
/** What changes with every WAL file. */
const ARCHIVE_MOVING: readonly string[] = ['last', 'waiting', 'forMs', 'pausedLeftMs', 'window'];

/** What no restore on a copy may delay. */
const RIVALS: Readonly<Partial<Record<Action['kind'], string>>> = {
  promote: 'the server is to become primary',
  stop: 'the server is to be stopped',
  restart: 'the server is to be restarted',
};

export class Instance {
  readonly #options: InstanceOptions;
  readonly #state: LocalState;
  readonly #parts: InstanceParts;
  readonly #tenure: Tenure;
  readonly #heart: Heart;
  readonly #life;
  readonly #bootedAtMs = performance.now();
  #promisedUntilMs: number | null = null;
  #handover: NodeJS.Timeout | null = null;
  #pictured = '';

  constructor(options: InstanceOptions) {
    this.#options = options;
    const { identity, log, taskId, volume, remembered, control, peers } = options;
    this.#state = new LocalState({
      identity,
      taskId,
      volume,
      ...(remembered === undefined ? {} : { remembered }),
      onChange: () => this.#changed(),
      dataVolume: () => this.#parts.room.report(),
      archive: () => this.#parts.archive.report(),
      backups: () => this.#parts.backups.report(),
      rehearsals: () => this.#parts.rehearsals.report(),
      restoring: () => this.#parts.restoring.report(),
      promiseLeftMs: () => this.#promiseLeftMs,
      hasSeenReload: () => this.#parts.postgres.hasSeenReload,
      ownAddress: options.ownAddress,
    });
    this.#parts = options.assemble(this.#state, () => this.#changed());
    const { postgres, guard } = this.#parts;
    this.#tenure = new Tenure({
      identity,
      postgres,
      guard,
      peers,
      log,
      onChange: () => this.#changed(),
    });
    this.#heart = new Heart({
      identity,
      control,
      log,
      report: () => this.#state.report(postgres.report),
      accept: (answer, sentAtMs) => this.#accept(answer, sentAtMs),
    });
    this.#life = createActor(lifeMachine, { input: this.#lifePorts() });
  }

  /** Until `terminate` has been called and PostgreSQL has stopped. */
  async run(): Promise<void> {
    if (this.#state.values.volume.kind === 'tagged') await this.#parts.postgres.inspect();
    this.#life.start();
    const beating = this.#heart.run();
    await waitFor(this.#life, ({ status }) => status === 'done', { timeout: Infinity });
    this.#heart.stop();
    await beating;
    // The last word, best effort: that PostgreSQL is stopped, and where its WAL ends.
    await this.#heart.beat();
    this.#tenure.close();
    this.#options.control.close();
  }

  /**
   * The container is to end. A primary with peers asks first to be relieved, so that a planned stop
   * of its node costs no more than a switchover; told a second time, it stops at once.
   */
  terminate(): void {
    if (this.#handover !== null || !this.#hasPeersToRelieveIt) {
      this.#end();
      return;
    }
    this.#options.log.info('Told to end while primary: asking to be relieved first');
    this.#handover = setTimeout(() => this.#end(), HANDOVER_MAX_MS);
    this.#state.set({ isLeaving: true });
  }

  /** A peer's question, answered and remembered in one turn of the event loop. */
  promise(request: PromiseRequest): PromiseAnswer {
    const { identity, log } = this.#options;
    const assignment = this.#state.values.assignment;
    const answer = answerPromise(request, {
      ...identity,
      term: assignment?.term ?? 0,
      task: assignment?.task.kind ?? null,
      rollCall: assignment?.rollCall ?? null,
    });
    if (!answer.promised) log.warn('No promise given', { from: request.from, ...answer });
    if (answer.promised) {
      const isFirst = this.#promisedUntilMs === null || this.#promisedUntilMs < performance.now();
      if (isFirst) log.info('Promised the primary to wait', { from: request.from });
      this.#promisedUntilMs = promisedUntil(
        this.#promisedUntilMs,
        performance.now(),
        request.forMs,
      );
    }
    return answer;
  }

  health(): Health {
    return {
      report: this.#state.picture(this.#parts.postgres.report),
      task: this.#state.values.assignment?.task ?? null,
      contactAgeMs: this.#heart.contactAgeMs,
      heartAgeMs: this.#heart.ageMs,
      leaseLeftMs: this.#tenure.leftMs,
    };
  }

  #accept(answer: ControlAnswer, sentAtMs: number): number {
    const { log, identity } = this.#options;
    const { assignment } = answer;
    const before = this.#state.values.assignment;
    const because = disobedience(assignment, before, identity);
    if (because !== null) {
      log.warn('Assignment ignored', { because });
      return assignment.reportEveryMs;
    }
    const { task, term, leaderEpoch, reportEveryMs, rollCall } = assignment;
    const pollEveryMs = reportEveryMs < URGENT_REPORT_MS ? URGENT_POLL_MS : reportEveryMs;
    this.#parts.postgres.pollEveryMs = pollEveryMs;
    this.#state.assign(assignment, answer.positions);
    this.#parts.archive.know(assignment.others);
    this.#parts.archive.pause(answer.archivePauseMs);
    this.#parts.backups.know(assignment.others);
    this.#parts.backups.guide(guidanceOf(assignment.settings, this.#parts.postgres.report));
    this.#parts.backups.obey(assignment.backup);
    this.#parts.rehearsals.obey(assignment.rehearsal, assignment.settings);
    this.#parts.restoring.ask(assignment.prospect);
    this.#parts.backups.load(assignment.load ?? null);
    this.#tenure.answered(answer, sentAtMs);
    if (rollCall !== (before?.rollCall ?? null)) void this.#answerRollCall(rollCall);
    if (before !== null && isSameWork(before, assignment)) return reportEveryMs;
    log.info('Assignment', { term, leaderEpoch, task });
    if (this.#handover !== null && task.kind !== 'primary' && task.kind !== 'stop') this.#end();
    else if (this.#isAlive) this.#life.send({ type: 'ASSIGNED' });
    this.#changed();
    return reportEveryMs;
  }

  /**
   * Looks anew once every promise is over; none is given meanwhile. So what is reported with the id
   * is what this server has when the old primary can count on it no more.
   */
  async #answerRollCall(rollCall: string | null): Promise<void> {
    const isAsked = (): boolean => this.#state.values.assignment?.rollCall === rollCall;
    const isPrimary = this.#state.values.assignment?.task.kind === 'stop';
    if (rollCall !== null && !isPrimary) {
      for (let ms = this.#promiseLeftMs; ms !== null; ms = this.#promiseLeftMs) {
        await sleep(ms);
        if (!isAsked()) return;
      }
      await this.#parts.postgres.observe();
    }
    if (isAsked()) this.#state.set({ rollCall });
  }

  get #promiseLeftMs(): number | null {
    const ttlMs = this.#state.values.assignment?.ttlMs ?? 0;
    return promiseLeftMs(this.#promisedUntilMs, this.#bootedAtMs, ttlMs, performance.now());
  }

  get #hasPeersToRelieveIt(): boolean {
    const task = this.#state.values.assignment?.task;
    const isPrimary = task?.kind === 'primary' && this.#parts.postgres.report.state === 'primary';
    return isPrimary && (task.contract?.peers.length ?? 0) > 0;
  }

  get #isAlive(): boolean {
    return this.#life.getSnapshot().status === 'active';
  }

  #end(): void {
    if (this.#handover !== null) clearTimeout(this.#handover);
    if (this.#isAlive) this.#life.send({ type: 'TERMINATE' });
  }

  /** Something may be different: look again, and report it when it is of note. */
  #changed(): void {
    this.#tenure.refresh();
    const picture = this.#noteworthy(this.#state.picture(this.#parts.postgres.report));
    const isDifferent = picture !== this.#pictured;
    this.#pictured = picture;
    if (isDifferent) this.#heart.beatNow();
    if (this.#isAlive) this.#life.send({ type: 'LOOK' });
  }

  /** Positions move all the time; they are of note only while a change of role waits for them. */
  #noteworthy(picture: Omit<Report, 'sequence'>): string {
    const { postgres } = picture;
    const isUrgent = (this.#state.values.assignment?.reportEveryMs ?? Infinity) < URGENT_REPORT_MS;
    const positions: readonly string[] = isUrgent
      ? ['lsn', 'sentLsn', 'upstreamLsn', 'promiseLeftMs', ...ROOM_MOVING, ...ARCHIVE_MOVING]
      : [
          ...['lsn', 'sentLsn', 'flushedLsn', 'replayedLsn', 'receivedLsn'],
          ...['upstreamLsn', 'promiseLeftMs', ...ROOM_MOVING, ...ARCHIVE_MOVING],
        ];
    const hide = (name: string, value: unknown): unknown =>
      positions.includes(name) ? undefined : value;
    return JSON.stringify({ ...picture, postgres }, hide);
  }

  #lifePorts(): LifePorts {
    return {
      decide: (heldBack) => nextAction(this.#facts(), heldBack),
      isSuperseded: (action) => {
        const task = this.#state.values.assignment?.task;
        return task !== undefined && isSuperseded(action, task);
      },
      perform: async (action, signal) => await this.#perform(action, signal),
      stopForGood: async () => await this.#stopForGood(),
      tell: (problem) => this.#state.set({ problem }),
      monotonicMs: () => performance.now(),
    };
  }

  #facts(): LocalFacts {
    const { mayBegin } = this.#tenure;
    const isPromised = this.#promisedUntilMs !== null && this.#promiseLeftMs !== null;
    // Where no lease is needed nobody has ever asked for a promise, and a start is no obstacle.
    const needsLease = this.#tenure.leftMs !== null;
    const mayPromote = mayBegin && (needsLease ? this.#promiseLeftMs === null : !isPromised);
    return this.#state.facts(this.#parts.postgres, { mayBegin, mayPromote });
  }

  async #perform(action: Action, signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    const beganAtMs = performance.now();
    const fields = {
      action: action.kind,
      ...('because' in action ? { because: action.because } : {}),
    };
    const durationMs = (): number => Math.round(performance.now() - beganAtMs);
    log.info('Action begins', fields);
    const rival = RIVALS[action.kind];
    if (rival !== undefined) this.#parts.rehearsals.giveWay(rival);
    try {
      await this.#parts.perform(action, signal);
      log.info('Action done', { ...fields, durationMs: durationMs() });
    } catch (error) {
      const isAborted = signal.aborted;
      const message = isAborted ? 'Action broken off' : 'Action has not worked';
      log.log(isAborted ? 'info' : 'warn', message, {
        ...fields,
        durationMs: durationMs(),
        error: error instanceof Error ? error.message : String(error),
      });
      throw error;
    }
  }

  async #stopForGood(): Promise<void> {
    const { stopGraceMs } = this.#options;
    this.#parts.rehearsals.giveWay('the instance manager is to end');
    await this.#parts.postgres.stop({
      fastMs: Math.max(stopGraceMs - ESCALATION_MS, FAST_MIN_MS),
      immediateMs: IMMEDIATE_MS,
    });
  }
}

/** A standby that restores a backup streams from nobody, and may be on its way to anywhere. */
function guidanceOf({ retention, late }: InstanceSettings, report: PostgresReport): Guidance {
  const standby = report.state === 'standby' ? report : null;
  const isFollowing = standby?.receiver?.status === 'streaming' || late?.replication === 'archive';
  return {
    rules: retention,
    timeline:
      report.state === 'primary'
        ? report.timeline
        : isFollowing
          ? (standby?.timeline ?? null)
          : null,
    replayedLsn: standby?.replayedLsn ?? null,
  };
}

/** Another pace of reports alone is no other work, nor is a spec that is new to others. */
function isSameWork(a: Assignment, b: Assignment): boolean {
  const workOf = (assignment: Assignment): string =>
    JSON.stringify({ ...assignment, reportEveryMs: 0, generation: 0 });
  return workOf(a) === workOf(b);
}
