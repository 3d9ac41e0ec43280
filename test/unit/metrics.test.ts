import { type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { expect } from 'chai';
import { register } from 'prom-client';
import { createLogger } from 'winston';
import { Exposition } from '../../src/adapters/metrics/exposition';
import { serveMetrics } from '../../src/adapters/metrics/metrics-server';
import { type ControlAnswer, type ControlPort } from '../../src/adapters/control/client';
import { parseWalFile } from '../../src/core/archive/wal-files';
import { decide } from '../../src/core/decide';
import { OperatingError } from '../../src/core/errors';
import { clusterFamilies, clusterSamples } from '../../src/core/metrics/cluster';
import { counter, gauge, type Sample } from '../../src/core/metrics/family';
import { instanceSamples, type InstanceSeen } from '../../src/core/metrics/instance';
import { type Situation, viewOf } from '../../src/core/situation';
import { statusOf } from '../../src/core/status';
import { type Report } from '../../src/core/protocol';
import { type Loss } from '../../src/core/state';
import { Archiver } from '../../src/instance/archive/archiver';
import { InstanceMetrics } from '../../src/instance/instance-metrics';
import { measuredLoop, measuredStore } from '../../src/operator/measured';
import { metricsPort } from '../../src/operator/metrics-port';
import { failureOf } from '../support/failure';
import { MemoryStore } from '../support/memory-store';
import { NOW_MS, running, switchover, withReport, withState } from '../support/world';

const MEGABYTE = 1024 * 1024;

const samplesOf = (situation: Situation): readonly Sample[] =>
  clusterSamples(statusOf(viewOf(situation, situation.state!), decide(situation)));

/** The value of one series, by all of its labels but the cluster; null: it is not there. */
function valueIn(
  samples: readonly Sample[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | null {
  const wanted = JSON.stringify(Object.entries({ cluster: 'orders', ...labels }).toSorted());
  const found = samples.filter(
    (each) =>
      each.name === name && JSON.stringify(Object.entries(each.labels).toSorted()) === wanted,
  );
  expect(found).to.have.length.at.most(1);
  return found[0]?.value ?? null;
}

const archive: NonNullable<Report['archive']> = {
  last: { file: '000000010000000000000003', at: '2026-01-01T00:09:00.000Z' },
  failure: { file: '000000010000000000000004', forMs: 60_000, reason: 'Full', message: 'no room' },
  waiting: 3,
  pausedLeftMs: null,
  room: { sizeBytes: 100 * MEGABYTE, freeBytes: 5 * MEGABYTE, fullInMs: 30_000, stage: 'short' },
  window: {
    timeline: 1,
    points: {
      earliest: { lsn: '0/200', at: '2026-01-01T00:00:00.000Z' },
      latest: { lsn: '0/300', at: null },
    },
    because: null,
    isDisturbed: false,
  },
};

const backup: Report['backups'][number] = {
  id: 'b1',
  method: 'base',
  parent: null,
  format: 'tar',
  compression: 'zstd',
  server: 'pg2',
  wal: null,
  startedAt: '2026-01-01T00:01:00.000Z',
  stoppedAt: '2026-01-01T00:01:30.000Z',
  bytes: 7000,
  because: 'test',
  verification: null,
  retention: null,
};

const loss: Loss = { term: 1, server: 'pg1', at: '', estimatedBytes: 40, measured: null };
const lastChange = { kind: 'failover', from: 'pg2', to: 'pg1', lostBytes: 40 } as const;
const at = '2026-01-01T00:05:00.000Z';
const lastDrill = {
  ...{ id: 'd1', server: 'pg2', at, backup: 'b1', restoredTo: null, problem: null },
  durations: { unpackMs: 1000, recoverMs: 2000, checkMs: 500 },
};

describe('a cluster as metrics', () => {
  const pair = running();
  const rows: readonly {
    readonly name: string;
    readonly of: Situation;
    readonly metric: keyof typeof clusterFamilies;
    readonly labels?: Readonly<Record<string, string>>;
    readonly value: number | null;
  }[] = [
    {
      name: 'the phase that it is in',
      of: pair,
      metric: 'pgswarm_cluster_phase',
      labels: { phase: 'Ready' },
      value: 1,
    },
    {
      name: 'a phase that it is not in',
      of: pair,
      metric: 'pgswarm_cluster_phase',
      labels: { phase: 'Failover' },
      value: 0,
    },
    { name: 'a primary at work', of: pair, metric: 'pgswarm_cluster_primary_up', value: 1 },
    {
      name: 'a primary that is silent',
      of: withReport(pair, 'pg1', null),
      metric: 'pgswarm_cluster_primary_up',
      value: 0,
    },
    {
      name: 'no primary in the midst of a switchover',
      of: switchover().stopping,
      metric: 'pgswarm_cluster_primary_up',
      value: 0,
    },
    {
      name: 'who is primary, though it is silent',
      of: withReport(pair, 'pg1', null),
      metric: 'pgswarm_cluster_primary_info',
      labels: { server: 'pg1' },
      value: 1,
    },
    {
      name: 'a condition that is true',
      of: pair,
      metric: 'pgswarm_cluster_condition',
      labels: { type: 'ServersReady' },
      value: 1,
    },
    {
      name: 'a condition that is not',
      of: withReport(pair, 'pg2', null),
      metric: 'pgswarm_cluster_condition',
      labels: { type: 'ServersReady' },
      value: 0,
    },
    {
      name: 'the rule that decides',
      of: pair,
      metric: 'pgswarm_cluster_decision_info',
      labels: { rule: 'steady' },
      value: 1,
    },
    {
      name: 'the gap of the last change',
      of: withState(pair, { lastChange: { ...lastChange, writeGapMs: 1500, at } }),
      metric: 'pgswarm_cluster_last_change_write_gap_seconds',
      labels: { kind: 'failover' },
      value: 1.5,
    },
    {
      name: 'no gap when nobody has measured it',
      of: withState(pair, { lastChange: { ...lastChange, writeGapMs: null, at } }),
      metric: 'pgswarm_cluster_last_change_write_gap_seconds',
      labels: { kind: 'failover' },
      value: null,
    },
    {
      name: 'what the last change has lost',
      of: withState(pair, { lastChange: { ...lastChange, writeGapMs: null, at } }),
      metric: 'pgswarm_cluster_last_change_lost_bytes',
      labels: { kind: 'failover' },
      value: 40,
    },
    {
      name: 'what was lost in all',
      of: withState(pair, { losses: [loss, { ...loss, estimatedBytes: 2 }] }),
      metric: 'pgswarm_cluster_losses_bytes',
      value: 42,
    },
    {
      name: 'a server that is silent',
      of: withReport(pair, 'pg2', null),
      metric: 'pgswarm_server_known',
      labels: { server: 'pg2' },
      value: 0,
    },
    {
      name: 'a standby that streams',
      of: pair,
      metric: 'pgswarm_server_streaming',
      labels: { server: 'pg2' },
      value: 1,
    },
    {
      name: 'nothing of streaming of the primary',
      of: pair,
      metric: 'pgswarm_server_streaming',
      labels: { server: 'pg1' },
      value: null,
    },
    {
      name: 'how far behind a standby is',
      of: pair,
      metric: 'pgswarm_server_lag_bytes',
      labels: { server: 'pg2' },
      value: 0,
    },
    {
      name: 'no lag of a server that is silent',
      of: withReport(pair, 'pg2', null),
      metric: 'pgswarm_server_lag_bytes',
      labels: { server: 'pg2' },
      value: null,
    },
    {
      name: 'room in an archive volume',
      of: withReport(pair, 'pg2', { archive }),
      metric: 'pgswarm_server_volume_full_in_seconds',
      labels: { server: 'pg2', volume: 'archive' },
      value: 30,
    },
    {
      name: 'no forecast of a volume that does not get fuller',
      of: withReport(pair, 'pg2', {
        archive: { ...archive, room: { ...archive.room!, fullInMs: null } },
      }),
      metric: 'pgswarm_server_volume_full_in_seconds',
      labels: { server: 'pg2', volume: 'archive' },
      value: null,
    },
    {
      name: 'since when archiving fails',
      of: withReport(pair, 'pg2', { archive }),
      metric: 'pgswarm_server_archive_failing_since_timestamp_seconds',
      labels: { server: 'pg2' },
      value: Date.parse('2026-01-01T00:09:00.000Z') / 1000,
    },
    {
      name: 'the beginning of the recovery window',
      of: withReport(pair, 'pg2', { archive }),
      metric: 'pgswarm_server_recovery_window_start_timestamp_seconds',
      labels: { server: 'pg2' },
      value: Date.parse('2026-01-01T00:00:00.000Z') / 1000,
    },
    {
      name: 'no end of the recovery window when nobody knows it',
      of: withReport(pair, 'pg2', { archive }),
      metric: 'pgswarm_server_recovery_window_end_timestamp_seconds',
      labels: { server: 'pg2' },
      value: null,
    },
    {
      name: 'how old the newest backup is',
      of: withReport(pair, 'pg2', { backups: [backup] }),
      metric: 'pgswarm_cluster_backup_last_success_timestamp_seconds',
      labels: { method: 'base' },
      value: Date.parse(backup.stoppedAt) / 1000,
    },
    {
      name: 'how long it took',
      of: withReport(pair, 'pg2', { backups: [backup] }),
      metric: 'pgswarm_cluster_backup_last_success_duration_seconds',
      labels: { method: 'base' },
      value: 30,
    },
    {
      name: 'no backup',
      of: pair,
      metric: 'pgswarm_cluster_backups',
      labels: { method: 'base' },
      value: 0,
    },
    {
      name: 'a backup that is broken as none',
      of: withReport(pair, 'pg2', {
        backups: [{ ...backup, verification: { at, problem: 'a file is missing' } }],
      }),
      metric: 'pgswarm_cluster_backups',
      labels: { method: 'base' },
      value: 0,
    },
    {
      name: 'how long the last drill took',
      of: withState(pair, { lastDrill }),
      metric: 'pgswarm_cluster_drill_last_duration_seconds',
      value: 3.5,
    },
    {
      name: 'no drill when there was none',
      of: pair,
      metric: 'pgswarm_cluster_drill_last_timestamp_seconds',
      value: null,
    },
    {
      name: 'what is left of the lease',
      of: withLease(pair),
      metric: 'pgswarm_cluster_lease_left_seconds',
      value: 3,
    },
  ];
  for (const { name, of, metric, labels, value } of rows) {
    it(`shows ${name}`, () => expect(valueIn(samplesOf(of), metric, labels)).to.equal(value));
  }

  it('sets no series twice, and none without its labels', () => {
    const full = withReport(withState(withLease(pair), { lastDrill }), 'pg2', {
      archive,
      backups: [backup, { ...backup, id: 'b2', method: 'dump' }],
    });
    const samples = samplesOf(full);
    const series = samples.map(({ name, labels }) => JSON.stringify([name, labels]));
    expect(new Set(series).size).to.equal(series.length);
    for (const { name, labels } of samples) {
      const family = clusterFamilies[name as keyof typeof clusterFamilies];
      expect(Object.keys(labels), name).to.have.members([...family.labels]);
    }
  });

  it('has names and words in its labels, and never a sentence', () => {
    const values = samplesOf(withReport(pair, 'pg2', null)).flatMap(({ labels }) =>
      Object.values(labels),
    );
    expect(values.filter((value) => !/^[\w-]+$/.test(value))).to.deep.equal([]);
  });
});

function withLease(situation: Situation): Situation {
  const grants = [{ endsAtMs: NOW_MS + 3000, taskId: null }];
  const contract = { ttlMs: 5000, peers: ['pg2'] };
  const observation = { ...situation.observation, grants };
  return withState({ ...situation, observation }, { contract });
}

describe('an instance as metrics', () => {
  const running = { systemIdentifier: '7', timeline: 2, pendingRestart: [] };
  const seen = (postgres: Report['postgres']): InstanceSeen => ({
    report: { postgres, obeys: null, archive: null },
    isHealthy: true,
    leaseLeftMs: null,
    contactAgeMs: 250,
  });
  const value = (postgres: Report['postgres'], name: string): number | null =>
    instanceSamples(seen(postgres)).find((each) => each.name === name)?.value ?? null;
  const standby: Report['postgres'] = {
    ...{ state: 'standby', ...running, upstreamLsn: null, receiver: null },
    receivedLsn: '1/10',
    replayedLsn: '1/0',
  };
  const stopped: Report['postgres'] = { state: 'stopped', control: null, standbySignal: false };

  it('is up while PostgreSQL answers', () => {
    expect(value(standby, 'pgswarm_instance_up')).to.equal(1);
    expect(value(stopped, 'pgswarm_instance_up')).to.equal(0);
  });

  it('tells where its WAL is, as a number of bytes', () => {
    expect(value(standby, 'pgswarm_instance_wal_position_bytes')).to.equal(2 ** 32);
    expect(value(standby, 'pgswarm_instance_wal_received_position_bytes')).to.equal(2 ** 32 + 16);
    expect(value(stopped, 'pgswarm_instance_wal_position_bytes')).to.equal(null);
  });

  it('tells of no lease that it does not need, and for how long no leader has answered', () => {
    expect(value(standby, 'pgswarm_instance_lease_left_seconds')).to.equal(null);
    expect(value(standby, 'pgswarm_instance_leader_silence_seconds')).to.equal(0.25);
  });
});

describe('an exposition', () => {
  it('reads its sources when it is asked, and forgets what is not there any more', async () => {
    let samples: readonly Sample[] = [];
    const exposition = new Exposition({ cluster: 'orders' });
    exposition.add({
      families: {
        some: gauge('Some.', 'server'),
        other: gauge('Other.'),
        ticks_total: counter('T.'),
      },
      read: () => samples,
    });
    expect(await exposition.text()).to.not.match(/^(some|other)/m);
    samples = [
      { name: 'some', labels: { server: 'pg1' }, value: 3 },
      { name: 'other', labels: {}, value: 4 },
      { name: 'ticks_total', labels: {}, value: 5 },
    ];
    await exposition.text();
    const text = await exposition.text();
    expect(text).to.match(/^some\{server="pg1",cluster="orders"\} 3$/m);
    expect(text).to.match(/^other\{cluster="orders"\} 4$/m);
    expect(text).to.match(/^ticks_total\{cluster="orders"\} 5$/m);
    samples = [];
    expect(await exposition.text()).to.not.match(/^(some|other)/m);
  });

  it('uses a registry of its own', async () => {
    new Exposition().add({ families: { lonely: gauge('Lonely.') }, read: () => [] });
    expect(await register.metrics()).to.not.match(/lonely/);
  });
});

describe('where Prometheus asks', () => {
  let server: Server;
  const exposition = new Exposition();
  let isBroken = false;
  exposition.add({
    families: { some: gauge('Some.') },
    read: () => {
      if (isBroken) throw new Error('it cannot be read');
      return [{ name: 'some', labels: {}, value: 3 }];
    },
  });
  const ask = async (path: string): Promise<Response> => {
    const { port } = server.address() as AddressInfo;
    return await fetch(`http://127.0.0.1:${port}${path}`);
  };
  before(async () => {
    server = await serveMetrics(
      { port: 0, host: '127.0.0.1' },
      exposition,
      createLogger({ silent: true }),
    );
  });
  after(() => {
    server.close();
    server.closeAllConnections();
  });

  it('is /metrics, and no other path', async () => {
    const response = await ask('/metrics');
    expect(response.headers.get('content-type')).to.include('text/plain; version=0.0.4');
    expect(await response.text()).to.include('\nsome 3\n');
    expect((await ask('/')).status).to.equal(404);
  });

  it('says what is broken, and stays there', async () => {
    isBroken = true;
    const response = await ask('/metrics');
    expect(response.status).to.equal(500);
    expect(await response.text()).to.include('it cannot be read');
    isBroken = false;
    expect((await ask('/metrics')).status).to.equal(200);
  });
});

describe('what is counted of the operator', () => {
  it('a round, by how it ended', async () => {
    const rounds: unknown[] = [];
    let nowMs = 0;
    let hasSteps = true;
    const loop = measuredLoop(
      {
        observe: () => {
          nowMs += 10;
          return Promise.resolve('done');
        },
        decide: () => ({ hasSteps }),
        apply: () => {
          nowMs += 5;
          return Promise.resolve('done');
        },
        failed: () => 'stale',
      },
      { monotonicMs: () => nowMs },
      { round: (...told) => rounds.push(told) },
    );
    await loop.observe();
    loop.decide();
    await loop.apply();
    hasSteps = false;
    await loop.observe();
    loop.decide();
    await loop.observe();
    loop.failed(new Error('it has moved'));
    expect(rounds).to.deep.equal([
      [15, null],
      [10, null],
      [10, 'stale'],
    ]);
  });

  it('a write, by what was written and how it ended', async () => {
    const writes: string[] = [];
    const store = measuredStore(new MemoryStore(), {
      written: (record, outcome) => writes.push(`${record} ${outcome}`),
    });
    const record = await store.create('pgswarm.leader', 1);
    await store.update(record, 2);
    const error = await failureOf(store.update(record, 3));
    expect(error).to.be.instanceOf(OperatingError);
    await store.create('pgswarm.orders.state', 1);
    expect(writes).to.deep.equal(['leader done', 'leader done', 'leader stale', 'state done']);
  });
});

describe('what is counted of an instance', () => {
  const control = (beat: ControlPort['beat']): ControlPort => ({
    beat,
    watch: () => Promise.resolve(),
    close: () => undefined,
  });
  let metrics: InstanceMetrics;
  const shows = async (name: string, value: number): Promise<void> => {
    const text = await metrics.exposition.text();
    expect(text).to.include(`\npgswarm_instance_${name}{cluster="orders",server="pg1"} ${value}\n`);
  };
  beforeEach(() => {
    metrics = new InstanceMetrics({ cluster: 'orders', server: 'pg1' });
  });

  it('starts, crashes and fences, each for itself', async () => {
    metrics.started();
    metrics.started();
    metrics.started();
    metrics.crashed();
    metrics.crashed();
    metrics.fenced();
    await shows('postmaster_starts_total', 3);
    await shows('postmaster_crashes_total', 2);
    await shows('fences_total', 1);
  });

  it('reports that were answered, and those that were not', async () => {
    const answer = {} as ControlAnswer;
    expect(await metrics.timed(control(() => Promise.resolve(answer))).beat({} as Report)).to.equal(
      answer,
    );
    const nobody = new OperatingError('transient', 'NoLeader', 'nobody leads');
    const silent = metrics.timed(control(() => Promise.reject(nobody)));
    expect(await failureOf(silent.beat({} as Report))).to.equal(nobody);
    await shows('operator_request_duration_seconds_count', 1);
    await shows('operator_request_failures_total', 1);
  });

  it('WAL that was archived, and attempts that failed', async () => {
    const file = parseWalFile('000000010000000000000003')!;
    let isFull = true;
    const archiver = new Archiver({
      store: { put: () => (isFull ? Promise.reject(new Error('full')) : Promise.resolve()) },
      walDirectory: '/nowhere',
      segmentBytes: MEGABYTE,
      meter: metrics,
      log: createLogger({ silent: true }),
      onChange: () => undefined,
    } as ConstructorParameters<typeof Archiver>[0]);
    await archiver.archive(file, '/nowhere/3');
    isFull = false;
    await archiver.archive(file, '/nowhere/3');
    await shows('archive_failures_total', 1);
    await shows('archive_duration_seconds_count', 1);
    await shows('archived_bytes_total', MEGABYTE);
  });
});

describe('the port of an operator’s metrics', () => {
  it('is the one that is given, a default, or none', () => {
    expect([undefined, '', '9000', 'off'].map(metricsPort)).to.deep.equal([7701, 7701, 9000, null]);
  });

  for (const wrong of ['0', '70000', 'on', '77.5']) {
    it(`is not ${wrong}`, () => {
      expect(() => metricsPort(wrong)).to.throw('PGSWARM_METRICS_PORT');
    });
  }
});
