/**
 * A model of one server's PostgreSQL: what is on its disk, and what runs. Clients write all the
 * time to whoever accepts; every acknowledgement is a happening.
 */
import { type SyncSet, type Upstream } from '../../../src/core/protocol';
import { type Network } from '../kernel/network';
import { type SimProcess } from '../kernel/process';
import { type Random } from '../kernel/random';
import { type Happening } from './journal';
import { Receiver, type Sender } from './streaming';
import { after, branchAt, contains, FIRST_LSN, streamRefusal, type Position } from './wal';

/** The data directory. */
export interface Data {
  /** Everything before is on disk, whatever happens. */
  end: Position;
  /** In PostgreSQL's words, as `pg_controldata` shows it. */
  clusterState: string;
  checkpointLsn: number;
  /** `standby.signal` is there. */
  isStandby: boolean;
  upstream: Upstream | null;
  sync: SyncSet | null;
  /** In its configuration file. */
  parameters?: Readonly<Record<string, string>>;
  readonly slots: Set<string>;
  /** A rewound copy can be used from here on only; null for every other. */
  consistentFrom: Position | null;
}

/** How this server's machine behaves; faults change it. */
export interface Temper {
  /** Time that a fast stop takes. */
  stopMs: number;
  /** SIGINT and SIGQUIT have no effect: only SIGKILL ends it. */
  isStuck: boolean;
  recoveryMs: number;
  /** The standby's disk is so slow. */
  flushMs: number;
  /** Nothing can be written, so that it does not start either. */
  isDiskFull: boolean;
}

export interface PostgresWorld {
  readonly network: Network;
  readonly random: Random;
  /** By the name under which it is found on the network. */
  readonly find: (server: string) => Postgres | null;
  readonly happen: (happening: Happening) => void;
  readonly trace: (who: string, text: () => string) => void;
}

/** The processes of one start. */
interface Run {
  readonly process: SimProcess;
  phase: 'starting' | 'running' | 'stopping';
  role: 'primary' | 'standby';
  /** The postmaster is gone, its backends are not yet. */
  isOrphaned: boolean;
  sync: SyncSet | null;
  /** What some of its processes still go by; undefined once all have reloaded. */
  formerSync: SyncSet | null | undefined;
  /** Commits that wait for a standby. */
  readonly waiting: Position[];
  readonly senders: Map<string, Sender>;
  readonly receiver: Receiver;
  readonly onReady: (() => void)[];
  readonly onExit: (() => void)[];
}

const SOUND: Temper = {
  stopMs: 60,
  isStuck: false,
  recoveryMs: 150,
  flushMs: 0.3,
  isDiskFull: false,
};

/** Time between two writes of the clients. */
const WRITE_MS = { min: 40, max: 160 };
const READY_STANDBY_MS = { min: 40, max: 120 };
const PROMOTE_MS = { min: 10, max: 60 };
/** Until the last process has read its configuration again. */
const RELOAD_MS = { min: 1, max: 150 };
const QUIT_MS = { min: 5, max: 80 };
const KILL_MS = { min: 1, max: 60 };
/** Backends end when they notice that the postmaster is gone; a busy one finishes its command. */
const ORPHANS_MS = { min: 0, max: 400 };
/** A fast stop waits for the standbys that are connected, up to `wal_sender_timeout`. */
const SHUTDOWN_WAIT_MS = 3_000;
const SHUTDOWN_POLL_MS = 10;

export class Postgres {
  /** Of the last start; each of those that are simulated takes one. */
  startedWith: Readonly<Record<string, string>> = {};
  readonly server: string;
  readonly host: string;
  readonly temper: Temper = { ...SOUND };
  readonly #world: PostgresWorld;
  data: Data | null = null;
  #run: Run | null = null;

  constructor(server: string, host: string, world: PostgresWorld) {
    this.server = server;
    this.host = host;
    this.#world = world;
  }

  get phase(): 'stopped' | Run['phase'] {
    if (this.#run === null || this.#run.isOrphaned) return 'stopped';
    return this.#run.phase;
  }

  get role(): 'primary' | 'standby' {
    return this.#run?.role ?? 'standby';
  }

  get process(): SimProcess | null {
    return this.#run?.process ?? null;
  }

  get receiver(): Receiver | null {
    return this.#run?.receiver ?? null;
  }

  get senders(): readonly Sender[] {
    return [...(this.#run?.senders.values() ?? [])];
  }

  get syncNames(): SyncSet | null {
    return this.#run?.sync ?? null;
  }

  get isSyncInForce(): boolean {
    return this.#run?.formerSync === undefined;
  }

  get isWritable(): boolean {
    return this.#run?.phase === 'running' && this.#run.role === 'primary';
  }

  get end(): Position {
    if (this.data === null) throw new Error(`${this.server} has no data`);
    return this.data.end;
  }

  // ── life ─────────────────────────────────────────────────────────────────────────────────

  initialise(systemIdentifier: string): void {
    const branch = { systemIdentifier, timeline: 1, fork: null };
    this.data = {
      end: { branch, lsn: FIRST_LSN },
      clusterState: 'shut down',
      checkpointLsn: FIRST_LSN,
      isStandby: false,
      upstream: null,
      sync: null,
      slots: new Set(),
      consistentFrom: null,
    };
  }

  /** The processes are those of `process`; `onReady` when connections are accepted. */
  start(process: SimProcess, onReady: () => void, onExit: () => void): void {
    const { data } = this;
    if (data === null || this.#run !== null) throw new Error(`${this.server} cannot be started`);
    const { random } = this.#world;
    const role = data.isStandby ? 'standby' : 'primary';
    const receiver = new Receiver(this, process, this.#world);
    this.startedWith = data.parameters ?? {};
    this.#run = {
      process,
      phase: 'starting',
      role,
      isOrphaned: false,
      sync: data.sync,
      formerSync: undefined,
      waiting: [],
      senders: new Map(),
      receiver,
      onReady: [onReady],
      onExit: [onExit],
    };
    this.#note(() => `starts as ${role}`);
    const crashed = data.clusterState === 'in production';
    const readyMs = random.between(READY_STANDBY_MS.min, READY_STANDBY_MS.max);
    if (this.temper.isDiskFull) {
      process.after(readyMs, () => this.#exit('No space left on device'));
      return;
    }
    data.clusterState = role === 'primary' ? 'in production' : 'in archive recovery';
    if (role === 'standby') receiver.begin();
    process.after(readyMs + (crashed ? this.temper.recoveryMs : 0), () => this.#ready());
  }

  #ready(): void {
    const run = this.#run;
    const { data } = this;
    if (run?.phase !== 'starting' || data === null) return;
    if (data.consistentFrom !== null && !contains(data.end, data.consistentFrom)) {
      run.process.after(50, () => this.#ready());
      return;
    }
    data.consistentFrom = null;
    run.phase = 'running';
    this.#note(() => `accepts connections as ${run.role}`);
    if (run.role === 'primary') this.#beginWriting(run);
    for (const tell of run.onReady.splice(0)) tell();
  }

  /** Ends recovery; `onDone` when writes are accepted. */
  promote(onDone: () => void): void {
    const run = this.#run;
    if (run?.phase !== 'running' || run.role !== 'standby') return;
    run.receiver.end();
    const { min, max } = PROMOTE_MS;
    run.process.after(this.#world.random.between(min, max), () => {
      const { data } = this;
      if (run !== this.#run || run.phase !== 'running' || data === null) return;
      this.#world.happen({ kind: 'promoted', server: this.server, from: data.end });
      const next = branchAt(data.end);
      data.end = after({ branch: next, lsn: data.end.lsn });
      data.isStandby = false;
      data.clusterState = 'in production';
      run.role = 'primary';
      this.#note(() => `is promoted to timeline ${next.timeline}`);
      this.#beginWriting(run);
      this.#pump(run);
      onDone();
    });
  }

  /** SIGINT: no new connections, what is under way is rolled back, a last checkpoint. */
  stopFast(): void {
    const run = this.#run;
    if (run === null || this.temper.isStuck || run.phase === 'stopping') return;
    const wasRunning = run.phase === 'running';
    this.#stopWriting(run);
    run.phase = 'stopping';
    run.receiver.end();
    this.#note(() => 'stops fast');
    run.process.after(this.temper.stopMs, () => {
      const { data } = this;
      if (run !== this.#run || data === null) return;
      if (run.role === 'primary' && wasRunning) {
        data.checkpointLsn = data.end.lsn;
        data.end = after(data.end);
        this.#pump(run);
      }
      this.#awaitStandbys(run, wasRunning, SHUTDOWN_WAIT_MS);
    });
  }

  #awaitStandbys(run: Run, wasRunning: boolean, leftMs: number): void {
    if (run !== this.#run || this.data === null) return;
    const isBehind = [...run.senders.values()].some(({ flushed }) => !contains(flushed, this.end));
    if (isBehind && leftMs > 0) {
      const again = (): void => this.#awaitStandbys(run, wasRunning, leftMs - SHUTDOWN_POLL_MS);
      run.process.after(SHUTDOWN_POLL_MS, again);
      return;
    }
    if (wasRunning) {
      this.data.clusterState = run.role === 'primary' ? 'shut down' : 'shut down in recovery';
    }
    this.#exit('it was told to stop');
  }

  /** SIGQUIT: the backends leave at once, a crash recovery follows. */
  quit(): void {
    const run = this.#run;
    if (run === null || this.temper.isStuck) return;
    this.#endWithin(run, QUIT_MS, 'SIGQUIT');
  }

  /** SIGKILL to every process. */
  kill(because: string): void {
    if (this.#run !== null) this.#endWithin(this.#run, KILL_MS, because);
  }

  /** SIGKILL to the postmaster alone: the backends live on for a moment. */
  killPostmaster(): void {
    const run = this.#run;
    if (run === null || run.isOrphaned) return;
    run.isOrphaned = true;
    this.#note(() => 'the postmaster is killed');
    for (const tell of run.onExit.splice(0)) tell();
    this.#endWithin(run, ORPHANS_MS, 'its postmaster is gone');
  }

  /** Nothing of it is left, from one moment to the next: the container or the machine is gone. */
  vanish(): void {
    if (this.#run !== null) this.#exit('its container is gone');
  }

  #endWithin(run: Run, { min, max }: typeof KILL_MS, because: string): void {
    run.process.after(this.#world.random.between(min, max), () => {
      if (run === this.#run) this.#exit(because);
    });
  }

  #exit(because: string): void {
    const run = this.#run;
    if (run === null) return;
    this.#note(() => `ends: ${because}`);
    this.#stopWriting(run);
    this.#run = null;
    run.receiver.end();
    for (const sender of run.senders.values()) sender.close();
    run.process.kill();
    for (const tell of run.onExit.splice(0)) tell();
  }

  // ── writes ───────────────────────────────────────────────────────────────────────────────

  #beginWriting(run: Run): void {
    this.#world.happen({ kind: 'writable', server: this.server });
    this.#writeLater(run);
  }

  #stopWriting(run: Run): void {
    const wasWritable = run === this.#run && this.isWritable;
    // Their clients are told nothing: the connection breaks.
    run.waiting.length = 0;
    if (wasWritable) {
      run.phase = 'stopping';
      this.#world.happen({ kind: 'not-writable', server: this.server });
    }
  }

  #writeLater(run: Run): void {
    run.process.after(this.#world.random.between(WRITE_MS.min, WRITE_MS.max), () => {
      if (run !== this.#run || !this.isWritable || this.data === null) return;
      if (!this.temper.isDiskFull) this.#write(run, this.data);
      this.#writeLater(run);
    });
  }

  #write(run: Run, data: Data): void {
    data.end = after(data.end);
    run.waiting.push(data.end);
    this.release();
    this.#pump(run);
  }

  #acknowledge(at: Position, isSynchronous: boolean): void {
    this.#world.happen({ kind: 'acknowledged', server: this.server, at, isSynchronous });
  }

  /** Commits that have enough standbys now. */
  release(): void {
    const run = this.#run;
    if (run === null || !this.isWritable) return;
    while (run.waiting[0] !== undefined && this.#isConfirmed(run, run.waiting[0])) {
      this.#acknowledge(run.waiting[0], run.sync !== null);
      run.waiting.shift();
    }
  }

  #isConfirmed({ sync, formerSync, senders }: Run, at: Position): boolean {
    // The processes reload one by one, and their rules mix (core/sync).
    const rules = formerSync === undefined ? [sync] : [sync, formerSync];
    if (rules.includes(null)) return true;
    const names = new Set(rules.flatMap((rule) => rule?.names ?? []));
    const confirmed = [...names].filter((name) => {
      const sender = senders.get(name);
      return sender !== undefined && contains(sender.flushed, at);
    });
    return confirmed.length >= Math.min(...rules.map((rule) => rule?.number ?? 0));
  }

  /** SIGHUP: the files in the data directory are read again. */
  reload(): void {
    const run = this.#run;
    if (run === null || this.data === null) return;
    const { sync } = this.data;
    if (JSON.stringify(sync) !== JSON.stringify(run.sync)) {
      run.formerSync = run.sync;
      run.sync = sync;
      run.process.after(this.#world.random.between(RELOAD_MS.min, RELOAD_MS.max), () => {
        run.formerSync = undefined;
        this.release();
      });
    }
    this.release();
    run.receiver.follow();
  }

  // ── streaming ────────────────────────────────────────────────────────────────────────────

  /** Why this server cannot stream from here; null when it can. */
  refusal(downstream: Postgres): string | null {
    const run = this.#run;
    if (run === null || run.isOrphaned || run.phase !== 'running') return 'Connection refused';
    return streamRefusal(this.end, downstream.end);
  }

  attach(sender: Sender): void {
    this.#run?.senders.get(sender.name)?.close();
    this.#run?.senders.set(sender.name, sender);
    sender.pump();
  }

  detach(sender: Sender): void {
    if (this.#run?.senders.get(sender.name) === sender) this.#run.senders.delete(sender.name);
  }

  /** WAL that a standby has received, on its disk. */
  receive(to: Position): void {
    const run = this.#run;
    if (run === null || this.data === null) return;
    if (!contains(to, this.data.end)) {
      this.#world.happen({ kind: 'corrupted', server: this.server, had: this.data.end, got: to });
    }
    this.data.end = to;
    // Standbys of this standby.
    this.#pump(run);
  }

  #pump({ senders }: Run): void {
    for (const sender of senders.values()) sender.pump();
  }

  #note(text: () => string): void {
    this.#world.trace(`postgres@${this.server}`, text);
  }
}
