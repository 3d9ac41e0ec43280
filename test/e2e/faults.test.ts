/**
 * What goes wrong around a cluster: each ends in a condition or an error that names the thing and
 * the way out, nothing is lost, and the cluster is fine again once the cause is gone.
 */
import { expect } from 'chai';
import { attempt } from '../lab/shell';
import { eventually } from '../support/eventually';
import { Deployment, ROOT } from './deployment';
import { join } from 'node:path';

const CLUSTER = 'faults';

interface Shape {
  readonly image?: string;
  readonly node?: string;
  readonly port?: number;
}

/** A pair on n1 and n2, with whatever is wrong about its second server. */
const pair = ({ image = '', node = '{ hostname: n2 }', port = 5440 }: Shape = {}): string => `
apiVersion: pgswarm.dev/v1
kind: PostgresCluster
metadata: { name: ${CLUSTER} }
spec:
  ${image === '' ? '' : `image: ${image}`}
  postgres: { version: 17 }
  network: { subnet: 10.0.210.0/24 }
  failover: { mode: manual }
  primary: pg1
  servers:
    - { name: pg1, node: { hostname: n1 }, port: 5440 }
    - { name: pg2, node: ${node}, port: ${port} }
`;

describe('faults around a cluster', function () {
  this.timeout(300_000);
  let deployment: Deployment;

  before(async function () {
    this.timeout(900_000);
    deployment = await Deployment.open();
  });

  const apply = async (shape: Shape = {}): Promise<void> => {
    await deployment.mustPgswarm('apply', '-f', deployment.file('faults.yaml', pair(shape)));
  };

  const remove = async (): Promise<void> => {
    await deployment.mustPgswarm('delete', CLUSTER, '--volumes', '--yes');
  };

  /** Waits for the sentence in a condition that is False. */
  const complains = async (pattern: RegExp): Promise<void> => {
    await deployment.until(CLUSTER, `a condition like ${String(pattern)}`, ({ conditions }) =>
      conditions.some(
        ({ status, reason, message }) =>
          status === 'False' && pattern.test(`${reason}: ${message}`),
      ),
    );
  };

  describe('on the way to Docker', () => {
    const pgswarmAt = (host: string) =>
      attempt([process.execPath, join(ROOT, 'dist/main.js'), 'status'], {
        env: { ...process.env, DOCKER_HOST: host },
      });

    it('says that Docker cannot be reached', async () => {
      const { code, stderr } = await pgswarmAt('tcp://127.0.0.1:9');
      expect(code).to.equal(1);
      expect(stderr)
        .to.match(/127\.0\.0\.1:9.*DOCKER_HOST/s)
        .and.to.not.match(/\n\s+at /);
    });

    it('says that this Docker is in no Swarm', async () => {
      const { code, stderr } = await pgswarmAt(deployment.lab.hostDocker.host ?? '');
      expect(code).to.equal(1);
      expect(stderr).to.match(/not a swarm manager.*Run `docker swarm init` first/s);
    });

    it('says that this node is no manager', async () => {
      await deployment.docker(['node', 'demote', 'n3']);
      try {
        const { code, stderr } = await pgswarmAt(deployment.lab.docker('n3'));
        expect(code).to.equal(1);
        expect(stderr).to.match(/Worker nodes.*Use a manager/s);
      } finally {
        // The node's record is written by Swarm itself at the same time.
        await eventually(() => deployment.docker(['node', 'promote', 'n3']));
      }
    });
  });

  describe('before a server runs', () => {
    afterEach(remove);

    it('says which node has not got the image', async () => {
      await apply({ image: 'pgswarm:none' });
      await complains(/pg1 on n1 does not run: .*pgswarm:none.*load the image on n1/);
      await apply();
      await deployment.ready(CLUSTER);
    });

    it('says that a label matches no node, or two', async () => {
      await apply({ node: '{ labels: { rack: z } }' });
      await complains(/NodeUnresolved: pg2: .*rack/);
      await deployment.docker(['node', 'update', '--label-add', 'rack=z', 'n2']);
      await deployment.docker(['node', 'update', '--label-add', 'rack=z', 'n3']);
      await complains(/NodeUnresolved: pg2: .*n2.*n3/);
      await deployment.docker(['node', 'update', '--label-rm', 'rack', 'n3']);
      await deployment.ready(CLUSTER);
      await remove();
      await deployment.docker(['node', 'update', '--label-rm', 'rack', 'n2']);
      await apply();
    });

    it('says that the port is taken', async () => {
      const listen = [
        'docker',
        'run',
        '-d',
        '--name',
        'taken',
        '--network',
        'host',
        '--entrypoint',
        'socat',
      ];
      await deployment.lab.exec('n2', [
        ...listen,
        'pgswarm:dev',
        'TCP-LISTEN:5441,fork',
        'EXEC:true',
      ]);
      await apply({ port: 5441 });
      await complains(/pg2 on n2 does not run: .*port 5441 is taken on n2/);
      await deployment.lab.exec('n2', ['docker', 'rm', '-f', 'taken']);
      await deployment.ready(CLUSTER);
    });

    it('refuses a volume that holds something else', async () => {
      await onVolume('touch /v/precious && chown 999:999 /v');
      await apply();
      await complains(/VolumeForeign: .*pg2 on n2 is refused: .*precious/);
      await onVolume('rm /v/precious');
      await deployment.ready(CLUSTER);
    });

    it('says that the volume belongs to somebody else', async () => {
      // Docker gives an empty volume to the image's user; this one is not quite empty.
      await onVolume('mkdir /v/lost+found && chown 0:0 /v && chmod 700 /v');
      await apply();
      await complains(/VolumeUnusable: .*pg2 on n2 is refused: .*owner/i);
      await onVolume('chown 999:999 /v');
      await deployment.ready(CLUSTER);
    });

    it('says that the data volume is full', async () => {
      const tmpfs = [
        '--opt',
        'type=tmpfs',
        '--opt',
        'device=tmpfs',
        '--opt',
        'o=size=24m,uid=999,gid=999,mode=0700',
      ];
      // One that is still there would be taken as it is, with all the room of its disk.
      await eventually(async () => {
        const removed = await deployment.lab.exec('n2', ['docker', 'volume', 'rm', '-f', VOLUME]);
        expect(removed.code, removed.stderr).to.equal(0);
      });
      await deployment.lab.exec('n2', ['docker', 'volume', 'create', ...tmpfs, VOLUME]);
      await apply();
      await complains(/DataVolumeFull: pg2: .*make room/s);
      expect((await deployment.status(CLUSTER))!.primary).to.equal('pg1');
    });

    /** Runs a shell on pg2's data volume before pgswarm sees it. */
    async function onVolume(script: string): Promise<void> {
      const shell = [
        'docker',
        'run',
        '--rm',
        '--user',
        'root',
        '-v',
        `${VOLUME}:/v`,
        '--entrypoint',
        'sh',
      ];
      const { code, stderr } = await deployment.lab.exec('n2', [
        ...shell,
        'pgswarm:dev',
        '-c',
        script,
      ]);
      if (code !== 0) throw new Error(stderr);
    }
    const VOLUME = `pgswarm.${CLUSTER}.pg2.data`;
  });

  it('makes services and password secrets again that are gone, with the same passwords', async () => {
    const NOWHERE = 'node.labels.nowhere==true';
    const names = ['pg1', 'pg2'].map((server) => `pgswarm-${CLUSTER}-${server}`);
    await apply();
    await deployment.ready(CLUSTER);
    await deployment.sql(CLUSTER, 'create table kept as select 42 as answer');
    const uri = await deployment.mustPgswarm('connect', CLUSTER, '--with-password');
    const secrets = await deployment.docker([
      ...['secret', 'ls', '-q', '--filter', `name=pgswarm.${CLUSTER}.`],
    ]);
    expect(secrets.split('\n')).to.have.length(3);
    // Without operators, so that nobody is faster than the one who destroys.
    const update = ['service', 'update', '-q', '-d', 'pgswarm_operator'];
    await deployment.docker([...update, '--constraint-add', NOWHERE]);
    await eventually(async () => {
      expect(await deployment.containers('pgswarm_operator')).to.have.length(0);
    });
    await deployment.docker(['service', 'rm', ...names]);
    await eventually(() => deployment.docker(['secret', 'rm', ...secrets.split('\n')]));
    await deployment.docker([...update, '--constraint-rm', NOWHERE]);
    await eventually(async () => {
      expect(await deployment.sql(CLUSTER, 'select answer from kept')).to.equal('42');
    });
    await deployment.ready(CLUSTER);
    expect(await deployment.mustPgswarm('connect', CLUSTER, '--with-password')).to.equal(uri);
    await remove();
  });
});
