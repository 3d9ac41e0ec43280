import { expect } from 'chai';
import { parameterText, withDefaults } from '../../src/core/defaults';
import { document, server, withPostgres } from '../support/documents';

describe('defaults', () => {
  it('fill in everything that is left out', () => {
    expect(withDefaults(document())).to.deep.equal({
      cluster: 'orders',
      image: null,
      postgres: {
        version: 17,
        parameters: {},
        hba: ['host all all all scram-sha-256'],
        database: 'app',
        owner: 'app',
      },
      network: { subnet: '10.0.200.0/24' },
      primary: 'pg1',
      servers: [
        { name: 'pg1', node: { hostname: 'n1' }, port: 5432 },
        { name: 'pg2', node: { hostname: 'n2' }, port: 5432 },
      ],
      switchover: { lagBytesMax: 16_777_216, timeoutMs: 10_000 },
      replication: { synchronous: null },
      failover: {
        mode: 'automatic',
        ttlMs: 5000,
        lagBytesMax: 16_777_216,
        delayMs: 0,
        priorities: {},
        failback: 'hold',
        failbackAfterMs: 300_000,
      },
      update: { primary: 'automatic' },
      archive: { compression: 'zstd', timeoutMs: 300_000 },
      backup: { retention: { keep: null, maxAgeMs: null }, schedules: [] },
    });
  });

  it('make a server late that is fed from the archive or delayed, and no other one', () => {
    const { servers } = withDefaults(
      document({
        servers: [
          { ...server('pg1', 'n1'), replication: 'streaming', hotStandby: true, applyDelay: '0s' },
          { ...server('pg2', 'n2'), applyDelay: '1h' },
          { ...server('pg3', 'n3'), replication: 'archive', hotStandby: false },
        ],
      }),
    );
    expect(servers.map(({ late }) => late)).to.deep.equal([
      undefined,
      { replication: 'streaming', hotStandby: true, applyDelayMs: 3_600_000 },
      { replication: 'archive', hotStandby: false, applyDelayMs: 0 },
    ]);
  });

  it('leave alone what is given, also where only a part of a group is', () => {
    const spec = withDefaults(
      document({
        image: 'mine:17',
        postgres: { version: 17, database: 'ledger', hba: [] },
        switchover: { timeout: '2m' },
        failover: { mode: 'manual', maxLag: '0B', priorities: { pg2: 0, pg1: 7 } },
        replication: { synchronous: { number: 1 } },
      }),
    );
    expect(spec.image).to.equal('mine:17');
    expect(spec.postgres).to.deep.include({ database: 'ledger', owner: 'app', hba: [] });
    expect(spec.switchover).to.deep.equal({ lagBytesMax: 16_777_216, timeoutMs: 120_000 });
    expect(spec.failover).to.deep.include({ mode: 'manual', ttlMs: 5000, lagBytesMax: 0 });
    expect(Object.entries(spec.failover.priorities)).to.deep.equal([
      ['pg1', 7],
      ['pg2', 0],
    ]);
    expect(spec.replication.synchronous).to.deep.equal({
      mode: 'any',
      number: 1,
      durability: 'preferred',
    });
  });

  it('know what a schedule does not say', () => {
    const { backup } = withDefaults(
      document({
        backup: {
          retention: { maxAge: '14d' },
          schedules: [
            { name: 'nightly', schedule: '@daily' },
            { name: 'dump', schedule: '@weekly', method: 'dump', server: 'pg2', suspend: true },
          ],
        },
      }),
    );
    expect(backup.retention).to.deep.equal({ keep: null, maxAgeMs: 14 * 86_400_000 });
    const [nightly, dump] = backup.schedules;
    expect(nightly).to.deep.equal({
      name: 'nightly',
      schedule: '@daily',
      timeZone: 'UTC',
      method: 'base',
      incremental: false,
      server: null,
      suspend: false,
    });
    expect(dump).to.deep.include({ method: 'dump', server: 'pg2', suspend: true });
  });

  it('sort the servers, whatever their order in the file', () => {
    const servers = [server('pg10', 'n3', 5440), server('pg2', 'n2'), server('pg1', 'n1')];
    const spec = withDefaults(document({ servers }));
    expect(spec.servers.map(({ name, port }) => [name, port])).to.deep.equal([
      ['pg1', 5432],
      ['pg10', 5440],
      ['pg2', 5432],
    ]);
  });

  it('keep the one way in which a node is chosen', () => {
    const servers = [
      { name: 'pg1', node: { labels: { rack: 'b', disk: 'fast' } } },
      { name: 'pg2', node: { id: '24ifsmvkjbyhk0a7xjf2q3v5d' } },
    ];
    const spec = withDefaults(document({ servers }));
    expect(spec.servers.map(({ node }) => JSON.stringify(node))).to.deep.equal([
      '{"labels":{"disk":"fast","rack":"b"}}',
      '{"id":"24ifsmvkjbyhk0a7xjf2q3v5d"}',
    ]);
  });

  for (const [value, text] of [
    [true, 'on'],
    [false, 'off'],
    [200, '200'],
    [0.9, '0.9'],
    ['256MB', '256MB'],
  ] as const) {
    it(`write the parameter ${JSON.stringify(value)} as ${text}`, () =>
      expect(parameterText(value)).to.equal(text));
  }

  it('write the parameters in one order', () => {
    const spec = withDefaults(withPostgres({ parameters: { work_mem: '4MB', jit: false } }));
    expect(Object.entries(spec.postgres.parameters)).to.deep.equal([
      ['jit', 'off'],
      ['work_mem', '4MB'],
    ]);
  });

  it('do not change the document', () => {
    const given = document({ servers: [server('pg2', 'n2'), server('pg1', 'n1')] });
    const before = structuredClone(given);
    withDefaults(given);
    expect(given).to.deep.equal(before);
  });
});
