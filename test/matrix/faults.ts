/**
 * Everything that goes wrong in the matrix, one function each. A fault begins when the function is
 * called; what it returns ends it. Null: there is nothing to end, what was killed is dead.
 */
import { type Lab } from '../lab/lab';
import { waitFor } from '../lab/shell';
import { OPERATOR_PORT, OPERATOR_SERVICE, POSTGRES_PORT } from '../../src/core/names';
import { smallArchive, smallVolume } from './cluster';
import { type Actor, type Scene } from './scene';

export type Heal = () => Promise<void>;
export type Fault = (scene: Scene) => Promise<Heal | null>;

const swarmPort = 2377;
/** A slow disk: so many writes a second. */
const writesPerSecond = 15;

// ── processes and containers ─────────────────────────────────────────────────────────────────

/** Only the first process of PostgreSQL: its children live a little longer. */
export const killPostmaster: Fault = async ({ lab, primary }) => {
  await signal(lab, primary.node, 'KILL', primary.postmasterPid);
  return null;
};

/** Only the instance manager: neither PostgreSQL nor the guard. */
export const killManager: Fault = async ({ lab, primary }) => {
  await signal(lab, primary.node, 'KILL', primary.managerPid);
  return null;
};

/** The instance manager hangs, and PostgreSQL and the guard live. */
export const freezeManager: Fault = async ({ lab, primary: { node, managerPid } }) => {
  await signal(lab, node, 'STOP', managerPid);
  // By then the guard may have ended it: then there is nothing to wake.
  return async () => {
    await lab.exec(node, ['kill', '-CONT', String(managerPid)]);
  };
};

export const killContainer: Fault = async ({ lab, primary }) => {
  await inNode(lab, primary.node, `docker kill ${primary.container}`);
  return null;
};

/** All operators, again and again: Swarm starts a new one two seconds after each end. */
export const killOperators: Fault = ({ lab }) => {
  let isOver = false;
  const name = `label=com.docker.swarm.service.name=${OPERATOR_SERVICE}`;
  const script = `docker kill $(docker ps -q --filter ${name})`;
  const killing = lab.nodes().map(async (node) => {
    while (!isOver) {
      await lab.exec(node, ['sh', '-c', script]);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  });
  return Promise.resolve(async () => {
    isOver = true;
    await Promise.all(killing);
  });
};

/** The primary's container and the operator that leads, at once. */
export const killContainerAndLeader: Fault = async (scene) => {
  const name = `label=com.docker.swarm.service.name=${OPERATOR_SERVICE}`;
  const script = `docker kill $(docker ps -q --filter ${name})`;
  await Promise.all([killContainer(scene), inNode(scene.lab, scene.operatorLeader, script)]);
  return null;
};

// ── nodes ────────────────────────────────────────────────────────────────────────────────────

export const killNode: Fault = async ({ lab, primary: { node } }) => {
  await lab.kill(node);
  return () => lab.start(node);
};

export const freezeNode: Fault = async ({ lab, primary: { node } }) => {
  await lab.freeze(node);
  return () => lab.thaw(node);
};

/** Every node but the primary's: no standby, and no majority of managers. */
export const killOtherNodes: Fault = async ({ lab, otherNodes }) => {
  await Promise.all(otherNodes.map((node) => lab.kill(node)));
  return async () => {
    await Promise.all(otherNodes.map((node) => lab.start(node)));
  };
};

// ── cables ───────────────────────────────────────────────────────────────────────────────────

/** The cable is pulled: nobody reaches the primary's node, its clients neither. */
export const cutNode: Fault = async ({ lab, primary: { node } }) => {
  await lab.cut(node);
  return () => lab.heal(node);
};

/** The primary's node reaches no other node; clients still reach it. */
export const cutFromNodes: Fault = ({ lab, primary, otherNodes }) =>
  cutAll(lab, primary.node, otherNodes, async (other) => lab.cut(primary.node, { from: other }));

/** What the primary's node sends to the others is lost; it hears them. */
export const cutOutgoing: Fault = ({ lab, primary, otherNodes }) =>
  cutAll(lab, primary.node, otherNodes, (other) =>
    lab.cut(primary.node, { from: other, oneWay: true }),
  );

/** What the others send to the primary's node is lost; they hear it. */
export const cutIncoming: Fault = ({ lab, primary, otherNodes }) =>
  cutAll(lab, primary.node, otherNodes, (other) =>
    lab.cut(other, { from: primary.node, oneWay: true }),
  );

/** The primary reaches no operator; everything else goes on. */
export const cutFromOperators: Fault = ({ lab, primary }) =>
  filter(lab, primary, [
    `OUTPUT -p tcp --dport ${OPERATOR_PORT}`,
    `INPUT -p tcp --sport ${OPERATOR_PORT}`,
  ]);

/** The primary reaches no standby, and no standby the primary; the operators reach both. */
export const cutFromStandbys: Fault = ({ lab, primary, standbys }) =>
  filter(lab, primary, bothWays(standbys.flatMap(({ addresses }) => addresses)));

/** Neither an operator nor a standby: the primary is alone, with its clients. */
export const cutFromOperatorsAndStandbys: Fault = async (scene) => {
  const heals = await Promise.all([cutFromOperators(scene), cutFromStandbys(scene)]);
  return async () => {
    for (const heal of heals) await heal?.();
  };
};

/** The managers do not hear each other; all else goes on. */
export const cutManagers: Fault = async ({ lab }) => {
  const rules = ['INPUT', 'OUTPUT'].flatMap((chain) =>
    ['--dport', '--sport'].map((side) => `${chain} -p tcp ${side} ${swarmPort} -j DROP`),
  );
  const change = (how: '-I' | '-D') =>
    Promise.all(
      lab
        .nodes()
        .map((node) =>
          inNode(lab, node, rules.map((rule) => `iptables -w ${how} ${rule}`).join('\n')),
        ),
    );
  await change('-I');
  return async () => {
    await change('-D');
  };
};

/** Nothing is replicated any more: the standbys fall behind without bound. */
export const stopReplication: Fault = async ({ lab, standbys }) => {
  const rules = [`OUTPUT -p tcp --dport ${POSTGRES_PORT}`, `INPUT -p tcp --sport ${POSTGRES_PORT}`];
  const heals = await Promise.all(standbys.map((standby) => filter(lab, standby, rules)));
  return async () => {
    for (const heal of heals) await heal();
  };
};

// ── disks ────────────────────────────────────────────────────────────────────────────────────

/** Not a byte is left on the primary's data volume, which has a file system of its own. */
export const fillVolume: Fault = ({ lab, primary: { node } }) => fill(lab, node, smallVolume);

/** Not a byte is left on the primary's archive volume. */
export const fillArchive: Fault = ({ lab, primary: { node } }) => fill(lab, node, smallArchive);

/** The primary's container may write only now and then. */
export const slowDisk: Fault = async ({ lab, primary: { node, managerPid } }) => {
  const limit = (writes: number): string => `
    device=$(stat -c %d /var/lib/docker); device=$((device >> 8)):$((device & 255))
    group=$(sed -n 's/^[0-9]*:blkio://p' /proc/${managerPid}/cgroup)
    v1=/sys/fs/cgroup/blkio$group/blkio.throttle.write_iops_device
    v2=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/${managerPid}/cgroup)/io.max
    if [ -f "$v1" ]; then echo "$device ${writes}" > "$v1"
    else echo "$device wiops=${writes === 0 ? 'max' : writes}" > "$v2"; fi`;
  await inNode(lab, node, limit(writesPerSecond));
  // The group is gone with its container.
  return async () => {
    await lab.exec(node, ['sh', '-c', limit(0)]);
  };
};

// ── helpers ──────────────────────────────────────────────────────────────────────────────────

/** Runs a script on a node; it must succeed. */
export async function inNode(lab: Lab, node: string, script: string): Promise<void> {
  const { code, stderr } = await lab.exec(node, ['sh', '-ec', script]);
  if (code !== 0) throw new Error(`on ${node}: ${script}: ${stderr}`);
}

const signal = (lab: Lab, node: string, name: string, pid: number): Promise<void> =>
  inNode(lab, node, `kill -${name} ${pid}`);

/** Writes until there is no room, which is how it ends. */
async function fill(lab: Lab, node: string, folder: string): Promise<Heal> {
  const filler = `${folder}/filler`;
  await inNode(lab, node, `cat /dev/zero > ${filler} 2> /dev/null || test -s ${filler}`);
  return () => inNode(lab, node, `rm ${filler}`);
}

async function cutAll(
  lab: Lab,
  node: string,
  others: readonly string[],
  cut: (other: string) => Promise<void>,
): Promise<Heal> {
  await Promise.all(others.map(cut));
  return () => lab.heal(node);
}

/** Drops packets in the network of one container; the rules are gone with it. */
async function filter(lab: Lab, at: Actor, rules: readonly string[]): Promise<Heal> {
  const tables = `nsenter --net=/proc/${at.managerPid}/ns/net iptables -w`;
  const change = (how: '-I' | '-D'): string =>
    rules.map((rule) => `${tables} ${how} ${rule} -j DROP`).join('\n');
  await inNode(lab, at.node, change('-I'));
  return async () => {
    await waitFor(`${at.server} to be healed`, 10_000, async () => {
      const { code, stderr } = await lab.exec(at.node, ['sh', '-ec', change('-D')]);
      return code === 0 || stderr.includes('No such file') ? true : undefined;
    });
  };
}

const bothWays = (addresses: readonly string[]): string[] =>
  addresses.flatMap((address) => [`OUTPUT -d ${address}`, `INPUT -s ${address}`]);
