import { expect } from 'chai';
import { type InstanceSettings, type Upstream } from '../../src/core/protocol';
import {
  renderEntry,
  renderHba,
  renderSettings,
  renderUpstream,
  withLimitsOf,
  type Machine,
} from '../../src/core/settings';

const GIGABYTE = 1024 ** 3;

const machine = (changes: Partial<Machine> = {}): Machine => ({
  server: 'pg1',
  majorVersion: 17,
  port: 5432,
  socketDirectory: '/run/pgswarm',
  passfile: '/run/pgswarm/passfile',
  volumeBytes: 100 * GIGABYTE,
  wal: { command: '/usr/local/bin/pgswarm-wal', socket: '/run/pgswarm/wal.sock' },
  ...changes,
});

const settings = (changes: Partial<InstanceSettings> = {}): InstanceSettings => ({
  parameters: {},
  hba: [],
  subnet: '10.0.200.0/24',
  database: 'app',
  owner: 'app',
  archive: { compression: 'zstd', timeoutMs: 300_000 },
  retention: { keep: null, maxAgeMs: null },
  ...changes,
});

const upstream: Upstream = {
  server: 'pg2',
  host: 'pg2',
  port: 5432,
  slot: 'pgswarm_pg1',
  systemIdentifier: '1',
};

/** The value that PostgreSQL takes: the last one. */
function valueOf(text: string, name: string): string | undefined {
  const line = text.split('\n').findLast((each) => each.startsWith(`${name} = `));
  return line?.slice(name.length + 3);
}

describe('settings from before', () => {
  const before = renderSettings(settings({ parameters: { Max_Connections: '40' } }), machine());
  const raised = (primary: Readonly<Record<string, number>>, name: string): string | undefined =>
    valueOf(withLimitsOf(primary, before), name);

  it('are raised to what the primary has higher by now', () => {
    expect(raised({ max_connections: 60 }, 'max_connections')).to.equal("'60'");
    expect(raised({ max_prepared_transactions: 5 }, 'max_prepared_transactions')).to.equal("'5'");
    expect(raised({ max_wal_senders: 17 }, 'max_wal_senders')).to.equal("'17'");
  });

  it('are not touched where they are enough', () => {
    const enough = { max_connections: 40, max_worker_processes: 8, max_wal_senders: 10 };
    expect(withLimitsOf(enough, before)).to.equal(before);
    const twice = withLimitsOf({ max_connections: 60 }, before);
    expect(withLimitsOf({ max_connections: 60 }, twice)).to.equal(twice);
    expect(withLimitsOf({}, before)).to.equal(before);
  });
});

describe('generated configuration', () => {
  it('is this text', () => {
    const parameters = { work_mem: '8MB', max_connections: '200' };
    expect(renderSettings(settings({ parameters }), machine())).to.equal(`\
# Written by pgswarm from the spec. Changes made here are lost.

# pgswarm's defaults
jit = 'off'
lc_messages = 'C'
max_replication_slots = '16'
max_slot_wal_keep_size = '25600MB'
max_wal_senders = '16'
recovery_init_sync_method = 'syncfs'
wal_keep_size = '128MB'

# spec.postgres.parameters
max_connections = '200'
work_mem = '8MB'

# what pgswarm relies on
allow_alter_system = 'off'
archive_command = '[ ! -e /run/pgswarm/wal.sock.leave ] || exit 130; exec /usr/local/bin/pgswarm-wal /run/pgswarm/wal.sock archive "%f" "%p"'
archive_mode = 'always'
archive_timeout = '300s'
cluster_name = 'pg1'
hot_standby = 'on'
listen_addresses = '*'
log_destination = 'stderr'
log_line_prefix = '[%n|%p|%e|%b] %q<%u@%d> '
log_timezone = 'UTC'
logging_collector = 'off'
password_encryption = 'scram-sha-256'
port = '5432'
recovery_target_timeline = 'latest'
restore_command = 'case %f in *.history) [ -e /run/pgswarm/wal.sock.histories/%f ] || exit 1; exec cp /run/pgswarm/wal.sock.histories/%f "%p" ;; esac; [ ! -e /run/pgswarm/wal.sock.promote ] || exit 1; exec /usr/local/bin/pgswarm-wal /run/pgswarm/wal.sock restore "%f" "%p"'
tcp_keepalives_count = '3'
tcp_keepalives_idle = '5'
tcp_keepalives_interval = '2'
unix_socket_directories = '/run/pgswarm'
wal_level = 'replica'
wal_log_hints = 'on'
wal_receiver_status_interval = '1s'
wal_receiver_timeout = '5s'
wal_retrieve_retry_interval = '100ms'
wal_sender_timeout = '5s'
`);
  });

  it('names the upstream in a file of its own', () => {
    expect(renderEntry()).to.include("include_if_exists 'pgswarm-upstream.conf'");
    expect(renderUpstream(upstream, machine())).to.equal(`\
# Written by pgswarm from the spec. Changes made here are lost.
primary_conninfo = 'host=pg2 port=5432 user=pgswarm_replication passfile=/run/pgswarm/passfile application_name=pg1 sslmode=prefer connect_timeout=3 tcp_user_timeout=5000 keepalives=1 keepalives_idle=2 keepalives_interval=1 keepalives_count=3'
primary_slot_name = 'pgswarm_pg1'
`);
  });

  it('looks no name up when the upstream has said where it is', () => {
    const text = renderUpstream({ ...upstream, address: '10.0.200.3' }, machine());
    expect(valueOf(text, 'primary_conninfo')).to.match(
      /^'host=pg2 hostaddr=10\.0\.200\.3 port=5432/,
    );
  });

  it('is late where the server is to be, and streams from nobody when the archives feed it', () => {
    const late = { replication: 'archive', hotStandby: false, applyDelayMs: 3_600_000 } as const;
    const text = renderSettings(settings({ late }), machine());
    expect(valueOf(text, 'hot_standby')).to.equal("'off'");
    expect(valueOf(text, 'recovery_min_apply_delay')).to.equal("'3600000ms'");
    expect(valueOf(renderSettings(settings(), machine()), 'recovery_min_apply_delay')).to.equal(
      undefined,
    );
    const shipped = renderUpstream({ ...upstream, slot: null }, machine());
    expect(valueOf(shipped, 'primary_conninfo')).to.equal("''");
    expect(valueOf(shipped, 'primary_slot_name')).to.equal("''");
  });

  it('admits the replication role from the network of the cluster only, before the user says anything', () => {
    const hba = ['host all all 0.0.0.0/0 scram-sha-256'];
    expect(renderHba(settings({ hba }))).to.equal(`\
# Written by pgswarm from the spec. Changes made here are lost.
local all             postgres                               peer
local all             all                                    scram-sha-256
host  replication,all pgswarm_replication 10.0.200.0/24      scram-sha-256
host  replication,all pgswarm_replication 127.0.0.1/32       scram-sha-256
host  replication,all pgswarm_replication ::1/128            scram-sha-256
host  replication,all pgswarm_replication all                reject
host  replication     all                 all                reject
host  all             postgres            all                reject

# spec.postgres.hba
host all all 0.0.0.0/0 scram-sha-256
`);
  });

  it('lets the user replace defaults, but not what pgswarm relies on', () => {
    const parameters = { JIT: 'on', Port: '1', wal_level: 'logical', max_wal_senders: '3' };
    const text = renderSettings(settings({ parameters }), machine());
    expect(valueOf(text, 'jit')).to.equal("'on'");
    expect(valueOf(text, 'max_wal_senders')).to.equal("'3'");
    expect(valueOf(text, 'port')).to.equal("'5432'");
    expect(valueOf(text, 'wal_level')).to.equal("'logical'");
  });

  it('never lowers wal_level below what a standby needs', () => {
    const text = renderSettings(settings({ parameters: { wal_level: 'minimal' } }), machine());
    expect(valueOf(text, 'wal_level')).to.equal("'replica'");
  });

  const quoted: readonly { readonly value: string; readonly text: string }[] = [
    { value: "it's", text: "'it''s'" },
    { value: 'C:\\path', text: "'C:\\\\path'" },
    { value: "a\nport = '1'", text: "'a\\nport = ''1'''" },
    { value: '', text: "''" },
  ];
  for (const { value, text } of quoted) {
    it(`quotes ${JSON.stringify(value)}, so that it stays one value`, () => {
      const rendered = renderSettings(settings({ parameters: { search_path: value } }), machine());
      expect(valueOf(rendered, 'search_path')).to.equal(text);
    });
  }

  const volumes: readonly { readonly volumeBytes: number; readonly kept: string }[] = [
    { volumeBytes: 0, kept: '1024MB' },
    { volumeBytes: GIGABYTE / 2, kept: '256MB' },
    { volumeBytes: 2 * GIGABYTE, kept: '1024MB' },
    { volumeBytes: 40 * GIGABYTE, kept: '10240MB' },
  ];
  for (const { volumeBytes, kept } of volumes) {
    it(`lets slots keep ${kept} of WAL on a volume of ${volumeBytes / GIGABYTE} GB`, () => {
      const text = renderSettings(settings(), machine({ volumeBytes }));
      expect(valueOf(text, 'max_slot_wal_keep_size')).to.equal(`'${kept}'`);
    });
  }

  it('has no setting that the version does not know', () => {
    const text = renderSettings(settings(), machine({ majorVersion: 15 }));
    expect(valueOf(text, 'allow_alter_system')).to.equal(undefined);
  });
});
