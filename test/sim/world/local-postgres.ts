/** What the instance manager sees of the model, and does to it: the place of `LocalPostgres`. */
import { setTimeout as pause } from 'node:timers/promises';
import { OperatingError } from '../../../src/core/errors';
import { type PostgresReport, type Problem } from '../../../src/core/protocol';
import { renderSyncNames } from '../../../src/core/sync';
import { type RareFacts } from '../../../src/adapters/postgres/observe';
import { type FenceTimes, type StopLimits } from '../../../src/instance/local-postgres';
import { type PostgresPort } from '../../../src/instance/ports';
import { slotName } from '../../../src/core/names';
import { type SimProcess } from '../kernel/process';
import { type Postgres } from './postgres';
import { lsnText } from './wal';

type Running = Extract<PostgresReport, { state: 'primary' | 'standby' }>;
type Stopped = Extract<PostgresReport, { state: 'stopped' }>;

/** Whoever looks more often than this sees nothing new, and only costs time. */
const POLL_MIN_MS = 25;
const INSPECT_MS = 5;
const QUERY_MS = 1;
/** A standby that does not stream for so long has a reason worth telling. */
const STREAM_PROBLEM_MS = 2_000;

export class SimLocalPostgres implements PostgresPort {
  /** Nothing that is simulated needs a restart. */
  readonly hasSeenReload = true;
  readonly isOutOfReach = false;
  readonly #model: Postgres;
  readonly #newProcess: () => SimProcess;
  readonly #manager: SimProcess;
  readonly #onChange: () => void;
  #stopped: Stopped | null = { state: 'stopped', control: null, standbySignal: false };
  #observed: Running | null = null;
  #rare: RareFacts | null = null;
  #isStopping = false;
  #ended: Promise<void> | null = null;
  #mayWrite = false;
  #fences = 0;
  #fencesUnderWay = 0;
  #everyMs = 1_000;
  #notStreamingSinceMs: number | null = null;
  #wake: () => void = () => undefined;

  constructor(options: {
    readonly model: Postgres;
    readonly manager: SimProcess;
    readonly newProcess: () => SimProcess;
    readonly onChange: () => void;
  }) {
    this.#model = options.model;
    this.#manager = options.manager;
    this.#newProcess = options.newProcess;
    this.#onChange = options.onChange;
  }

  get report(): PostgresReport {
    if (this.#ended === null) return this.#stopped ?? { state: 'unknown' };
    if (this.#isStopping) return { state: 'stopping' };
    if (this.#model.phase === 'starting') return { state: 'starting', recoveryBytes: null };
    return this.#observed ?? { state: 'unknown' };
  }

  get rare(): RareFacts | null {
    return this.#observed === null ? null : this.#rare;
  }

  get streamProblem(): Problem | null {
    const failure = this.#model.receiver?.failure ?? null;
    const sinceMs = this.#notStreamingSinceMs;
    if (failure === null || sinceMs === null) return null;
    if (performance.now() - sinceMs < STREAM_PROBLEM_MS) return null;
    const isDiverged = /history|ahead/.test(failure);
    return { reason: isDiverged ? 'TimelineDiverged' : 'UpstreamUnreachable', message: failure };
  }

  readonly isSecluded = false;

  get mayWrite(): boolean {
    return this.#mayWrite;
  }

  set pollEveryMs(value: number) {
    this.#everyMs = Math.max(POLL_MIN_MS, value);
    this.#wake();
  }

  async inspect(): Promise<void> {
    this.#stopped = null;
    await pause(INSPECT_MS);
    const { data } = this.#model;
    const control =
      data === null
        ? null
        : {
            systemIdentifier: data.end.branch.systemIdentifier,
            timeline: data.end.branch.timeline,
            clusterState: data.clusterState,
            checkpointLsn: lsnText(data.checkpointLsn),
            endLsn: lsnText(data.end.lsn),
          };
    this.#stopped = { state: 'stopped', control, standbySignal: data?.isStandby ?? false };
    this.#onChange();
  }

  async observe(): Promise<void> {
    await pause(QUERY_MS);
    this.#look();
  }

  async start(signal: AbortSignal): Promise<void> {
    const fences = this.#fences;
    await pause(INSPECT_MS, undefined, { signal });
    if (this.#model.process !== null) this.#model.kill('left over');
    while (this.#model.process !== null) await pause(QUERY_MS, undefined, { signal });
    signal.throwIfAborted();
    this.#throwIfFencedSince(fences);
    if (this.#model.data?.isStandby === false) this.#setMayWrite(true);
    this.#isStopping = false;
    const ready = new Promise<void>((resolve) => {
      this.#ended = new Promise((ended) => {
        const process = this.#newProcess();
        this.#model.start(
          process,
          () => this.#manager.after(1, resolve),
          () => this.#manager.after(1, () => void this.#end().then(ended)),
        );
      });
    });
    this.#onChange();
    const aborted = new Promise<void>((resolve) =>
      signal.addEventListener('abort', () => resolve(), { once: true }),
    );
    await Promise.race([ready.then(() => this.#begin()), this.#ended, aborted]);
    signal.throwIfAborted();
    this.#throwIfFencedSince(fences);
    if (this.#ended === null) throw new OperatingError('transient', 'StartFailed', 'it has ended');
  }

  async promote(): Promise<void> {
    const fences = this.#fences;
    this.#throwIfFencedSince(fences);
    if (this.#ended === null) throw new OperatingError('transient', 'NotRunning', 'it is stopped');
    this.#setMayWrite(true);
    this.#throwIfFencedSince(fences);
    const done = new Promise<void>((resolve) =>
      this.#model.promote(() => this.#manager.after(1, resolve)),
    );
    await Promise.race([done, this.#ended]);
    this.#throwIfFencedSince(fences);
    this.#look();
  }

  async reload(): Promise<void> {
    await pause(QUERY_MS);
    this.#model.reload();
  }

  async stop({ fastMs, immediateMs }: StopLimits): Promise<void> {
    const nowMs = performance.now();
    await this.#stopBy(nowMs + fastMs, nowMs + fastMs + immediateMs);
  }

  async fence({ quitAtMs, killAtMs }: FenceTimes): Promise<void> {
    this.#fences += 1;
    this.#fencesUnderWay += 1;
    try {
      if (this.#ended === null) this.#model.kill('left over');
      await this.#stopBy(quitAtMs, killAtMs);
    } finally {
      this.#fencesUnderWay -= 1;
    }
  }

  async #stopBy(quitAtMs: number, killAtMs: number): Promise<void> {
    const ended = this.#ended;
    if (ended === null) return;
    const wasStopping = this.#isStopping;
    this.#isStopping = true;
    const steps: readonly (readonly [() => void, number])[] = [
      [() => this.#model.stopFast(), quitAtMs],
      [() => this.#model.quit(), killAtMs],
    ];
    // Whoever is told may ask for the same again.
    if (!wasStopping) this.#onChange();
    for (const [step, untilMs] of steps) {
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0) continue;
      step();
      if (await this.#endsWithin(ended, leftMs)) return;
    }
    this.#model.kill('it does not stop in time');
    await ended;
  }

  async #endsWithin(ended: Promise<void>, milliseconds: number): Promise<boolean> {
    const timer = new AbortController();
    const late = pause(milliseconds, false, { signal: timer.signal }).catch(() => false);
    const hasEnded = await Promise.race([ended.then(() => true), late]);
    timer.abort();
    return hasEnded;
  }

  async #end(): Promise<void> {
    // Backends may be left where the postmaster alone was killed.
    this.#model.kill('its postmaster is gone');
    while (this.#model.process !== null) await pause(QUERY_MS);
    this.#observed = null;
    this.#wake();
    this.#isStopping = true;
    await this.inspect();
    this.#ended = null;
    this.#mayWrite = false;
    this.#onChange();
  }

  #begin(): void {
    this.#look();
    const ended = this.#ended;
    const again = async (): Promise<void> => {
      while (this.#ended === ended && ended !== null) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, this.#everyMs);
          this.#wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        if (this.#ended === ended) this.#look();
      }
    };
    void again();
  }

  #look(): void {
    const { data, process } = this.#model;
    const isThere = data !== null && process !== null && this.#model.phase === 'running';
    this.#observed = isThere ? this.#running() : null;
    const isStreaming = this.#model.receiver?.isStreaming === true;
    if (isStreaming) this.#notStreamingSinceMs = null;
    else this.#notStreamingSinceMs ??= performance.now();
    this.#rare = {
      pendingRestart: this.#pending(),
      slots: [...(data?.slots ?? [])].map((name) => ({
        name,
        active: this.#model.senders.some((sender) => slotName(sender.name) === name),
        lost: false,
        restartLsn: null,
      })),
    };
    if (this.#observed?.state === 'primary') this.#mayWrite = true;
    this.#onChange();
  }

  /** Each of the simulated parameters takes a restart. */
  #pending(): readonly string[] {
    const { data, startedWith } = this.#model;
    const told = data?.parameters ?? {};
    const isNew = (name: string): boolean => told[name] !== startedWith[name];
    return Object.keys({ ...told, ...startedWith }).filter(isNew);
  }

  #running(): Running {
    const { end, receiver, senders, isSyncInForce } = this.#model;
    const { systemIdentifier, timeline } = end.branch;
    const both = { systemIdentifier, timeline, pendingRestart: this.#pending() };
    const lsn = lsnText(end.lsn);
    if (this.#model.role === 'primary') {
      const standbys = senders.map(({ name, sent, flushed }) => ({
        server: name,
        state: 'streaming' as const,
        sentLsn: lsnText(sent.lsn),
        flushedLsn: lsnText(flushed.lsn),
        replayedLsn: lsnText(flushed.lsn),
      }));
      const syncNames = renderSyncNames(this.#model.syncNames);
      return { state: 'primary', ...both, lsn, standbys, syncNames, isSyncInForce };
    }
    const upstreamLsn = receiver?.upstreamEnd == null ? null : lsnText(receiver.upstreamEnd.lsn);
    const host = this.#model.data?.upstream?.host ?? '';
    return {
      state: 'standby',
      ...both,
      receivedLsn: lsn,
      replayedLsn: lsn,
      upstreamLsn,
      receiver: receiver?.isStreaming === true ? { status: 'streaming', host } : null,
    };
  }

  #throwIfFencedSince(fences: number): void {
    if (fences === this.#fences && this.#fencesUnderWay === 0) return;
    throw new OperatingError('stale', 'Fenced', 'PostgreSQL was fenced');
  }

  #setMayWrite(mayWrite: boolean): void {
    if (mayWrite === this.#mayWrite) return;
    this.#mayWrite = mayWrite;
    this.#onChange();
  }
}
