/** S6: a paused cluster gets no steps. */
import { type ClusterState } from '../../../src/core/state';
import { type Happening } from '../world/journal';
import { type Checker } from './checker';

export class Paused implements Checker {
  readonly invariant = 'S6';

  see(happening: Happening): string | null {
    if (happening.kind === 'decided') {
      const { situation, decision } = happening;
      if (situation.state?.paused == null || decision.steps.length === 0) return null;
      return `${decision.rule} has steps although the cluster is paused`;
    }
    if (happening.kind !== 'state') return null;
    const { before, after } = happening;
    if (before?.paused == null || after.paused === null) return null;
    return roleOf(before) === roleOf(after)
      ? null
      : `the role changed although the cluster is paused: ${roleOf(before)} became ${roleOf(after)}`;
  }
}

const roleOf = ({ term, primary, change }: ClusterState): string =>
  `term ${term}, ${primary ?? 'nobody'}, ${change?.phase ?? 'no change'}`;
