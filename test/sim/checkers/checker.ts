/** A judge of one invariant. It sees everything that happens, and knows the truth. */
import { type Spec } from '../../../src/core/spec';
import { type ClusterState } from '../../../src/core/state';
import { type Happening, type ServerTruth } from '../world/journal';

export interface Checker {
  readonly invariant: string;
  /** Says what is wrong; null while nothing is. */
  see(happening: Happening, atMs: number): string | null;
}

export interface Truth {
  servers(): readonly ServerTruth[];
  readonly state: ClusterState | null;
  readonly spec: Spec;
}
