/** Settings on their way into real servers: refused, waiting for the primary, rolled back. */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { slotName } from '../../src/core/names';
import { type Report, type Task } from '../../src/core/protocol';
import { RESTART_PARAMETERS } from '../../src/core/parameter-changes';
import { FakeLeader } from './support/fake-leader';
import { findBinDirectory, InstanceProcess, runAs } from './support/instance-process';
import { primaryWith, settingsWith } from './support/told';

const CLUSTER = 'orders';
const SMALL = { shared_buffers: '32MB', max_connections: '40' };

const isPrimary = ({ postgres }: Report): boolean => postgres.state === 'primary';
const isStreaming = ({ postgres }: Report): boolean =>
  postgres.state === 'standby' && postgres.receiver?.status === 'streaming';
const pendingOf = ({ postgres }: Report): readonly string[] =>
  'pendingRestart' in postgres ? postgres.pendingRestart : [];
const isDone = (id: string) => (report: Report) =>
  report.restartedFor === id && (isPrimary(report) || isStreaming(report));

describe('settings of running servers', function () {
  this.timeout(120_000);

  const binDirectory = findBinDirectory();
  const isAble = binDirectory !== null && runAs() !== null;
  let root: string;
  let leader: FakeLeader;
  let pg1: InstanceProcess;
  let pg2: InstanceProcess;
  let systemIdentifier = '';
  let restarts = 0;
  let generation = 0;

  /** Both get the same parameters, and one is told to restart. */
  function tell(parameters: Readonly<Record<string, string>>, restarting?: 'pg1' | 'pg2'): string {
    restarts += restarting === undefined ? 0 : 1;
    generation += 1;
    const id = `r${restarts}`;
    const settings = settingsWith({ parameters });
    const restartFor = (server: string): string | null => (server === restarting ? id : null);
    const slots = [slotName('pg2')];
    leader.assign('pg1', primaryWith({ slots, restartFor: restartFor('pg1') }), {
      settings,
      generation,
    });
    const from = { server: 'pg1', host: '127.0.0.1', port: pg1.port, slot: slotName('pg2') };
    const standby: Task = {
      kind: 'standby',
      upstream: { ...from, systemIdentifier },
      slots: [],
      sync: null,
      restartFor: restartFor('pg2'),
    };
    leader.assign('pg2', standby, { settings, generation });
    return id;
  }

  async function restart(
    server: 'pg1' | 'pg2',
    parameters: Readonly<Record<string, string>>,
  ): Promise<Report> {
    const id = tell(parameters, server);
    return (await leader.until(server, isDone(id))).report;
  }

  const connections = async (server: InstanceProcess): Promise<string> =>
    await server.sql('show max_connections');

  before(async function () {
    if (!isAble) {
      console.log('    skipped: needs PostgreSQL under /usr/lib/postgresql and the user postgres');
      this.skip();
    }
    root = mkdtempSync(join(tmpdir(), 'pgswarm-settings-'));
    chmodSync(root, 0o755);
    const key = randomBytes(32);
    leader = new FakeLeader(CLUSTER, key, settingsWith());
    const leaderPort = await leader.listen();
    const options = { root, cluster: CLUSTER, key, leaderPort, binDirectory };
    pg1 = new InstanceProcess({ ...options, server: 'pg1' });
    pg2 = new InstanceProcess({ ...options, server: 'pg2' });
    leader.assign('pg1', { kind: 'initialise', volumeId: 'v1' });
    await pg1.start();
    const { report } = await leader.until('pg1', ({ volume }) => volume.kind === 'tagged');
    if (report.volume.kind === 'tagged') systemIdentifier = report.volume.tag.systemIdentifier;
    leader.assign('pg1', primaryWith({ slots: [slotName('pg2')] }));
    await leader.until('pg1', isPrimary);
    const from = { server: 'pg1', host: '127.0.0.1', port: pg1.port, slot: slotName('pg2') };
    leader.assign('pg2', { kind: 'clone', volumeId: 'v2', from: { ...from, systemIdentifier } });
    await pg2.start();
    await leader.until('pg2', ({ volume }) => volume.kind === 'tagged');
    tell(SMALL);
    await leader.until('pg2', isStreaming);
  });

  after(async () => {
    if (!isAble) return;
    for (const each of [pg1, pg2]) await each.die();
    leader.close();
    if (process.env['KEEP'] === undefined) rmSync(root, { recursive: true, force: true });
  });

  it('knows which parameters need a restart as this server knows it', async () => {
    const known = await pg1.sql(
      "select string_agg(name, ' ' order by name) from pg_settings where context = 'postmaster'",
    );
    const missing = known.split(' ').filter((name) => !RESTART_PARAMETERS.has(name));
    expect(missing).to.deep.equal([]);
    const others = await pg1.sql(
      "select string_agg(name, ' ') from pg_settings where context not in ('postmaster', 'internal')",
    );
    const wrong = others.split(' ').filter((name) => RESTART_PARAMETERS.has(name));
    expect(wrong).to.deep.equal([]);
  });

  const refused: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'could not access file "no_such_library"': { shared_preload_libraries: 'no_such_library' },
    'superuser_reserved_connections (100) must be less': { superuser_reserved_connections: '100' },
    'invalid value for parameter "lock_timeout"': { lock_timeout: 'soon' },
    'MB of shared memory, the machine has': { shared_buffers: '4TB' },
  };
  for (const [words, parameters] of Object.entries(refused)) {
    it(`refuses what a start would refuse: ${words}`, async () => {
      tell({ ...SMALL, ...parameters });
      const isRefused = ({ problem }: Report): boolean => problem?.reason === 'ParameterRefused';
      const { report } = await leader.until('pg1', isRefused);
      expect(report.problem?.message).to.include(words);
      const postmaster = pg1.postmasterPid;
      process.kill(postmaster, 'SIGKILL');
      await leader.until('pg1', (each) => isPrimary(each) && pg1.postmasterPid !== postmaster);
      tell(SMALL);
      for (const server of ['pg1', 'pg2']) {
        await leader.until(server, ({ problem }) => problem === null);
      }
      await leader.until('pg2', isStreaming);
    });
  }

  it('raises a limit on the standby first', async () => {
    const more = { ...SMALL, max_connections: '60' };
    tell(more);
    for (const server of ['pg1', 'pg2']) {
      const isTold = ({ settings }: Report): boolean => settings?.generation === generation;
      const { report } = await leader.until(server, isTold);
      expect(pendingOf(report), 'known when it says that it was told').to.include(
        'max_connections',
      );
    }
    await restart('pg2', more);
    await restart('pg1', more);
    expect([await connections(pg1), await connections(pg2)]).to.deep.equal(['60', '60']);
  });

  it('lowers a limit on the primary first: a standby that is restarted before waits', async () => {
    await leader.until('pg2', isStreaming);
    tell(SMALL);
    const { report } = await leader.until('pg2', (each) => each.settings?.heldBack.length === 1);
    expect(report.settings?.heldBack).to.deep.equal(['max_connections']);
    await restart('pg2', SMALL);
    expect(await connections(pg2)).to.equal('60');
    await restart('pg1', SMALL);
    expect(await connections(pg1)).to.equal('40');
    await leader.until('pg2', (each) => pendingOf(each).includes('max_connections'));
    const after = await restart('pg2', SMALL);
    expect(await connections(pg2)).to.equal('40');
    expect(after.settings).to.deep.include({ heldBack: [], refused: null });
  });

  it('runs with the settings from before where PostgreSQL does not start with new ones', async () => {
    // No page of that size was set aside: only the start itself finds that out.
    const huge = { ...SMALL, huge_pages: 'on', work_mem: '7MB' };
    tell(huge);
    await leader.until('pg1', (each) => pendingOf(each).includes('huge_pages'));
    const id = tell(huge, 'pg2');
    await leader.until('pg2', (each) => each.settings?.refused != null);
    // The leader has seen enough and ends the restart, in the midst of the start.
    tell(huge);
    const { settings } = (await leader.until('pg2', isDone(id))).report;
    expect(settings?.refused?.reason).to.equal('SettingsRolledBack');
    expect(settings?.refused?.message).to.match(/could not map anonymous shared memory/);
    expect(await pg2.sql('show huge_pages')).to.equal('try');

    const postmaster = pg1.postmasterPid;
    process.kill(postmaster, 'SIGKILL');
    const { report } = await leader.until(
      'pg1',
      (each) => isPrimary(each) && pg1.postmasterPid !== postmaster,
    );
    expect(report.settings?.refused?.reason).to.equal('SettingsRolledBack');

    tell({ ...SMALL, work_mem: '7MB' });
    for (const server of ['pg1', 'pg2']) {
      const isTold = ({ settings }: Report): boolean =>
        settings?.refused === null && settings.generation === generation;
      await leader.until(server, isTold);
    }
    await leader.until('pg2', isStreaming);
    expect(await pg1.sql('show work_mem')).to.equal('7MB');
  });

  // With its settings from before the standby had a lower limit than its primary, and stayed down.
  it('runs with the settings from before, and with a limit that the primary has higher by now', async () => {
    const more = { ...SMALL, max_connections: '60' };
    await restart('pg1', more);
    const { settings } = await restart('pg2', { ...more, huge_pages: 'on' });
    expect(settings?.refused?.reason).to.equal('SettingsRolledBack');
    expect(await connections(pg2)).to.equal('60');
    expect(await pg2.sql('show huge_pages')).to.equal('try');
  });
});
