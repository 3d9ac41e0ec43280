/** `pgswarm simulate`: what would become of a cluster that lost nodes or servers now. Does nothing. */
import { type LeaderRecord } from '../../core/leadership';
import { LEADER_RECORD, specRecordName, stateRecordName } from '../../core/names';
import { resolveNode } from '../../core/nodes';
import { type NodeSeen } from '../../core/observation';
import { type Store } from '../../core/ports';
import { upgradedSpec, type SpecRecord } from '../../core/spec';
import { type ClusterState } from '../../core/state';
import { findLost, type Lost } from '../../core/what-if/lost';
import { whatIf } from '../../core/what-if/what-if';
import { clusterNames, type Known } from '../cluster';
import { DONE, refusal, type ExitCode } from '../exit';
import { loadHeard } from '../leader';
import { serialised, type Format } from '../output';
import { type CliPorts } from '../ports';
import { whatIfText, type Neighbour } from '../what-if-text';

export interface SimulateOptions {
  readonly lose: readonly string[];
  readonly output?: Format;
}

export async function run(
  ports: CliPorts,
  cluster: string,
  { lose, output: format }: SimulateOptions,
): Promise<ExitCode> {
  const known = await loadHeard(ports, cluster);
  const { situation, view } = known;
  if (situation.state === null || known.silence !== null) throw unknownState(known, cluster);
  const found = findLost(view, lose);
  if (found.kind === 'problem') throw refusal('UnknownNode', found.message);
  const { store } = ports.connect();
  const leadingNode = await nodeOfLeader(store);
  const outcome = whatIf(situation, situation.state, found.lost, { leadingNode });
  const nodes = view.swarm?.nodes ?? [];
  const neighbours = await neighboursOn(store, cluster, found.lost, nodes);
  ports.output.print(
    format === undefined
      ? whatIfText({ view, outcome, neighbours }, ports.output.paint)
      : serialised({ ...outcome, neighbours }, format),
  );
  return DONE;
}

function unknownState({ silence }: Known, cluster: string): Error {
  const reason = silence ?? `no operator has seen ${cluster} yet`;
  const sentence = `How the servers are is not known, so nothing can be foretold: ${reason}`;
  return refusal('StateUnknown', sentence);
}

/** A holder is called after its node, with a dash and an id (36 characters). */
async function nodeOfLeader(store: Store): Promise<string | null> {
  const record = await store.read<LeaderRecord>(LEADER_RECORD);
  return record === null || record.value.released ? null : record.value.holder.slice(0, -37);
}

/** Servers of other clusters on the same nodes. */
async function neighboursOn(
  store: Store,
  cluster: string,
  lost: Lost,
  nodes: readonly NodeSeen[],
): Promise<readonly Neighbour[]> {
  const others = (await clusterNames(store)).filter((name) => name !== cluster);
  const found = await Promise.all(
    others.map(async (name) => {
      const [spec, state] = await Promise.all([
        store.read<SpecRecord>(specRecordName(name)),
        store.read<ClusterState>(stateRecordName(name)),
      ]);
      if (spec === null) return [];
      return upgradedSpec(spec.value).spec.servers.flatMap(({ name: server, node }) => {
        const place = resolveNode(node, nodes);
        const isThere = 'nodeId' in place && lost.nodes.includes(place.nodeId);
        const isPrimary = state?.value.primary === server;
        return isThere ? [{ cluster: name, server, isPrimary }] : [];
      });
    }),
  );
  return found.flat();
}
