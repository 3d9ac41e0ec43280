/**
 * Goal: what the manifests for monitoring say works with a real Prometheus. Method: a real operator
 * (in this process), a real instance manager with PostgreSQL, and Debian's Prometheus with our own
 * configuration, which finds both through Docker's API.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { type Server } from 'node:http';
import { connect, createServer, type Server as NetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createLogger } from 'winston';
import { serveMetrics } from '../../src/adapters/metrics/metrics-server';
import { eventually } from '../support/eventually';
import { alertRules, metricsNamedIn, MONITORING, readMonitoring } from '../support/monitoring';
import { empty, spec } from '../support/world';
import { dockerOfTasks } from './support/docker-of-tasks';
import { findBinDirectory, freePort, InstanceProcess, runAs } from './support/instance-process';
import { operatorHere, type OperatorHere } from './support/operator-here';
import { findPrometheus, Prometheus, promtool } from './support/prometheus';

const CLUSTER = 'orders';
/** As on the control network: each task has an address of its own, and all the same port. */
const OPERATOR_ADDRESS = '127.0.0.2';
const INSTANCE_ADDRESS = '127.0.0.3';

/** One server, since this machine has one PostgreSQL port for each name; its leases are real. */
const declared = spec({
  cluster: CLUSTER,
  servers: [{ name: 'pg1', node: { hostname: 'n1' }, port: 5432 }],
  failover: { ...spec().failover, mode: 'automatic' },
  postgres: { ...spec().postgres, parameters: { shared_buffers: '32MB' } },
});

describe('monitoring with a real Prometheus', function () {
  this.timeout(180_000);

  const programs = findPrometheus() ?? '';
  const binDirectory = findBinDirectory() ?? '';
  const key = randomBytes(32);
  let root = '';
  let metricsPort = 0;
  let operator: OperatorHere;
  let instance: InstanceProcess;
  let prometheus: Prometheus;
  const servers: (Server | NetServer)[] = [];
  let shown: { readonly operator: string; readonly instance: string };

  before(async function () {
    if (programs === '' || binDirectory === '' || runAs() === null) {
      console.log('    skipped: needs Prometheus, PostgreSQL and the user postgres');
      this.skip();
    }
    root = mkdtempSync(join(tmpdir(), 'pgswarm-monitoring-'));
    chmodSync(root, 0o755);
    operator = await operatorHere(empty(declared), key);
    const leaderPort = operator.port;
    instance = new InstanceProcess({
      ...{ root, cluster: CLUSTER, server: 'pg1', key, leaderPort, binDirectory },
    });
    await instance.start();
    metricsPort = await freePort();
    servers.push(
      await serveMetrics(
        { port: metricsPort, host: OPERATOR_ADDRESS },
        operator.metrics.exposition,
        createLogger({ silent: true }),
      ),
    );
    servers.push(passOn({ port: metricsPort, host: INSTANCE_ADDRESS }, () => instance.httpPort));
    const socket = join(root, 'docker.sock');
    const own = { cluster: CLUSTER, name: 'pg1' };
    servers.push(
      await dockerOfTasks(
        socket,
        [
          ...[{ service: 'pgswarm_operator', address: OPERATOR_ADDRESS, server: null, port: null }],
          ...[
            { service: 'pgswarm-orders-pg1', address: INSTANCE_ADDRESS, server: own, port: 5432 },
          ],
          ...[{ service: 'shop', address: '127.0.0.4', server: null, port: 80 }],
        ].map((task) => ({ ...task, node: 'n1' })),
      ),
    );
    prometheus = await Prometheus.start(programs, join(root, 'prometheus'), {
      socket,
      metricsPort,
    });
  });

  after(async () => {
    if (root === '') return;
    await prometheus.stop();
    await instance.die();
    await operator.stop();
    for (const server of servers) server.close();
    rmSync(root, { recursive: true, force: true });
  });

  /** Waits until Prometheus has seen it. */
  const becomes = async (expression: string, value: number): Promise<void> => {
    await eventually(async () => {
      expect(await prometheus.value(expression), expression).to.equal(value);
    });
  };
  const grows = async (expression: string, beyond: number): Promise<void> => {
    await eventually(async () => {
      expect(await prometheus.value(expression), expression).to.be.above(beyond);
    });
  };
  const shownBy = async (address: string): Promise<Response> =>
    await fetch(`http://${address}:${metricsPort}/metrics`);

  it('finds the operator and the instance through Docker, and nobody else', async () => {
    await becomes('sum(up)', 2);
    const targets = (await prometheus.query('up')).map(({ metric }) => metric);
    expect(
      targets.map(({ instance: name, node }) => `${name ?? ''} ${node ?? ''}`),
    ).to.have.members(['pgswarm_operator@n1 n1', 'pgswarm-orders-pg1@n1 n1']);
  });

  it('sees who leads, who is primary, and under which lease', async () => {
    await becomes('pgswarm_operator_leader', 1);
    await becomes('pgswarm_cluster_primary_up{cluster="orders"}', 1);
    await becomes('pgswarm_cluster_primary_info{cluster="orders", server="pg1"}', 1);
    await becomes('pgswarm_instance_role{cluster="orders", server="pg1", role="primary"}', 1);
    await becomes('pgswarm_cluster_lease_seconds', 5);
    const left = await prometheus.value('pgswarm_instance_lease_left_seconds');
    expect(left).to.be.within(0, 5);
  });

  it('counts rounds, decisions, writes and answers', async () => {
    await grows('sum(pgswarm_operator_decisions_total{rule="initialise"})', 0);
    const counts = [
      'pgswarm_operator_round_duration_seconds_count',
      'pgswarm_operator_store_writes_total{record="state", outcome="done"}',
      'pgswarm_operator_store_writes_total{record="leader", outcome="done"}',
      'pgswarm_instance_operator_request_duration_seconds_count',
    ];
    for (const count of counts) expect(await prometheus.value(count), count).to.be.above(1);
  });

  it('counts WAL that is archived, and the starts and crashes of PostgreSQL', async () => {
    await becomes('pgswarm_instance_up', 1);
    const before = await prometheus.value('pgswarm_instance_archived_bytes_total');
    await instance.sql('CREATE TABLE filled (n int); SELECT pg_switch_wal()');
    await eventually(async () =>
      expect(await prometheus.value('pgswarm_instance_archived_bytes_total')).to.be.above(before),
    );
    process.kill(instance.postmasterPid, 'SIGKILL');
    await grows('pgswarm_instance_postmaster_crashes_total', 0);
    await grows('pgswarm_instance_postmaster_starts_total', 1);
    await becomes('pgswarm_instance_up', 1);
  });

  it('promtool finds nothing wrong with what is shown', async () => {
    const exposition = await (await shownBy(OPERATOR_ADDRESS)).text();
    const response = await shownBy(INSTANCE_ADDRESS);
    expect(response.headers.get('content-type')).to.match(/^text\/plain; version=0\.0\.4/);
    shown = { operator: exposition, instance: await response.text() };
    for (const text of Object.values(shown)) await promtool(programs, ['check', 'metrics'], text);
  });

  it('no secret is shown', () => {
    for (const text of Object.values(shown)) {
      expect(text).to.not.match(/password/);
      expect(text).to.not.include(key.toString('hex'));
    }
  });

  for (const file of ['alerts.yml', 'dashboard.json']) {
    it(`all that ${file} names is shown`, () => {
      const types = Object.values(shown)
        .join('\n')
        .matchAll(/^# TYPE (\w+) (\w+)$/gm);
      const names = [...types].flatMap(([, name = '', kind]) =>
        kind === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
      );
      const named = metricsNamedIn(readMonitoring(file));
      expect(named.filter((name) => !names.includes(name))).to.deep.equal([]);
    });
  }

  it('Prometheus understands every panel of the dashboard, and most show something', async () => {
    const empties: string[] = [];
    const expressions = expressionsOf(readMonitoring('dashboard.json'));
    for (const expression of expressions) {
      const asked = expression.replaceAll('$cluster', CLUSTER).replaceAll('$__rate_interval', '1m');
      if ((await prometheus.query(asked)).length === 0) empties.push(asked);
    }
    expect(expressions).to.have.length.above(30);
    // One server without a backup, of which nothing is wrong, and perhaps nothing is decided.
    const absent = /backup_last|drill_last|window_start|condition|write_gap|lag_bytes|decisions/;
    expect(empties.filter((expression) => !absent.test(expression))).to.deep.equal([]);
  });

  it('Prometheus evaluates every alert', async () => {
    await eventually(async () => {
      const rules = await prometheus.rules();
      expect(rules.filter(({ health }) => health !== 'ok')).to.deep.equal([]);
      expect(rules.map(({ name }) => name)).to.deep.equal(alertRules().map(({ alert }) => alert));
    });
  });

  it('promtool finds nothing wrong with the files', async () => {
    await promtool(programs, ['check', 'rules', join(MONITORING, 'alerts.yml')]);
    await promtool(programs, ['check', 'config', join(MONITORING, 'prometheus.yml')]);
  });

  it('an operator that does not lead any more tells of no cluster', async () => {
    await operator.leadership.release();
    await becomes('pgswarm_operator_leader', 0);
    expect(await (await shownBy(OPERATOR_ADDRESS)).text()).to.not.match(/^pgswarm_cluster_/m);
    await eventually(async () =>
      expect(await prometheus.query('pgswarm_cluster_term')).to.deep.equal([]),
    );
  });
});

/** Another address for the same thing. */
function passOn(at: { port: number; host: string }, target: () => number): NetServer {
  const server = createServer((socket) => {
    const onwards = connect(target(), '127.0.0.1');
    socket.on('error', () => onwards.destroy()).pipe(onwards);
    onwards.on('error', () => socket.destroy()).pipe(socket);
  });
  return server.listen(at.port, at.host);
}

function expressionsOf(dashboard: string): readonly string[] {
  const { panels } = JSON.parse(dashboard) as {
    panels: readonly { targets?: readonly { expr: string }[] }[];
  };
  return panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
}
