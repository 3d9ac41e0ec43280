/**
 * How long this instance may go on as primary, and what happens when that ends. The leader grants
 * leases, the peers give promises; both move one deadline, which is counted from the moment in
 * which they were asked. While PostgreSQL may write the deadline is guarded twice: here, by an
 * orderly stop that escalates, and by the guard, which needs nothing of this process.
 */
import { type Log } from '../adapters/log';
import { leaseTimes } from '../core/lease';
import { type Assignment, type Contract, type HeartbeatAnswer } from '../core/protocol';
import { type Guard } from './guard';
import { type Identity } from './local-state';
import { type PeersPort, type PostgresPort } from './ports';

export interface TenurePorts {
  readonly identity: Identity;
  readonly postgres: Pick<PostgresPort, 'mayWrite' | 'fence'>;
  readonly guard: Guard;
  readonly peers: PeersPort;
  readonly log: Log;
  /** What may be done has become different. */
  readonly onChange: () => void;
}

/** A leader that has not answered for this long is given up for the moment: the peers are asked. */
const SILENCE_MS = 1500;
/** So long before the fence they are asked in any case: a leader may only grant what it has left. */
const ASK_BEFORE_MS = 700;
/** After a refusal the peers are asked again so soon: one of them may only have been restarting. */
const ASK_AGAIN_MS = 300;
/** The guard acts a moment after the instance manager would have: only when that hangs. */
const GUARD_AFTER_MS = 50;
/** A guard that has ended is started again at once; without one no primary goes on for longer. */
const GUARDLESS_MS = 2000;
/** A start or a promotion must have this long before a fence would interrupt it again. */
const START_ROOM_MS = 500;

type Outlook = 'unlimited' | 'granted' | 'over';

export class Tenure {
  readonly #ports: TenurePorts;
  /** What this instance was last told as primary; null while it never was. */
  #told: { readonly term: number; readonly contract: Contract | null } | null = null;
  #isPrimary = false;
  #deadlineMs = -Infinity;
  #timer: NodeJS.Timeout | null = null;
  #nextAskMs = 0;
  #isAsking = false;
  /** The deadline was last moved by promises. */
  #isFailsafe = false;
  #guardLostAtMs: number | null = null;
  #isFencing = false;
  #outlook: Outlook = 'over';

  constructor(ports: TenurePorts) {
    this.#ports = ports;
  }

  /** An answer of the leader to a report that was sent at `sentAtMs`. */
  answered({ assignment, leaseMs }: HeartbeatAnswer, sentAtMs: number): void {
    const { task, term } = assignment;
    this.#isPrimary = task.kind === 'primary';
    if (task.kind === 'primary') this.#tell(term, task.contract);
    // A primary that is stopped in order for a switchover has a lease, too: it may take its time.
    if (leaseMs !== null && this.#told?.term === term) {
      this.#extend(sentAtMs, leaseMs);
      this.#isFailsafe = false;
    }
    this.refresh();
  }

  /** Whether PostgreSQL may be started as primary, or promoted, now. */
  get mayBegin(): boolean {
    if (!this.#isPrimary || this.#told === null || this.#isFencing) return false;
    if (this.#told.contract === null) return true;
    if (!this.#ports.guard.isAlive) return false;
    return performance.now() + START_ROOM_MS < this.#fenceAtMs(this.#told.contract);
  }

  /** Time until the deadline; null when there is none. */
  get leftMs(): number | null {
    return this.#contract === null ? null : Math.max(0, this.#deadlineMs - performance.now());
  }

  /** To be called when PostgreSQL began or ceased to be able to write. */
  refresh(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const contract = this.#contract;
    const { postgres, guard } = this.#ports;
    if (contract === null || !postgres.mayWrite) guard.release();
    else this.#watch(contract);
    this.#noteOutlook();
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#ports.guard.close();
  }

  #tell(term: number, contract: Contract | null): void {
    // A lease belongs to its term: what is left of an earlier one is worth nothing.
    const isNew =
      this.#told?.term !== term || (this.#told.contract === null) !== (contract === null);
    if (isNew) this.#deadlineMs = contract === null ? Infinity : -Infinity;
    this.#told = { term, contract };
    if (contract !== null) this.#ports.peers.prepare(contract.peers);
  }

  get #contract(): Contract | null {
    return this.#told?.contract ?? null;
  }

  /** Never shortened: what was granted stays granted. */
  #extend(askedAtMs: number, leaseMs: number): void {
    this.#deadlineMs = Math.max(this.#deadlineMs, askedAtMs + leaseMs);
    const contract = this.#contract;
    if (contract === null) return;
    this.#nextAskMs = Math.min(askedAtMs + SILENCE_MS, this.#fenceAtMs(contract) - ASK_BEFORE_MS);
  }

  #watch(contract: Contract): void {
    const { guard } = this.#ports;
    const { killAtMs } = this.#times(contract);
    guard.hold(killAtMs + GUARD_AFTER_MS);
    const nowMs = performance.now();
    this.#guardLostAtMs = guard.isAlive ? null : (this.#guardLostAtMs ?? nowMs);
    const guardlessMs =
      this.#guardLostAtMs === null ? Infinity : this.#guardLostAtMs + GUARDLESS_MS;
    const fenceAtMs = Math.min(this.#fenceAtMs(contract), guardlessMs);
    if (nowMs >= fenceAtMs) {
      this.#fence(contract);
      return;
    }
    if (this.#isPrimary && nowMs >= this.#nextAskMs) void this.#ask(contract);
    const nextMs = this.#isPrimary && !this.#isAsking ? this.#nextAskMs : Infinity;
    this.#timer = setTimeout(
      () => this.refresh(),
      Math.max(1, Math.min(nextMs, fenceAtMs) - nowMs),
    );
  }

  /** Moments of the fence on this process's clock. */
  #times({ ttlMs }: Contract): {
    readonly stopAtMs: number;
    readonly quitAtMs: number;
    readonly killAtMs: number;
  } {
    const beginMs = this.#deadlineMs - ttlMs;
    const { stopAtMs, quitAtMs, killAtMs } = leaseTimes(ttlMs);
    return {
      stopAtMs: beginMs + stopAtMs,
      quitAtMs: beginMs + quitAtMs,
      killAtMs: beginMs + killAtMs,
    };
  }

  #fenceAtMs(contract: Contract): number {
    return this.#times(contract).stopAtMs;
  }

  #fence(contract: Contract): void {
    if (this.#isFencing) return;
    this.#isFencing = true;
    const { log, postgres, guard, onChange } = this.#ports;
    const because = guard.isAlive
      ? 'neither a leader nor all peers have confirmed it in time'
      : 'its guard is gone';
    log.warn('The lease of the primary ends: PostgreSQL is stopped', { because });
    postgres.fence(this.#times(contract)).then(
      () => {
        log.info('PostgreSQL is fenced');
        this.#isFencing = false;
        this.refresh();
        onChange();
      },
      (error: unknown) => {
        // The guard is next; there is nothing milder left.
        log.error('The fence has failed', { error: String(error) });
        this.#isFencing = false;
      },
    );
  }

  async #ask(contract: Contract): Promise<void> {
    if (this.#isAsking || this.#isFencing || this.#told === null) return;
    this.#isAsking = true;
    const { peers, identity, log } = this.#ports;
    const { term } = this.#told;
    const askedAtMs = performance.now();
    this.#nextAskMs = askedAtMs + ASK_AGAIN_MS;
    const request = {
      cluster: identity.cluster,
      from: identity.server,
      term,
      forMs: contract.ttlMs,
    };
    try {
      const { promisedByAll, refusals } = await peers.askPeers(request, contract.peers);
      if (promisedByAll && this.#isPrimary && this.#told.term === term) {
        this.#extend(askedAtMs, contract.ttlMs);
        if (!this.#isFailsafe) {
          log.warn('No leader answers: going on while all peers promise to wait', {
            peers: contract.peers,
          });
        }
        this.#isFailsafe = true;
      } else {
        log.warn('No leader answers, and not every peer promises to wait', { refusals });
      }
    } catch (error) {
      log.warn('The peers could not be asked', { error: String(error) });
    } finally {
      this.#isAsking = false;
      this.refresh();
    }
  }

  #noteOutlook(): void {
    const outlook = this.#contract === null ? 'unlimited' : this.mayBegin ? 'granted' : 'over';
    if (outlook === this.#outlook) return;
    this.#outlook = outlook;
    this.#ports.onChange();
  }
}

/** The contract that an instance has understood, for its report. */
export const contractOf = ({ task }: Assignment): Contract | null =>
  task.kind === 'primary' ? task.contract : null;
