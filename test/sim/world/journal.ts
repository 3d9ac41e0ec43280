/** What happens in the world, as its judges see it: true times, and the truth. */
import { type Decision } from '../../../src/core/decide';
import { type Report } from '../../../src/core/protocol';
import { type Situation } from '../../../src/core/situation';
import { type SpecRecord } from '../../../src/core/spec';
import { type ClusterState } from '../../../src/core/state';
import { type Position } from './wal';

export type Happening =
  /** A PostgreSQL began, or ceased, to accept writes. */
  | { readonly kind: 'writable' | 'not-writable'; readonly server: string }
  /** A client was told that its write is durable. */
  | {
      readonly kind: 'acknowledged';
      readonly server: string;
      readonly at: Position;
      /** The client waited for other servers. */
      readonly isSynchronous: boolean;
    }
  /** A standby becomes primary: its WAL up to here is all there is from now on. */
  | { readonly kind: 'promoted'; readonly server: string; readonly from: Position }
  /** WAL of another history was written after its own: nothing has noticed that they had parted. */
  | {
      readonly kind: 'corrupted';
      readonly server: string;
      readonly had: Position;
      readonly got: Position;
    }
  /** WAL that only this data directory may have held is gone from it. */
  | {
      readonly kind: 'discarded';
      readonly server: string;
      readonly had: Position;
      readonly has: Position | null;
    }
  | {
      readonly kind: 'state';
      readonly before: ClusterState | null;
      readonly after: ClusterState;
    }
  | { readonly kind: 'spec'; readonly record: SpecRecord }
  /** An instance has looked at itself. */
  | { readonly kind: 'reported'; readonly report: Report }
  | {
      readonly kind: 'decided';
      readonly node: string;
      readonly situation: Situation;
      readonly decision: Decision;
    }
  | { readonly kind: 'frozen' | 'thawed'; readonly server: string };

export type Listener = (happening: Happening, atMs: number) => void;

/** What there is to know about a server in this moment. */
export interface ServerTruth {
  readonly name: string;
  /** Its processes could tell a client right now that a write is durable. */
  readonly canAcknowledge: boolean;
  readonly end: Position | null;
  /** Every process of the container stands still, or did until then. */
  readonly isFrozen: boolean;
  readonly thawedAtMs: number;
}
