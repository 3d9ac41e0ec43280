/** Faults that need something else to be under way, or out of order, before. */
import { serviceName } from '../../src/core/names';
import { CLUSTER } from './cluster';
import { inNode, killContainer, stopReplication, type Fault } from './faults';
import { type Actor, type Scene } from './scene';

/** `failover.maxLag` unless the spec says otherwise. */
const lagBytesMax = 16 * 1024 * 1024;
const FILLER = 'create table filler as select generate_series(1, 600000) n';
const settingsFile = '/var/lib/pgswarm/data/pgdata/postgresql.auto.conf';
const slowEnd = `recovery_end_command = 'sleep 15'`;

/** The standbys are too far behind to be promoted, and the primary's container dies. */
export const laggingStandby: Fault = async (scene) => {
  const { primary } = scene;
  const { deployment } = scene.cluster;
  const heal = await stopReplication(scene);
  await deployment.sql(CLUSTER, FILLER);
  // Only what the primary has reported can be known of it once it is dead.
  await deployment.until(CLUSTER, 'a lag that is known', ({ servers }) =>
    servers.every(({ name, lagBytes }) => name === primary.server || (lagBytes ?? 0) > lagBytesMax),
  );
  await killContainer(scene);
  return async () => {
    await heal?.();
    await deployment.sql(CLUSTER, 'drop table if exists filler');
  };
};

/** The target of a switchover does not replay the end, and the old primary's container dies. */
export const killedWhileStopping: Fault = async (scene) => {
  const { deployment } = scene.cluster;
  const target = targetOf(scene);
  const onTarget = (sql: string): Promise<string> =>
    deployment.asSuperuser(CLUSTER, target.server, sql);
  await onTarget('select pg_wal_replay_pause()');
  scene.cluster.promote(target.server);
  await deployment.untilPhase(CLUSTER, 'stopping');
  await killContainer(scene);
  return async () => {
    // Nothing to resume where it has been promoted already: that has ended the pause.
    await onTarget(`select pg_wal_replay_resume() where pg_is_in_recovery()`);
  };
};

/** The end of the target's recovery is slow, and its container dies in it. */
export const killedWhilePromoting: Fault = async (scene) => {
  const { deployment } = scene.cluster;
  const target = targetOf(scene);
  const service = serviceName(CLUSTER, target.server);
  const change = `cp ${settingsFile} /tmp/before && echo "${slowEnd}" >> ${settingsFile}`;
  await deployment.inside(service, ['sh', '-c', change]);
  await deployment.asSuperuser(CLUSTER, target.server, 'select pg_reload_conf()');
  scene.cluster.promote(target.server);
  await deployment.untilPhase(CLUSTER, 'promoting');
  // What was copied dies with the container; the line is taken out where the volume is.
  const script = `docker kill ${target.container}
    volume=$(docker volume inspect -f '{{.Mountpoint}}' pgswarm.${CLUSTER}.${target.server}.data)
    sed -i '/recovery_end_command/d' $volume/pgdata/postgresql.auto.conf`;
  await inNode(scene.lab, target.node, script);
  return null;
};

function targetOf({ standbys }: Scene): Actor {
  const [target] = standbys;
  if (target === undefined) throw new Error('a switchover needs a standby');
  return target;
}
