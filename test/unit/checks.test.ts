import { expect } from 'chai';
import { checkSpec, type OtherCluster } from '../../src/core/checks';
import {
  errorAt,
  formatFindings,
  hasErrors,
  sortFindings,
  warningAt,
} from '../../src/core/findings';
import { type PostgresCluster, type Server } from '../../src/core/generated';
import { OWNED_PARAMETER_NAMES } from '../../src/core/settings';
import { document, server, withPostgres } from '../support/documents';

interface Row {
  readonly name: string;
  readonly document: PostgresCluster;
  readonly others?: readonly OtherCluster[];
  /** `path: message`, all of them. */
  readonly findings: readonly string[];
  /** A part of the first finding's hint. */
  readonly hint?: string;
}

const parameters = (
  name: string,
  value: string | number | boolean,
  ...findings: readonly string[]
): Row => ({
  name: `parameter ${name} = ${JSON.stringify(value)}`,
  document: withPostgres({ parameters: { [name]: value } }),
  findings: findings.map((message) => `spec.postgres.parameters.${name}: ${message}`),
});

const hba = (line: string, ...findings: readonly string[]): Row => ({
  name: `hba line ${JSON.stringify(line)}`,
  document: withPostgres({ hba: [line] }),
  findings: findings.map((message) => `spec.postgres.hba[0]: ${message}`),
});

const ledger: OtherCluster = {
  cluster: 'ledger',
  subnet: '10.0.200.128/25',
  servers: [{ name: 'pg1', node: { hostname: 'n1' }, port: 5432 }],
};

const labelled = (name: string, labels: Record<string, string>, port?: number) => ({
  name,
  node: { labels },
  ...(port === undefined ? {} : { port }),
});

/** A sound pair, and two servers more. */
const withLate = (
  pg3: Partial<Server>,
  pg4: Partial<Server>,
  changes: Partial<PostgresCluster['spec']> = {},
): PostgresCluster =>
  document({
    servers: [
      server('pg1', 'n1'),
      server('pg2', 'n2'),
      { ...server('pg3', 'n3'), ...pg3 },
      { ...server('pg4', 'n4'), ...pg4 },
    ],
    ...changes,
  });

const SERVERS: readonly Row[] = [
  { name: 'a sound cluster', document: document(), findings: [] },
  {
    name: 'one server',
    document: document({ servers: [server('pg1', 'n1')] }),
    findings: [],
  },
  {
    name: 'a server twice',
    document: document({ servers: [server('pg1', 'n1'), server('pg1', 'n2')] }),
    findings: ['spec.servers[1].name: there is a server pg1 already, at spec.servers[0]'],
  },
  {
    name: 'a primary that is no server',
    document: document({ primary: 'pg3' }),
    findings: ['spec.primary: there is no server "pg3"'],
    hint: 'pg1, pg2',
  },
  {
    name: 'a server fed from the archive, and a delayed one',
    document: withLate({ replication: 'archive', hotStandby: false }, { applyDelay: '1h' }),
    findings: [],
  },
  {
    name: 'a declared primary that is late on purpose',
    document: document({
      servers: [{ ...server('pg1', 'n1'), applyDelay: '1h' }, server('pg2', 'n2')],
    }),
    findings: ['spec.primary: pg1 has `applyDelay: 1h`: it follows a primary, and cannot be it'],
  },
  {
    name: 'nobody but late standbys',
    document: document({
      servers: [server('pg1', 'n1'), { ...server('pg2', 'n2'), replication: 'archive' }],
    }),
    findings: [
      'spec.servers: every standby is late on purpose: nobody can take over when pg1 is gone',
    ],
  },
  {
    name: 'a commit that would have to wait for a late standby',
    document: withLate(
      { replication: 'archive' },
      { applyDelay: '1h' },
      { replication: { synchronous: { number: 2 } } },
    ),
    findings: [
      'spec.replication.synchronous.number: 2 standbys must have every commit, and there is 1',
    ],
  },
  {
    name: 'a late standby with a priority',
    document: withLate(
      { replication: 'archive' },
      { applyDelay: '1h' },
      { failover: { priorities: { pg3: 0, pg4: 50 } } },
    ),
    findings: [
      'spec.failover.priorities.pg4: pg4 has `applyDelay: 1h`: it never takes over by itself',
    ],
  },
  {
    name: 'a streaming standby that does not answer',
    document: withLate({ hotStandby: false }, {}),
    findings: [
      'spec.servers[2].hotStandby: a standby that streams must answer queries: it may have to take over',
    ],
    hint: '`replication: archive`',
  },
  {
    name: 'delays that are no delays',
    document: withLate({ applyDelay: '1ms' }, { applyDelay: '30d' }),
    findings: [
      'spec.servers[2].applyDelay: nobody would notice a mistake in so short a time',
      'spec.servers[3].applyDelay: PostgreSQL cannot wait so long',
    ],
  },
  {
    name: 'a feed of whole segments only',
    document: withLate({ replication: 'archive' }, {}, { archive: { timeout: '0s' } }),
    findings: [
      'spec.servers[2].replication: pg3 gets only whole segments of WAL: while little is written it may fall behind by days',
    ],
  },
  {
    name: 'two servers on one port of a hostname',
    document: document({ servers: [server('pg1', 'n1'), server('pg2', 'n1', 5432)] }),
    findings: ['spec.servers[1].port: port 5432 of this node belongs to server pg1'],
  },
  {
    name: 'two servers on two ports of a hostname',
    document: document({ servers: [server('pg1', 'n1'), server('pg2', 'n1', 5433)] }),
    findings: [],
  },
  {
    name: 'two servers on one port of the same labels, in another order',
    document: document({
      servers: [
        labelled('pg1', { rack: 'b', disk: 'fast' }),
        labelled('pg2', { disk: 'fast', rack: 'b' }),
      ],
    }),
    findings: ['spec.servers[1].port: port 5432 of this node belongs to server pg1'],
  },
  {
    name: 'two servers on two labels',
    document: document({
      servers: [labelled('pg1', { rack: 'a' }), labelled('pg2', { rack: 'b' })],
    }),
    findings: [],
  },
  {
    name: 'two servers on one port of one id',
    document: document({
      servers: [
        { name: 'pg1', node: { id: '24ifsmvkjbyhk0a7xjf2q3v5d' } },
        { name: 'pg2', node: { id: '24ifsmvkjbyhk0a7xjf2q3v5d' } },
      ],
    }),
    findings: ['spec.servers[1].port: port 5432 of this node belongs to server pg1'],
  },
  {
    name: 'no label at all',
    document: document({ servers: [server('pg1', 'n1'), labelled('pg2', {})] }),
    findings: ['spec.servers[1].node.labels: no label is given, and that fits every node'],
  },
  {
    name: "a port of Swarm's own",
    document: document({ servers: [server('pg1', 'n1', 2377), server('pg2', 'n2', 7946)] }),
    findings: [
      'spec.servers[0].port: Swarm itself listens on port 2377 of every node',
      'spec.servers[1].port: Swarm itself listens on port 7946 of every node',
    ],
  },
  {
    name: 'names that make too long a service name',
    document: document(
      { primary: 'pg1', servers: [server('pg1', 'n1'), server('b'.repeat(25), 'n2')] },
      'a'.repeat(30),
    ),
    findings: [
      `spec.servers[1].name: the names of the cluster and of the server "${'b'.repeat(25)}" are too long together`,
    ],
    hint: 'by 1 characters',
  },
  {
    name: 'names that just fit',
    document: document(
      { servers: [server('pg1', 'n1'), server('b'.repeat(24), 'n2')] },
      'a'.repeat(30),
    ),
    findings: [],
  },
  {
    name: "another cluster's port",
    document: document({ network: { subnet: '10.0.201.0/24' } }),
    others: [ledger],
    findings: [
      'spec.servers[0].port: port 5432 of this node belongs to server pg1 of cluster ledger',
    ],
  },
  {
    name: "another cluster's service name",
    document: document({ primary: 'b-c', servers: [server('b-c', 'n2')] }, 'a'),
    others: [
      { cluster: 'a-b', subnet: '10.9.0.0/24', servers: [{ name: 'c', node: { hostname: 'n1' } }] },
    ],
    findings: [
      'spec.servers[0].name: the service pgswarm-a-b-c belongs to server c of cluster a-b',
    ],
  },
  {
    name: 'the cluster itself among the others',
    document: document({}, 'ledger'),
    others: [ledger],
    findings: [],
  },
];

const network = (subnet: string, servers = 2): PostgresCluster =>
  document({
    network: { subnet },
    servers: Array.from({ length: servers }, (_, index) =>
      server(`pg${index + 1}`, `n${index + 1}`),
    ),
  });

const NETWORK: readonly Row[] = [
  {
    name: 'not a subnet',
    document: network('10.0.200.0'),
    findings: ['spec.network.subnet: "10.0.200.0" is not an IPv4 subnet'],
  },
  {
    name: "another cluster's subnet",
    document: document({ servers: [server('pg1', 'n3')] }),
    others: [ledger],
    findings: [
      'spec.network.subnet: 10.0.200.0/24 overlaps 10.0.200.128/25, the subnet of cluster ledger',
    ],
  },
  {
    name: 'too small for two servers',
    document: network('10.0.200.0/29'),
    findings: ['spec.network.subnet: 10.0.200.0/29 has 8 addresses, and 2 servers need 9'],
    hint: '/28',
  },
  { name: 'just large enough', document: network('10.0.200.0/28'), findings: [] },
  { name: 'a /26 for 16 servers', document: network('10.0.200.0/26', 16), findings: [] },
  {
    name: 'too small for 16 servers',
    document: network('10.0.200.0/27', 16),
    findings: ['spec.network.subnet: 10.0.200.0/27 has 32 addresses, and 16 servers need 51'],
    hint: '/26',
  },
  {
    name: 'a public range is a warning',
    document: network('8.8.8.0/24'),
    findings: [
      'spec.network.subnet: 8.8.8.0/24 is not a private range: the servers cannot reach what really has these addresses',
    ],
  },
  {
    name: 'loopback',
    document: network('127.0.0.0/24'),
    findings: ['spec.network.subnet: 127.0.0.0/24 holds addresses that no network can have'],
  },
  {
    name: 'everything',
    document: network('0.0.0.0/0'),
    findings: ['spec.network.subnet: 0.0.0.0/0 holds addresses that no network can have'],
  },
];

const owned = (name: string, reason: string): Row =>
  parameters(name, 'x', `${name} belongs to pgswarm: ${reason}`);

const PARAMETERS: readonly Row[] = [
  parameters('shared_buffers', '256MB'),
  parameters('shared_preload_libraries', 'pg_stat_statements'),
  parameters('pg_stat_statements.max', 1000),
  parameters('autovacuum', true),
  owned(
    'primary_conninfo',
    'it says whom a standby follows, and pgswarm changes that with every change of primary',
  ),
  owned(
    'primary_slot_name',
    'it says whom a standby follows, and pgswarm changes that with every change of primary',
  ),
  owned(
    'restore_command',
    'every server archives its WAL, and restores from its own and its peers’ archives',
  ),
  owned(
    'archive_mode',
    'every server archives its WAL, and restores from its own and its peers’ archives',
  ),
  owned(
    'archive_library',
    'every server archives its WAL, and restores from its own and its peers’ archives',
  ),
  owned('port', 'PostgreSQL always listens on 5432 in its container'),
  owned('listen_addresses', 'the other servers and the published port must reach it'),
  owned(
    'recovery_target_time',
    'it ends recovery at a point; a standby follows its primary for ever',
  ),
  owned('ssl', 'TLS is not part of this version'),
  owned('ssl_cert_file', 'TLS is not part of this version'),
  owned('full_page_writes', 'without it a crash or a copy leaves pages that are silently wrong'),
  owned('include_if_exists', 'a file that is not in the spec would differ from server to server'),
  {
    name: 'an owned parameter in capitals',
    document: withPostgres({ parameters: { FSync: false } }),
    findings: [
      'spec.postgres.parameters.FSync: fsync belongs to pgswarm: without it a crash or a copy leaves pages that are silently wrong',
    ],
  },
  parameters(
    'data_checksums',
    true,
    'data_checksums is a preset of PostgreSQL that no file can set',
  ),
  parameters('wal_level', 'logical'),
  parameters(
    'wal_level',
    'minimal',
    'wal_level "minimal" is not enough: standbys need replica or logical',
  ),
  parameters('password_encryption', 'scram-sha-256'),
  parameters(
    'password_encryption',
    'md5',
    'password_encryption "md5" makes passwords that can be stolen: pgswarm allows scram-sha-256 only',
  ),
  parameters('max_wal_senders', 4),
  parameters('max_wal_senders', 3, 'max_wal_senders 3 is too small: the servers need 4'),
  parameters('max_wal_senders', 'many', 'max_wal_senders "many" is not a number'),
  parameters('max_replication_slots', 2),
  parameters(
    'max_replication_slots',
    1,
    'max_replication_slots 1 is too small: the servers need 2',
  ),
  parameters(
    'work_mem',
    "4MB\nfsync = 'off'",
    'the value has a line break or another control character in it',
  ),
  parameters('work_mem', '4MB\0', 'the value has a line break or another control character in it'),
  {
    name: 'a name that would begin another line',
    document: withPostgres({ parameters: { 'work_mem = 1\nfsync': 'off' } }),
    findings: [
      'spec.postgres.parameters["work_mem = 1\\nfsync"]: "work_mem = 1\\nfsync" is not a name of a parameter',
    ],
  },
  {
    name: 'a parameter twice, in other letters',
    document: withPostgres({ parameters: { work_mem: '4MB', Work_Mem: '8MB' } }),
    findings: [
      'spec.postgres.parameters.Work_Mem: "Work_Mem" is the same parameter as "work_mem": PostgreSQL does not tell capitals from small letters',
    ],
  },
];

const HBA: readonly Row[] = [
  hba('host all all all scram-sha-256'),
  hba('host  app\tapp 10.1.0.0/16 scram-sha-256 # the office'),
  hba('host "my db",other +team .example.com reject'),
  hba('host all all 10.1.0.0 255.255.0.0 scram-sha-256'),
  hba('host all all ::1/128 scram-sha-256'),
  hba('host all all fd00::/8 scram-sha-256'),
  hba('local all app peer map=x'),
  hba('host replication all samenet scram-sha-256'),
  hba(
    'host all all all trust',
    'trust lets in everybody who can reach the port, without a password',
  ),
  hba('local all all trust', 'trust lets in everybody who can reach the port, without a password'),
  hba('host all all all password', 'password sends the password in clear text'),
  hba('host all all all md5', 'md5 makes hashes that can be used like the password itself'),
  hba(
    'host all all 0.0.0.0 0.0.0.0 trust',
    'trust lets in everybody who can reach the port, without a password',
  ),
  hba('host all all all scram', '"scram" is not a method of authentication'),
  hba('host all all all constructor', '"constructor" is not a method of authentication'),
  hba('host all all all peer', 'peer is for local connections only'),
  hba('host all all all', 'the method is missing'),
  hba('host all all', 'the address and the method are missing'),
  hba('host all', 'the line is too short'),
  hba('hosts all all all reject', '"hosts" is not a type of connection'),
  hba('   ', 'there is no rule in this line'),
  hba('# nobody', 'there is no rule in this line'),
  hba('host all all 10.0.0.1 scram-sha-256', 'the address "10.0.0.1" has no prefix length'),
  hba('host all all ::1 scram-sha-256', 'the address "::1" has no prefix length'),
  hba('host all all 10.0.0.0/33 scram-sha-256', '"10.0.0.0/33" is not an address'),
  hba('host all all 10.0.256.0/24 scram-sha-256', '"10.0.256.0/24" is not an address'),
  hba('host all all 1:2:3:4:5:6:7::8/64 scram-sha-256', '"1:2:3:4:5:6:7::8/64" is not an address'),
  hba('host all all 1::2::3/64 scram-sha-256', '"1::2::3/64" is not an address'),
  hba('host "all all all reject', 'a quotation mark is not closed'),
  hba('host @list all all reject', 'a name with @ is read from a file that is not in the spec'),
  hba('include /etc/passwd', 'a file that is not in the spec would differ from server to server'),
  hba('host all all all reject now', '"now" is not an option of the method'),
  hba(
    'hostssl all all all scram-sha-256',
    'this line never matches: TLS is not part of this version',
  ),
  hba(
    'host all all all reject\nhost all all all trust',
    'a line break, or a backslash at the end, would make this line more than one',
  ),
  hba(
    'host all all all reject \\',
    'a line break, or a backslash at the end, would make this line more than one',
  ),
];

const NAMES: readonly Row[] = [
  {
    name: 'names of its own',
    document: withPostgres({ database: 'orders', owner: 'o_1' }),
    findings: [],
  },
  {
    name: 'the database postgres',
    document: withPostgres({ database: 'postgres', owner: 'postgres' }),
    findings: [
      'spec.postgres.database: "postgres" has a meaning of its own in PostgreSQL',
      'spec.postgres.owner: "postgres" has a meaning of its own in PostgreSQL',
    ],
  },
  {
    name: 'names that belong to others',
    document: withPostgres({ database: 'pg_data', owner: 'pgswarm_replication' }),
    findings: [
      'spec.postgres.database: names that start with pg_ belong to PostgreSQL',
      'spec.postgres.owner: names that start with pgswarm_ belong to pgswarm',
    ],
  },
  {
    name: 'a name that ends its quotes',
    document: withPostgres({ database: 'a"; DROP DATABASE b' }),
    findings: ['spec.postgres.database: "a\\"; DROP DATABASE b" is not a plain PostgreSQL name'],
  },
  {
    name: 'a name of 64 characters',
    document: withPostgres({ owner: 'a'.repeat(64) }),
    findings: [`spec.postgres.owner: "${'a'.repeat(60)}…" is not a plain PostgreSQL name`],
  },
];

const BOUNDS: readonly Row[] = [
  {
    name: 'quantities that cannot be read',
    document: document({
      switchover: { maxLag: '16', timeout: 'soon' },
      failover: { ttl: '5', maxLag: '16mb' },
    }),
    findings: [
      'spec.failover.maxLag: "16mb" is not a size: there is no unit mb, the unit is written MB',
      'spec.failover.ttl: "5" is not a duration: the unit is missing',
      'spec.switchover.maxLag: "16" is not a size: the unit is missing',
      'spec.switchover.timeout: "soon" is not a duration',
    ],
  },
  {
    name: 'a lease that cannot hold',
    document: document({ failover: { ttl: '1s' } }),
    findings: [
      'spec.failover.ttl: a lease of 1s cannot hold: 2 missed heartbeats 2s + stop 1s + kill 0.5s + drift 0.1s = 3.6s',
    ],
  },
  {
    name: 'a timeout that is too short',
    document: document({ switchover: { timeout: '10ms' } }),
    findings: ['spec.switchover.timeout: no switchover can be done in so short a time'],
  },
  {
    name: 'a timeout that is too long',
    document: document({ switchover: { timeout: '1d' } }),
    findings: ['spec.switchover.timeout: writes would be stopped too long'],
  },
  {
    name: 'a delay and a time to fall back that are too long',
    document: document({ failover: { delay: '61m', failback: 'auto', failbackAfter: '8d' } }),
    findings: [
      'spec.failover.delay: a cluster without a primary would wait too long; `mode: manual` waits for a person',
      'spec.failover.failbackAfter: nobody would expect the role to move by itself after so long a time',
    ],
    hint: 'use something from 0s to 1h; the default is 0s',
  },
  {
    name: 'a time to fall back that is too short',
    document: document({ failover: { failback: 'auto', failbackAfter: '9s' } }),
    findings: [
      'spec.failover.failbackAfter: a server that has only just come back may be gone again in a moment',
    ],
    hint: 'from 10s to 7d; the default is 5m',
  },
  {
    name: 'the longest and the shortest that is possible',
    document: document({
      switchover: { timeout: '1s' },
      failover: { ttl: '4s', delay: '1h', failback: 'auto', failbackAfter: '7d' },
    }),
    findings: [],
  },
];

const trio = (changes: Partial<PostgresCluster['spec']>): PostgresCluster =>
  document({
    servers: [server('pg1', 'n1'), server('pg2', 'n2'), server('pg3', 'n3')],
    ...changes,
  });

const synchronous = (
  number: number,
  more: Omit<
    NonNullable<PostgresCluster['spec']['replication']>['synchronous'] & {},
    'number'
  > = {},
): Partial<PostgresCluster['spec']> => ({ replication: { synchronous: { number, ...more } } });

const commits = (name: string, value: string | boolean): Partial<PostgresCluster['spec']> => ({
  ...synchronous(1),
  postgres: { version: 17, parameters: { [name]: value } },
});

const AVAILABILITY: readonly Row[] = [
  {
    name: 'one server, and automatic failover',
    document: document({ servers: [server('pg1', 'n1')] }),
    findings: [],
  },
  {
    name: 'one of two standbys',
    document: trio(synchronous(1, { durability: 'required' })),
    findings: [],
  },
  {
    name: 'each of the standbys, as long as they are there',
    document: trio(synchronous(2)),
    findings: [],
  },
  {
    name: 'more synchronous standbys than there are',
    document: trio(synchronous(3, { durability: 'required' })),
    findings: [
      'spec.replication.synchronous.number: 3 standbys must have every commit, and there are 2',
    ],
    hint: 'use 2 or less',
  },
  {
    name: 'a synchronous standby of none',
    document: document({ servers: [server('pg1', 'n1')], ...synchronous(1) }),
    findings: [
      'spec.replication.synchronous.number: a standby must have every commit, and there are none',
    ],
    hint: 'remove `replication.synchronous`',
  },
  {
    name: 'each of the standbys, always',
    document: trio(synchronous(2, { durability: 'required' })),
    findings: [
      'spec.replication.synchronous.number: each of the 2 standbys must have every commit: when one standby is away, all writes wait for it',
    ],
    hint: 'durability: preferred',
  },
  {
    name: 'the only standby, always',
    document: document(synchronous(1, { durability: 'required' })),
    findings: [
      'spec.replication.synchronous.number: the only standby must have every commit: when one standby is away, all writes wait for it',
    ],
  },
  {
    name: 'commits that wait for nobody, in other letters',
    document: document(commits('Synchronous_Commit', false)),
    findings: [
      'spec.postgres.parameters.Synchronous_Commit: commits do not wait for standbys: synchronous replication does not cover them, and a failover may lose them',
    ],
    hint: 'SET synchronous_commit = off',
  },
  {
    name: 'commits that wait for this disk only',
    document: document(commits('synchronous_commit', 'local')),
    findings: [
      'spec.postgres.parameters.synchronous_commit: commits do not wait for standbys: synchronous replication does not cover them, and a failover may lose them',
    ],
  },
  {
    name: 'commits that wait for memory only',
    document: document(commits('synchronous_commit', 'remote_write')),
    findings: [
      'spec.postgres.parameters.synchronous_commit: commits wait until standbys have them in memory, not on disk: synchronous replication does not cover them, and a failover may lose them',
    ],
  },
  {
    name: 'commits that wait for more than they must',
    document: document(commits('synchronous_commit', 'remote_apply')),
    findings: [],
  },
  {
    name: 'commits that wait for nobody, where nobody is waited for',
    document: withPostgres({ parameters: { synchronous_commit: 'off' } }),
    findings: [],
  },
  {
    name: 'a priority for a server that does not exist',
    document: document({ failover: { priorities: { pg22: 10, other: 5, pg2: 1 } } }),
    findings: [
      'spec.failover.priorities.other: there is no server "other"',
      'spec.failover.priorities.pg22: there is no server "pg22"',
    ],
    hint: 'name one of the servers: pg1, pg2',
  },
  {
    name: 'a priority for a server that is misspelt',
    document: document({ failover: { priorities: { 'pg-2': 10 } } }),
    findings: ['spec.failover.priorities.pg-2: there is no server "pg-2"'],
    hint: 'did you mean `pg2`?',
  },
  {
    name: 'nobody who may take over',
    document: trio({ failover: { priorities: { pg2: 0, pg3: 0 } } }),
    findings: [
      'spec.failover.priorities: every standby has priority 0: nobody can take over when pg1 is gone',
    ],
  },
  {
    name: 'somebody who may take over',
    document: trio({ failover: { priorities: { pg1: 0, pg3: 0 } } }),
    findings: [],
  },
  {
    name: 'nobody who may take over, and nobody shall',
    document: trio({ failover: { mode: 'manual', priorities: { pg2: 0, pg3: 0 } } }),
    findings: [],
  },
  {
    name: 'a way back without a way there',
    document: document({ failover: { mode: 'manual', failback: 'auto' } }),
    findings: [
      'spec.failover.failback: without automatic failover there is nothing to move back: this has no effect',
    ],
  },
];

describe('findings', () => {
  const [b2, b10] = [errorAt('b[2]', 'x', 'y'), errorAt('b[10]', 'x', 'y')];
  const warned = warningAt('a', 'x', 'y');

  it('come once, errors first, in the order of the document', () =>
    expect(sortFindings([warned, b10, b2, { ...b10 }])).to.deep.equal([b2, b10, warned]));

  it('are two lines of text each', () =>
    expect(formatFindings([b2, warned])).to.equal('error: b[2]: x\n  → y\nwarning: a: x\n  → y'));
});

describe('checks', () => {
  for (const [title, rows] of Object.entries({
    servers: SERVERS,
    network: NETWORK,
    parameters: PARAMETERS,
    hba: HBA,
    names: NAMES,
    bounds: BOUNDS,
    availability: AVAILABILITY,
  })) {
    describe(title, () => {
      for (const row of rows) {
        it(row.name, () => {
          const findings = checkSpec(row.document, row.others);
          expect(findings.map(({ path, message }) => `${path}: ${message}`)).to.deep.equal(
            row.findings,
          );
          for (const { hint } of findings) expect(hint).not.to.equal('');
          if (row.hint !== undefined) expect(findings[0]!.hint).to.include(row.hint);
        });
      }
    });
  }

  // Otherwise a value of the user's would be accepted and then silently not used.
  for (const name of OWNED_PARAMETER_NAMES) {
    it(`refuses ${name}, which pgswarm writes itself`, () => {
      const findings = checkSpec(withPostgres({ parameters: { [name]: 'x' } }));
      expect(hasErrors(findings)).to.equal(true);
    });
  }

  it('only warns of what does not keep a cluster from running', () => {
    const warned = document({
      network: { subnet: '8.8.8.0/24' },
      postgres: { version: 17, hba: ['hostssl all all all scram-sha-256'] },
      replication: { synchronous: { number: 1, durability: 'required' } },
      failover: { mode: 'manual', failback: 'auto' },
    });
    expect(checkSpec(warned).map(({ severity, path }) => [severity, path])).to.deep.equal([
      ['warning', 'spec.failover.failback'],
      ['warning', 'spec.network.subnet'],
      ['warning', 'spec.postgres.hba[0]'],
      ['warning', 'spec.replication.synchronous.number'],
    ]);
  });

  it('takes a document of which nothing is there', () => {
    expect(checkSpec({})).to.deep.equal([]);
    const priorities = { pg7: 1 };
    expect(
      checkSpec({ spec: { servers: [undefined, {}], primary: 'pg1', failover: { priorities } } }),
    ).to.deep.equal([]);
  });
});
