/** Waits until a cluster is as somebody wants it, and tells what happens meanwhile. */
import { messageOf, OperatingError } from '../core/errors';
import { isServing, type Condition, type Status } from '../core/status';
import { loadCluster, type Known } from './cluster';
import { DONE, refusal, type ExitCode } from './exit';
import { type CliPorts } from './ports';
import { createProgress } from './progress';

export interface Goal {
  readonly cluster: string;
  readonly seconds: number;
  /** Completes `after 60 s …`: `orders is not ready`. */
  readonly missed: string;
  readonly isReached: (known: Known) => boolean;
  /** What no waiting ends; null while there is hope. */
  readonly refused: (known: Known) => Refused | null;
}

export type Refused = Pick<Condition, 'reason' | 'message'>;

/** Time between two looks. */
const LOOK_EVERY_MS = 500;
/** What is refused now may be accepted in a moment: a standby that is only just behind. */
const REFUSAL_PATIENCE_MS = 10_000;

/** What was known when it was reached; throws when it is refused, or not reached in time. */
export async function waitFor(ports: CliPorts, goal: Goal): Promise<Known> {
  const startedMs = ports.clock.monotonicMs();
  const show = createProgress(ports);
  for (;;) {
    const seen = await look(ports, goal.cluster);
    if (seen.known !== null && goal.isReached(seen.known)) return seen.known;
    // The leader that says so has not read what is waited for yet.
    if (seen.known?.status.decision.rule !== 'steady') show(seen.sentence);
    const refused = seen.known === null ? null : goal.refused(seen.known);
    if (refused !== null) throw refusal(refused.reason, `${goal.cluster}: ${refused.message}`);
    if (ports.clock.monotonicMs() - startedMs >= goal.seconds * 1000) {
      const text = `${goal.missed} after ${goal.seconds} s: ${seen.sentence}`;
      throw refusal('NotReachedInTime', text);
    }
    if (!(await ports.clock.pause(LOOK_EVERY_MS))) {
      throw refusal('Interrupted', 'No longer waiting');
    }
  }
}

interface Seen {
  /** null when nothing could be learnt at this moment. */
  readonly known: Known | null;
  readonly sentence: string;
}

/** A manager that has lost its leader for a moment is no reason to give up. */
async function look(ports: CliPorts, cluster: string): Promise<Seen> {
  try {
    const known = await loadCluster(ports, cluster);
    const { decision } = known.status;
    return { known, sentence: known.silence ?? `${decision.because} (${decision.rule})` };
  } catch (error) {
    if (!(error instanceof OperatingError) || error.kind !== 'transient') throw error;
    return { known: null, sentence: messageOf(error) };
  }
}

// ── ready ────────────────────────────────────────────────────────────────────────────────────

export interface Wait {
  readonly cluster: string;
  /** Generation that was applied. */
  readonly generation: number;
  /** Something changes of which the servers say only then what it takes. */
  readonly hasNewSettings: boolean;
  readonly seconds: number;
}

/** Done when it is ready; throws with the reason when it is refused, or not ready in time. */
export async function waitUntilReady(ports: CliPorts, wait: Wait): Promise<ExitCode> {
  const { cluster, generation, seconds, hasNewSettings } = wait;
  const patience = createPatience(ports);
  const lasts = createDuration(ports, hasNewSettings ? HEARD_MS : 0);
  try {
    const { status } = await waitFor(ports, {
      cluster,
      seconds,
      missed: `${cluster} is not ready`,
      isReached: (known) => lasts(isReady(known.status, generation)),
      refused: ({ status }) =>
        patience(refusedCondition(status), stateOf(status, status.declaredPrimary)),
    });
    return ready(ports, status);
  } catch (error) {
    throw goesOn(error, cluster);
  }
}

/** The end of the wait is not the end of the work: says so, where it ended by itself. */
export function goesOn(error: unknown, cluster: string): unknown {
  if (!(error instanceof OperatingError)) return error;
  if (error.code !== 'NotReachedInTime' && error.code !== 'Interrupted') return error;
  const sentence = `${error.message}. The operator goes on; see pgswarm why ${cluster}`;
  return refusal(error.code, sentence);
}

function ready({ output }: CliPorts, { cluster, primary, servers }: Status): ExitCode {
  const count = servers.length - 1;
  const standbys = count === 1 ? '1 standby streams' : `${count} standbys stream`;
  const others = count === 0 ? '' : `, ${standbys}`;
  output.print(`${cluster} is ${output.paint('good', 'ready')}: primary ${primary ?? ''}${others}`);
  return DONE;
}

function isReady(status: Status, generation: number): boolean {
  return (
    status.generation >= generation &&
    isServing(status) &&
    status.primary === status.declaredPrimary &&
    // Whether one that is late on purpose keeps up is a condition's question.
    status.servers.every(({ state, streaming, late }) => state === 'running' || streaming || late)
  );
}

/** Within this time the servers are told of new settings, and say whether they need a restart. */
const HEARD_MS = 4000;

/** Whether what is said to it has been true for so long. */
function createDuration({ clock }: CliPorts, ms: number): (isTrue: boolean) => boolean {
  let sinceMs: number | null = null;
  return (isTrue) => {
    sinceMs = isTrue ? (sinceMs ?? clock.monotonicMs()) : null;
    return sinceMs !== null && clock.monotonicMs() - sinceMs >= ms;
  };
}

/** Gives what refuses, once neither that nor `state`, which it depends on, has moved for a while. */
export function createPatience({
  clock,
}: CliPorts): (refused: Refused | null, state: string) => Refused | null {
  let before = '';
  let sinceMs = clock.monotonicMs();
  return (refused, state) => {
    const now = `${refused?.reason ?? ''} ${state}`;
    if (now !== before) sinceMs = clock.monotonicMs();
    before = now;
    return clock.monotonicMs() - sinceMs >= REFUSAL_PATIENCE_MS ? refused : null;
  };
}

export const stateOf = ({ servers }: Status, server: string): string =>
  servers.find(({ name }) => name === server)?.state ?? 'unknown';

/** Why the declared server is not primary yet, and soon will be. */
const UNDER_WAY: readonly string[] = ['SwitchoverUnderWay', 'RestartUnderWay'];

/** Reasons of conditions that no waiting ends: a person has to do something. */
const REFUSALS: ReadonlySet<string> = new Set([
  'Fenced',
  'HbaRefused',
  'KeptVolumesRefused',
  'NetworkDiffers',
  'ParameterRefused',
  'Paused',
  'SettingsRolledBack',
  'SpecRefused',
  'SwitchoverGivenUp',
  'VolumeForeign',
  'VolumeMissing',
  'VolumeRefused',
  'VolumeUnusable',
]);

function refusedCondition({ conditions }: Status): Condition | null {
  const disputed = conditions.filter(({ status }) => status === 'False');
  return (
    disputed.find(({ reason }) => REFUSALS.has(reason)) ??
    disputed.find(
      ({ type, reason }) => type === 'PrimaryAsDeclared' && !UNDER_WAY.includes(reason),
    ) ??
    null
  );
}
