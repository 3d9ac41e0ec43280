/**
 * Who leads among the operators. The leader renews a record in Swarm's Raft store; followers watch
 * it change. Only durations on one machine's own monotonic clock are ever compared.
 *
 * Invariant: two operators never both believe that they lead. A leader believes it for
 * `leaseMs` from the *start* of its last successful renewal. A follower reads that renewal after it
 * was written, so after it was started, and waits longer than `leaseMs` from there; its own write
 * is a compare-and-set, and fails if the leader renewed in the meantime.
 */

/** The record `pgswarm.leader`. */
export interface LeaderRecord {
  /** Id of the operator that leads: one per start of the program, so that a restart is somebody else. */
  readonly holder: string;
  /** `host:port` of its API on the control network. */
  readonly address: string;
  /** +1 at every renewal. */
  readonly counter: number;
  /** +1 whenever somebody takes over. */
  readonly epoch: number;
  /** The holder has stopped acting: nobody needs to wait. */
  readonly released: boolean;
  /** Released for the operator on this node; the others wait a moment for it. null: for anybody. */
  readonly handedTo: string | null;
}

/** What an operator writes about itself when it takes over. */
export type Self = Pick<LeaderRecord, 'holder' | 'address'> & { readonly node: string };

export interface LeadershipTiming {
  /** Time between the starts of two renewals. */
  readonly renewEveryMs: number;
  /** Time between two looks of a follower. */
  readonly lookEveryMs: number;
  /** How long a leader leads after the start of its last successful renewal. */
  readonly leaseMs: number;
  /** What two clocks may differ by over one lease, and more: clocks drift by far less than 1 %. */
  readonly driftMs: number;
  /** After this long without an answer of the store, a call has failed. */
  readonly callTimeoutMs: number;
  /** For so long nobody but the operator that it was handed to takes a released leadership. */
  readonly handOverMs: number;
}

/** Two renewals may fail before the third comes too late. */
export const LEADERSHIP_TIMING: LeadershipTiming = {
  renewEveryMs: 2_000,
  lookEveryMs: 500,
  leaseMs: 6_000,
  driftMs: 500,
  callTimeoutMs: 1_900,
  handOverMs: 2_000,
};

/** What one operator knows. Times are its own monotonic clock's. */
export interface LeadershipView {
  readonly self: Pick<Self, 'holder' | 'node'>;
  /** The newest record that it has read or written; null when there is none. */
  readonly record: LeaderRecord | null;
  /** When it had first read a record with this epoch and counter. */
  readonly firstSeenMs: number;
  /** Its own reign; null when it does not lead. */
  readonly reign: Reign | null;
  /** Until when leases of its own last reign may run: it may have been given up early. */
  readonly ownLeasesEndMs: number;
  readonly nowMs: number;
}

export interface Reign {
  readonly epoch: number;
  /** Start of the last successful renewal. */
  readonly renewedAtMs: number;
}

export type LeadershipMove =
  /** Leads: write the counter + 1. */
  | { readonly kind: 'renew' }
  /** Another one leads, or did until a moment ago. */
  | { readonly kind: 'follow' }
  /** Write the own name with the epoch + 1. */
  | {
      readonly kind: 'takeOver';
      readonly because: string;
      /**
       * No lease that the predecessor has granted to a primary is running any more: none is longer
       * than what is left of its grantor's reign. Not so when the reign was given up early.
       */
      readonly areLeasesOver: boolean;
    }
  /** Stop acting now. */
  | { readonly kind: 'standDown'; readonly because: string };

export function decideLeadership(view: LeadershipView, timing = LEADERSHIP_TIMING): LeadershipMove {
  const { self, record, reign, nowMs } = view;
  if (reign !== null) {
    if (leadershipLeftMs(reign, nowMs, timing) <= 0) {
      return {
        kind: 'standDown',
        because: `The last successful renewal was started more than ${timing.leaseMs} ms ago.`,
      };
    }
    if (record === null) return { kind: 'standDown', because: 'The leader record was removed.' };
    if (record.holder !== self.holder || record.epoch !== reign.epoch) {
      return { kind: 'standDown', because: `${record.holder} has taken over.` };
    }
    return { kind: 'renew' };
  }
  const takeOver = (because: string, areLeasesOver: boolean): LeadershipMove => ({
    kind: 'takeOver',
    because,
    areLeasesOver,
  });
  if (record === null) return takeOver('There is no leader record yet.', false);
  const silentMs = nowMs - view.firstSeenMs;
  if (record.released) {
    const isForOther = record.handedTo !== null && record.handedTo !== self.node;
    if (isForOther && silentMs < timing.handOverMs) return { kind: 'follow' };
    return takeOver(`${record.holder} has released it.`, false);
  }
  // Our own name from an earlier reign: nobody has taken over, and we have stood down ourselves.
  if (record.holder === self.holder) {
    return takeOver('Nobody else has taken over.', nowMs >= view.ownLeasesEndMs);
  }
  if (silentMs < timing.leaseMs + timing.driftMs) return { kind: 'follow' };
  return takeOver(`${record.holder} has not renewed for ${silentMs} ms.`, true);
}

/** How long a reign lasts if nothing renews it; 0 or less when it is over. */
export function leadershipLeftMs(
  reign: Reign,
  nowMs: number,
  timing: LeadershipTiming = LEADERSHIP_TIMING,
): number {
  return reign.renewedAtMs + timing.leaseMs - nowMs;
}

/** The record that a renewal writes. */
export const renewed = (record: LeaderRecord): LeaderRecord => ({
  ...record,
  counter: record.counter + 1,
});

/** The record that a take-over writes. */
export function takenOver(record: LeaderRecord | null, { holder, address }: Self): LeaderRecord {
  const epoch = (record?.epoch ?? 0) + 1;
  return { holder, address, counter: 0, epoch, released: false, handedTo: null };
}

/** The record that a leader leaves behind when it stops by itself, for one node or for anybody. */
export const released = (record: LeaderRecord, handedTo: string | null = null): LeaderRecord => ({
  ...renewed(record),
  released: true,
  handedTo,
});
