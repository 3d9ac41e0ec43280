/**
 * The life of a pair on a real Swarm with real PostgreSQL, as a user lives it: a file, the program,
 * and faults. The tests build on each other, in this order, on one cluster; a writing client keeps
 * the whole history, and every acknowledged write must be there at the end.
 */
import { expect } from 'chai';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findPrometheus } from '../integration/support/prometheus';
import { eventually } from '../support/eventually';
import { Writer } from '../support/writer';
import { Deployment } from './deployment';
import { openPage } from './page-visitor';
import { prometheusIn } from './prometheus-in';

const PAIR = readFileSync(join(__dirname, '../../examples/pair.yaml'), 'utf8');
const CLUSTER = 'orders';
const PG2_VOLUME = 'pgswarm.orders.pg2.data';

/** `examples/pair.yaml` with another primary, and perhaps more under `spec:`. */
const pair = (primary: string, more = ''): string =>
  PAIR.replace(/^( {2}primary: ).*$/m, `$1${primary}`) + more;

describe('a pair on a real Swarm', function () {
  this.timeout(300_000);
  let deployment: Deployment;
  let uri: string;

  before(async function () {
    this.timeout(900_000);
    deployment = await Deployment.open();
  });

  /** Applies the pair with this primary and waits until it is so. */
  async function declare(primary: string, more = ''): Promise<void> {
    const file = deployment.file('pair.yaml', pair(primary, more));
    await deployment.mustPgswarm('apply', '-f', file, '--wait=120');
  }

  /** Runs `what` while a client writes; every acknowledged write must be there afterwards. */
  async function whileWriting(what: (writer: Writer) => Promise<void>): Promise<Writer> {
    const writer = new Writer(uri);
    await writer.start();
    try {
      await what(writer);
      await writer.waitForWrites(20, 120_000);
    } finally {
      await writer.stop();
    }
    expect(await writer.missingOnPrimary(), 'acknowledged writes that are missing').to.deep.equal(
      [],
    );
    return writer;
  }

  const rows = (): Promise<string> =>
    deployment.sql(CLUSTER, 'select count(*) from pgswarm_writer');

  describe('of one file', () => {
    it('is made', async () => {
      await declare('pg1');
      const status = await deployment.ready(CLUSTER, 'pg1');
      expect(status.servers.map(({ name, role, state }) => ({ name, role, state }))).to.deep.equal([
        { name: 'pg1', role: 'primary', state: 'running' },
        { name: 'pg2', role: 'standby', state: 'streaming' },
      ]);
      uri = (await deployment.mustPgswarm('connect', CLUSTER, '--with-password')).trim();
      expect(await deployment.sql(CLUSTER, 'show password_encryption')).to.equal('scram-sha-256');
    });

    it('keeps its passwords out of labels, environments, logs and process lists', async () => {
      const password = /:([^:@/]+)@/.exec(uri)![1]!;
      const objects = await Promise.all([
        deployment.docker(['service', 'inspect', 'pgswarm-orders-pg1', 'pgswarm-orders-pg2']),
        deployment.docker(['config', 'inspect', 'pgswarm.orders.spec', 'pgswarm.orders.state']),
        deployment.logs('pgswarm-orders-pg1'),
        deployment.logs('pgswarm_operator'),
        ...deployment.lab.nodes().map(async (node) => {
          const { stdout } = await deployment.lab.exec(node, ['ps', 'axeww']);
          return stdout;
        }),
      ]);
      for (const text of objects) {
        expect(text).to.not.equal('');
        expect(text.includes(password)).to.equal(false);
      }
    });

    it('shows itself on the web page to whoever has the link, and a change at once', async () => {
      const link = await deployment.mustPgswarm('page');
      const page = await openPage(link.trim());
      try {
        await page.shows(({ cluster }) => cluster?.primary === 'pg1');
        const beganMs = performance.now();
        await declare('pg2');
        await page.shows(({ cluster }) => cluster?.primary === 'pg2');
        expect(performance.now() - beganMs, 'not long after the command').to.be.below(30_000);
      } finally {
        page.close();
      }
      await declare('pg1');
    });

    it('is found and measured by Prometheus with the configuration of the manifests', async function () {
      const programs = findPrometheus();
      if (programs === null) this.skip();
      const prometheus = await prometheusIn(deployment, programs);
      await eventually(async () => {
        expect(await prometheus.value('count(pgswarm_instance_up == 1)')).to.equal(2);
        expect(
          await prometheus.value('max(pgswarm_cluster_primary_up{cluster="orders"})'),
        ).to.equal(1);
        expect(await prometheus.value('count(up{job="pgswarm"} == 1)'), 'and no other').to.equal(5);
      });
      const down = (await prometheus.query('up{job="pgswarm"} == 0')).map(({ metric }) => metric);
      expect(down).to.deep.equal([]);
    });

    it('takes no step when the same file is applied again', async () => {
      const before = await deployment.mustPgswarm('events', CLUSTER, '-o', 'json');
      const file = deployment.file('pair.yaml', pair('pg1'));
      expect(await deployment.mustPgswarm('plan', '-f', file)).to.match(/nothing to do/i);
      expect(await deployment.mustPgswarm('apply', '-f', file, '--wait=30')).to.match(/unchanged/);
      expect(await deployment.mustPgswarm('events', CLUSTER, '-o', 'json')).to.equal(before);
    });

    it('switches twenty times back and forth, and no acknowledged write is lost', async function () {
      this.timeout(600_000);
      const before = (await deployment.ready(CLUSTER, 'pg1')).term;
      const writer = await whileWriting(async () => {
        for (let count = 0; count < 10; count += 1) {
          await declare('pg2');
          await declare('pg1');
        }
      });
      expect(writer.acknowledged).to.be.greaterThan(200);
      const status = await deployment.ready(CLUSTER, 'pg1');
      expect(status.term).to.equal(before + 20);
    });

    it('refuses a primary that is none of its servers, and changes nothing', async () => {
      const file = deployment.file('pair.yaml', pair('pg9'));
      const { code, stderr } = await deployment.pgswarm('apply', '-f', file);
      expect(code).to.equal(1);
      expect(stderr)
        .to.match(/spec\.primary.*pg9/s)
        .and.to.match(/pg1/);
      expect((await deployment.ready(CLUSTER)).declaredPrimary).to.equal('pg1');
    });
  });

  describe('with a target that lags', () => {
    const LITTLE = '  switchover: { maxLag: 1MB, timeout: 5s }\n';

    const onStandby = (sql: string): Promise<string> => deployment.asSuperuser(CLUSTER, 'pg2', sql);

    it('refuses the switchover, says why, and does it when the lag is gone', async () => {
      await declare('pg1', LITTLE);
      await onStandby('select pg_wal_replay_pause()');
      await deployment.sql(CLUSTER, 'create table filler as select generate_series(1, 200000) n');
      const file = deployment.file('pair.yaml', pair('pg2', LITTLE));
      await deployment.mustPgswarm('apply', '-f', file);
      const refused = await deployment.until(CLUSTER, 'a refusal', ({ conditions }) =>
        conditions.some(({ reason }) => reason === 'TargetLagging'),
      );
      expect(refused.primary).to.equal('pg1');
      expect(await deployment.mustPgswarm('why', CLUSTER)).to.match(/pg2.*bytes behind/s);
      await onStandby('select pg_wal_replay_resume()');
      await deployment.ready(CLUSTER, 'pg2');
    });

    it('starts the old primary again when the target does not catch up in time', async () => {
      await deployment.asSuperuser(CLUSTER, 'pg1', 'select pg_wal_replay_pause()');
      await whileWriting(async () => {
        const file = deployment.file('pair.yaml', pair('pg1', LITTLE));
        await deployment.mustPgswarm('apply', '-f', file);
        const status = await deployment.until(CLUSTER, 'the way back', ({ conditions }) =>
          conditions.some(({ reason }) => reason === 'SwitchoverGivenUp'),
        );
        expect(status.primary).to.equal('pg2');
        expect(
          status.conditions.find(({ type }) => type === 'PrimaryAsDeclared')!.message,
        ).to.match(/pg1 did not catch up within 5 s/);
        await deployment.until(CLUSTER, 'pg2 accepts writes', ({ servers }) =>
          servers.some(({ name, role }) => name === 'pg2' && role === 'primary'),
        );
      });
      await deployment.asSuperuser(CLUSTER, 'pg1', 'select pg_wal_replay_resume()');
      await declare('pg2', LITTLE);
    });
  });

  describe('with operators that die', () => {
    const PATIENT = '  switchover: { timeout: 2m }\n';
    const HELD = {
      checkpointing: 'a lag between the gate and the limit',
      stopping: 'a target that does not replay the end',
      promoting: 'a slow end of recovery',
    };

    for (const [phase, how] of Object.entries(HELD)) {
      it(`finishes a switchover whose leader is killed while ${phase} (${how})`, async () => {
        const from = (await deployment.ready(CLUSTER)).primary!;
        const to = from === 'pg1' ? 'pg2' : 'pg1';
        await declare(from, PATIENT);
        await whileWriting(async () => {
          const release = await hold(deployment, to, phase);
          const file = deployment.file('pair.yaml', pair(to, PATIENT));
          await deployment.mustPgswarm('apply', '-f', file);
          await deployment.untilPhase(CLUSTER, phase);
          await deployment.killLeader();
          await release();
          await deployment.ready(CLUSTER, to);
        });
      });
    }

    it('undoes a switchover whose leader is killed while stopping, when the target never catches up', async () => {
      const from = (await deployment.ready(CLUSTER)).primary!;
      const to = from === 'pg1' ? 'pg2' : 'pg1';
      const SHORT = '  switchover: { timeout: 10s }\n  failover: { mode: manual }\n';
      await declare(from, SHORT);
      await whileWriting(async () => {
        const release = await hold(deployment, to, 'stopping');
        const file = deployment.file('pair.yaml', pair(to, SHORT));
        await deployment.mustPgswarm('apply', '-f', file);
        await deployment.untilPhase(CLUSTER, 'stopping');
        await deployment.killLeader();
        await deployment.until(CLUSTER, 'the way back', ({ conditions }) =>
          conditions.some(({ reason }) => reason === 'SwitchoverGivenUp'),
        );
        await release();
      });
      await declare(from);
      await deployment.ready(CLUSTER, from);
    });
  });

  describe('under faults, with a failover that waits for a person', () => {
    const MANUAL = '  failover: { mode: manual }\n';

    it('has its standby back after its container was killed', async () => {
      await declare('pg1', MANUAL);
      await whileWriting(async () => {
        await deployment.killContainer('pgswarm-orders-pg2');
        await deployment.ready(CLUSTER, 'pg1');
      });
    });

    it('has its primary back, as primary and with all data, after its container was killed', async () => {
      await whileWriting(async () => {
        await deployment.killContainer('pgswarm-orders-pg1');
        await deployment.ready(CLUSTER, 'pg1');
      });
    });

    it('restarts without crash recovery after an orderly stop', async () => {
      await deployment.replacing('pgswarm-orders-pg1', async () => {
        await deployment.docker(['service', 'update', '--force', '-q', '-d', 'pgswarm-orders-pg1']);
      });
      await deployment.ready(CLUSTER, 'pg1');
      const [container] = await deployment.containers('pgswarm-orders-pg1');
      const { stdout } = await deployment.lab.exec(container!.node, [
        'docker',
        'logs',
        container!.id,
      ]);
      expect(stdout).to.match(/database system was shut down at/);
      expect(stdout).to.not.match(/automatic recovery in progress/);
    });

    it('puts a service back that was removed by hand, with its data', async () => {
      const before = await rows();
      await deployment.replacing('pgswarm-orders-pg1', async () => {
        await deployment.docker(['service', 'rm', 'pgswarm-orders-pg1']);
      });
      await deployment.ready(CLUSTER, 'pg1');
      expect(await rows()).to.equal(before);
    });

    it('puts a service right that was edited by hand', async () => {
      await deployment.docker([
        'service',
        'update',
        '-d',
        '-q',
        '--env-add',
        'PGSWARM_SERVER=pg9',
        'pgswarm-orders-pg2',
      ]);
      await deployment.untilLogged(
        'pgswarm_operator',
        /update the service pgswarm-orders-pg2: env PGSWARM_SERVER/,
      );
      await deployment.ready(CLUSTER, 'pg1');
    });

    it('refuses a volume that was emptied behind its back, until a person says that it is gone', async () => {
      const [container] = await deployment.containers('pgswarm-orders-pg2');
      await deployment.lab.exec(container!.node, [
        'sh',
        '-c',
        `docker kill ${container!.id} && rm -rf $(docker volume inspect -f '{{.Mountpoint}}' ${PG2_VOLUME})/*`,
      ]);
      const status = await deployment.until(CLUSTER, 'a refusal', ({ conditions }) =>
        conditions.some(({ reason }) => reason === 'VolumeMissing'),
      );
      expect(status.conditions.find(({ reason }) => reason === 'VolumeMissing')!.message).to.match(
        /pgswarm\.orders\.pg2\.data on n2 is empty, but .* was expected there.*pgswarm reclone orders pg2/,
      );
      await deployment.mustPgswarm('reclone', CLUSTER, 'pg2', '--yes');
      await deployment.ready(CLUSTER, 'pg1');
    });

    it('can be deleted and made again on the volumes that were kept', async () => {
      const before = await rows();
      const said = await deployment.pgswarm('delete', CLUSTER, '--yes');
      expect(said.code, said.stderr).to.equal(0);
      expect(said.stdout + said.stderr).to.include(PG2_VOLUME);
      expect(
        await deployment.docker(['service', 'ls', '-q', '--filter', 'name=pgswarm-orders']),
      ).to.equal('');
      await declare('pg1', MANUAL);
      await deployment.ready(CLUSTER, 'pg1');
      expect(await rows()).to.equal(before);
      uri = (await deployment.mustPgswarm('connect', CLUSTER, '--with-password')).trim();
      await whileWriting(() => declare('pg2', MANUAL));
    });

    it('is gone with its volumes when the user asks for it', async () => {
      const said = await deployment.pgswarm('delete', CLUSTER, '--volumes', '--yes');
      expect(said.code, said.stderr).to.equal(0);
      for (const node of deployment.lab.nodes()) {
        const { stdout } = await deployment.lab.exec(node, ['docker', 'volume', 'ls', '-q']);
        expect(stdout).to.not.include('pgswarm.orders');
      }
    });
  });
});

/** Makes a switchover to `target` stay in a phase; returns what lets it go on. */
async function hold(
  deployment: Deployment,
  target: string,
  phase: string,
): Promise<() => Promise<void>> {
  const reload = 'select pg_reload_conf()';
  if (phase === 'promoting') {
    const file = '/var/lib/pgswarm/data/pgdata/postgresql.auto.conf';
    const slow = `cp ${file} /tmp/before && echo "recovery_end_command = 'sleep 15'" >> ${file}`;
    await deployment.inside(`pgswarm-orders-${target}`, ['sh', '-c', slow]);
    await deployment.asSuperuser(CLUSTER, target, reload);
    return async () => {
      await deployment.inside(`pgswarm-orders-${target}`, ['cp', '/tmp/before', file]);
    };
  }
  await deployment.asSuperuser(CLUSTER, target, 'select pg_wal_replay_pause()');
  if (phase === 'checkpointing') {
    const filler = 'create table filler2 as select generate_series(1, 100000) n';
    await deployment.sql(CLUSTER, `${filler}; drop table filler2`);
  }
  return async () => {
    await deployment.asSuperuser(CLUSTER, target, 'select pg_wal_replay_resume()');
  };
}
