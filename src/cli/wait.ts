/** Waits until a cluster is as its spec wants it, and tells what happens meanwhile. */
import { type Condition, type Status } from '../core/status';
import { loadCluster, type Known } from './cluster';
import { DONE, refusal, type ExitCode } from './exit';
import { pause } from './pause';
import { type CliPorts } from './ports';

export interface Wait {
  readonly cluster: string;
  /** Generation that was applied. */
  readonly generation: number;
  readonly seconds: number;
}

/** Time between two looks. */
const LOOK_EVERY_MS = 500;
/** What a person has to look into may still be only passing: a standby that is a moment behind. */
const REFUSAL_PATIENCE_MS = 5_000;

/** Reasons of conditions that no waiting ends: a person has to do something. */
const REFUSALS: ReadonlySet<string> = new Set([
  'KeptVolumesRefused',
  'NetworkDiffers',
  'SpecRefused',
  'SwitchoverGivenUp',
  'VolumeForeign',
  'VolumeMissing',
  'VolumeRefused',
  'VolumeUnusable',
]);

/** Done when it is ready; throws with the reason when it is refused, or not ready in time. */
export async function waitUntilReady(ports: CliPorts, wait: Wait): Promise<ExitCode> {
  const startedMs = performance.now();
  const elapsedMs = (): number => performance.now() - startedMs;
  let said = '';
  let refusedSinceMs: number | null = null;
  for (;;) {
    const known = await loadCluster(ports, wait.cluster);
    const sentence = sentenceOf(known);
    if (sentence !== said) ports.output.note(`${clock(elapsedMs())}  ${sentence}`);
    said = sentence;
    if (isReady(known.status, wait.generation)) return ready(ports, known.status);
    const refused = refusedCondition(known.status);
    refusedSinceMs = refused === null ? null : (refusedSinceMs ?? elapsedMs());
    if (refused !== null && elapsedMs() - (refusedSinceMs ?? 0) >= REFUSAL_PATIENCE_MS) {
      throw refusal(refused.reason, `${wait.cluster}: ${refused.reason}: ${refused.message}`);
    }
    if (elapsedMs() >= wait.seconds * 1000) {
      const text = `${wait.cluster} is not ready after ${wait.seconds} s: ${sentence}. The operator goes on; see pgswarm why ${wait.cluster}`;
      throw refusal('NotReadyInTime', text);
    }
    if (!(await pause(LOOK_EVERY_MS, ports.signal))) {
      throw refusal('Interrupted', 'No longer waiting; the operator goes on by itself.');
    }
  }
}

const sentenceOf = ({ silence, status }: Known): string =>
  silence ?? `${status.decision.because} (${status.decision.rule})`;

function ready({ output }: CliPorts, { cluster, primary, servers }: Status): ExitCode {
  const standbys = servers.length - 1;
  const streaming =
    standbys === 0 ? '' : `, ${standbys} ${standbys === 1 ? 'standby streams' : 'standbys stream'}`;
  output.print(
    `${cluster} is ${output.paint('good', 'ready')}: primary ${primary ?? ''}${streaming}`,
  );
  return DONE;
}

function isReady(status: Status, generation: number): boolean {
  return (
    status.generation >= generation &&
    status.phase === 'Ready' &&
    status.primary === status.declaredPrimary &&
    status.servers.every(({ state }) => state === 'running' || state === 'streaming')
  );
}

function refusedCondition({ conditions, decision }: Status): Condition | null {
  const disputed = conditions.filter(({ status }) => status === 'False');
  const isSwitchoverRefused = decision.rule === 'switchover-refused';
  return (
    disputed.find(({ reason }) => REFUSALS.has(reason)) ??
    disputed.find(({ type }) => isSwitchoverRefused && type === 'PrimaryAsDeclared') ??
    null
  );
}

function clock(ms: number): string {
  return `${(ms / 1000).toFixed(1).padStart(5)} s`;
}
