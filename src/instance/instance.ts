/** Ties the parts together: assignments come in, actions follow, and what is seen is reported. */
import { createActor, waitFor } from 'xstate';
import { type ControlAnswer, type ControlPort } from '../adapters/control/client';
import { type Log } from '../adapters/log';
import { type Assignment, type Report, type VolumeReport } from '../core/protocol';
import { type Machine } from '../core/settings';
import { type InstanceEnvironment, type Secrets } from './environment';
import { Heart } from './heart';
import { type Health } from './health-server';
import { lifeMachine, type LifePorts } from './life-machine';
import { LocalPostgres } from './local-postgres';
import { LocalState, type Identity } from './local-state';
import { isSuperseded, nextAction, type Action } from './next-action';
import { disobedience } from './obedience';
import { perform } from './perform';
import { dataDirectory } from './volume';

export interface InstanceOptions {
  readonly environment: InstanceEnvironment;
  readonly identity: Identity;
  readonly secrets: Secrets;
  readonly machine: Machine;
  readonly volume: VolumeReport;
  readonly control: ControlPort;
  readonly log: Log;
}

/** At the end of the grace period Docker kills: the harder ways to stop must fit in before. */
const ESCALATION_MS = 5000;
const IMMEDIATE_MS = 3000;
const FAST_MIN_MS = 1000;
/** Observations while a change of role waits for this server, when reports are closer than this. */
const URGENT_REPORT_MS = 200;
const URGENT_POLL_MS = 5;

export class Instance {
  readonly #options: InstanceOptions;
  readonly #state: LocalState;
  readonly #postgres: LocalPostgres;
  readonly #heart: Heart;
  readonly #life;
  #pictured = '';

  constructor(options: InstanceOptions) {
    this.#options = options;
    const { environment, identity, machine, log } = options;
    this.#state = new LocalState(identity, options.volume, () => this.#changed());
    this.#postgres = new LocalPostgres({
      directory: dataDirectory(environment.dataVolume),
      binDirectory: environment.binDirectory,
      address: { socketDirectory: machine.socketDirectory, port: machine.port },
      startTimeoutMs: environment.startTimeoutMs,
      log,
      onChange: () => this.#changed(),
    });
    this.#heart = new Heart({
      identity,
      control: options.control,
      log,
      report: () => this.#state.report(this.#postgres.report),
      accept: (answer) => this.#accept(answer),
    });
    this.#life = createActor(lifeMachine, { input: this.#lifePorts() });
  }

  /** Until `terminate` has been called and PostgreSQL has stopped. */
  async run(): Promise<void> {
    if (this.#state.values.volume.kind === 'tagged') await this.#postgres.inspect();
    this.#life.start();
    const beating = this.#heart.run();
    await waitFor(this.#life, ({ status }) => status === 'done', { timeout: Infinity });
    this.#heart.stop();
    await beating;
    // The last word, best effort: that PostgreSQL is stopped, and where its WAL ends.
    await this.#heart.beat();
    this.#options.control.close();
  }

  /** To be called once or more often; once is enough. */
  terminate(): void {
    if (this.#life.getSnapshot().status === 'active') this.#life.send({ type: 'TERMINATE' });
  }

  health(): Health {
    return {
      report: this.#state.picture(this.#postgres.report),
      task: this.#state.values.assignment?.task ?? null,
      contactAgeMs: this.#heart.contactAgeMs,
      heartAgeMs: this.#heart.ageMs,
    };
  }

  #accept({ assignment }: ControlAnswer): number {
    const { log, identity } = this.#options;
    const before = this.#state.values.assignment;
    const because = disobedience(assignment, before, identity);
    if (because !== null) {
      log.warn('Assignment ignored', { because });
      return assignment.reportEveryMs;
    }
    const { task, term, leaderEpoch, reportEveryMs } = assignment;
    this.#postgres.pollEveryMs = reportEveryMs < URGENT_REPORT_MS ? URGENT_POLL_MS : reportEveryMs;
    this.#state.assign(assignment);
    if (before !== null && isSameWork(before, assignment)) return reportEveryMs;
    log.info('Assignment', { term, leaderEpoch, task });
    this.#life.send({ type: 'ASSIGNED' });
    this.#changed();
    return reportEveryMs;
  }

  /** Something may be different: look again, and report it when it is of note. */
  #changed(): void {
    const picture = this.#noteworthy(this.#state.picture(this.#postgres.report));
    const isDifferent = picture !== this.#pictured;
    this.#pictured = picture;
    if (isDifferent) this.#heart.beatNow();
    if (this.#life.getSnapshot().status === 'active') this.#life.send({ type: 'LOOK' });
  }

  /** Positions move all the time; they are of note only while a change of role waits for them. */
  #noteworthy(picture: Omit<Report, 'sequence'>): string {
    const { postgres } = picture;
    const isUrgent = (this.#state.values.assignment?.reportEveryMs ?? Infinity) < URGENT_REPORT_MS;
    const positions: readonly string[] = isUrgent
      ? ['lsn', 'sentLsn']
      : ['lsn', 'sentLsn', 'flushedLsn', 'replayedLsn', 'receivedLsn'];
    const hide = (name: string, value: unknown): unknown =>
      positions.includes(name) ? undefined : value;
    return JSON.stringify({ ...picture, postgres }, hide);
  }

  #lifePorts(): LifePorts {
    return {
      decide: (heldBack) => nextAction(this.#state.facts(this.#postgres), heldBack),
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

  async #perform(action: Action, signal: AbortSignal): Promise<void> {
    const { log, environment, secrets, machine } = this.#options;
    const beganAtMs = performance.now();
    const fields = { action: action.kind };
    const durationMs = (): number => Math.round(performance.now() - beganAtMs);
    log.info('Action begins', fields);
    try {
      const postgres = this.#postgres;
      const state = this.#state;
      await perform({ environment, secrets, machine, postgres, state }, action, signal);
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
    const { stopGraceMs } = this.#options.environment;
    await this.#postgres.stop({
      fastMs: Math.max(stopGraceMs - ESCALATION_MS, FAST_MIN_MS),
      immediateMs: IMMEDIATE_MS,
    });
  }
}

/** Another pace of reports alone is no other work. */
function isSameWork(a: Assignment, b: Assignment): boolean {
  const withoutPace = (assignment: Assignment): string =>
    JSON.stringify({ ...assignment, reportEveryMs: 0 });
  return withoutPace(a) === withoutPace(b);
}
