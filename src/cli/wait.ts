/** Waits until a cluster is as its spec wants it, and tells what happens meanwhile. */
import { type Condition, type Status } from '../core/status';
import { loadCluster, type Known } from './cluster';
import { DONE, refusal, type ExitCode } from './exit';
import { pause } from './pause';
import { type CliPorts } from './ports';
import { createProgress } from './progress';

export interface Wait {
  readonly cluster: string;
  /** Generation that was applied. */
  readonly generation: number;
  readonly seconds: number;
}

/** Time between two looks. */
const LOOK_EVERY_MS = 500;
/** What is refused now may be accepted in a moment: a standby that is only just behind. */
const REFUSAL_PATIENCE_MS = 10_000;

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
  const { cluster, generation, seconds } = wait;
  const startedMs = performance.now();
  const show = createProgress(ports.output, startedMs);
  const patience = createPatience();
  for (;;) {
    const known = await loadCluster(ports, cluster);
    show(sentenceOf(known));
    if (isReady(known.status, generation)) return ready(ports, known.status);
    const refused = patience(known.status);
    if (refused !== null) throw refusal(refused.reason, `${cluster}: ${refused.message}`);
    if (performance.now() - startedMs >= seconds * 1000) {
      const text = `${cluster} is not ready after ${seconds} s: ${sentenceOf(known)}. The operator goes on; see pgswarm why ${cluster}`;
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
  const count = servers.length - 1;
  const standbys = count === 1 ? '1 standby streams' : `${count} standbys stream`;
  const others = count === 0 ? '' : `, ${standbys}`;
  output.print(`${cluster} is ${output.paint('good', 'ready')}: primary ${primary ?? ''}${others}`);
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

/** Gives the condition that refuses, once nothing about it has moved for a while. */
function createPatience(): (status: Status) => Condition | null {
  let before = '';
  let sinceMs = performance.now();
  return (status) => {
    const refused = refusedCondition(status);
    const target = status.servers.find(({ name }) => name === status.declaredPrimary);
    const now = `${refused?.type ?? ''} ${refused?.reason ?? ''} ${target?.state ?? ''}`;
    if (now !== before) sinceMs = performance.now();
    before = now;
    return performance.now() - sinceMs >= REFUSAL_PATIENCE_MS ? refused : null;
  };
}

function refusedCondition({ conditions }: Status): Condition | null {
  const disputed = conditions.filter(({ status }) => status === 'False');
  return (
    disputed.find(({ reason }) => REFUSALS.has(reason)) ??
    disputed.find(
      ({ type, reason }) => type === 'PrimaryAsDeclared' && reason !== 'SwitchoverUnderWay',
    ) ??
    null
  );
}
