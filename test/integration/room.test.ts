/** A data volume that gets full under a real PostgreSQL: what is refused, and what brings it back. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, rmSync, statfsSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type BudgetStage } from '../../src/core/budget';
import { type Report } from '../../src/core/protocol';
import { eventually } from '../support/eventually';
import { FakeLeader } from './support/fake-leader';
import { findBinDirectory, InstanceProcess, runAs } from './support/instance-process';
import { primaryWith, settingsWith } from './support/told';

const MEGABYTE = 1024 ** 2;
/** Writes are refused below 64 MB. */
const VOLUME_BYTES = 400 * MEGABYTE;
const RESERVE_BYTES = VOLUME_BYTES / 16;
const SETTINGS = settingsWith({
  parameters: { shared_buffers: '32MB', max_connections: '40', max_wal_size: '64MB' },
});
const PRIMARY = primaryWith();

describe('a data volume that gets full', function () {
  this.timeout(120_000);

  const binDirectory = findBinDirectory();
  const identity = runAs();
  let root = '';
  let leader: FakeLeader;
  let pg1: InstanceProcess;

  before(async function () {
    root = mkdtempSync(join(tmpdir(), 'pgswarm-room-'));
    chmodSync(root, 0o755);
    leader = new FakeLeader('orders', randomBytes(32), SETTINGS);
    if (binDirectory === null || identity === null || !mountSmall(join(root, 'pg1/data'))) {
      console.log('    skipped: needs PostgreSQL under /usr/lib/postgresql, its user, and mount');
      this.skip();
    }
    const { key } = leader;
    const leaderPort = await leader.listen();
    pg1 = new InstanceProcess({
      root,
      cluster: 'orders',
      server: 'pg1',
      key,
      leaderPort,
      binDirectory,
    });
    await pg1.start();
    leader.assign('pg1', { kind: 'initialise', volumeId: 'v1' });
    await leader.until('pg1', ({ volume }) => volume.kind === 'tagged');
    leader.assign('pg1', PRIMARY);
    await leader.until('pg1', isPrimary);
    await untilStage('ample');
    await pg1.sql('create table entries (id serial)');
  });

  after(async () => {
    if (root === '') return;
    if (existsSync(join(root, 'pg1/log'))) {
      await pg1.die();
      leader.close();
    }
    unmount(join(root, 'pg1/data'));
    rmSync(root, { recursive: true, force: true });
  });

  const reserve = (): string => join(pg1.volume, 'reserve');
  const insert = async (): Promise<string> => await pg1.sql('insert into entries default values');
  const isPrimary = ({ postgres }: Report): boolean => postgres.state === 'primary';

  async function untilStage(stage: BudgetStage): Promise<void> {
    await leader.until('pg1', (report) => report.dataVolume?.stage === stage && isPrimary(report));
  }

  async function untilReserved(): Promise<void> {
    await leader.until('pg1', () => existsSync(reserve()), 60_000);
    const { size, blocks } = statSync(reserve());
    expect([size, blocks * 512]).to.deep.equal([RESERVE_BYTES, RESERVE_BYTES]);
  }

  /** Leaves so much of the volume. */
  function fill(leftBytes: number): void {
    const { bavail, bsize } = statfsSync(pg1.volume);
    const bytes = String(bavail * bsize - leftBytes);
    execFileSync('fallocate', ['-l', bytes, join(pg1.volume, 'lost+found')]);
  }

  const makeRoom = (): void => rmSync(join(pg1.volume, 'lost+found'));

  it('keeps a reserve of real blocks', untilReserved);

  it('refuses new transactions that write, unless they insist, and takes that back', async () => {
    fill(50 * MEGABYTE);
    await untilStage('full');
    await eventuallyRefused();
    await pg1.sql('begin read write; insert into entries default values; commit');
    makeRoom();
    await untilStage('ample');
    await eventually(insert);
  });

  it('gives up the reserve for a PostgreSQL that has no room to start, and makes it again', async () => {
    fill(0);
    await untilStage('full');
    process.kill(pg1.postmasterPid, 'SIGKILL');
    await leader.until('pg1', (report) => !isPrimary(report));
    await leader.until('pg1', isPrimary);
    expect(existsSync(reserve())).to.equal(false);
    expect(pg1.log).to.include('its reserve is given up');
    // Refused from the first moment: nothing takes the room that was just made.
    expect(await refusal()).to.match(/read-only transaction/);
    makeRoom();
    await untilStage('ample');
    await eventually(insert);
    await untilReserved();
  });

  it('lets PostgreSQL wait with its WAL as long as a person wants', async () => {
    leader.archivePauseMs = 60_000;
    const pausedLeftMs = ({ archive }: Report): number => archive?.pausedLeftMs ?? 0;
    await leader.until('pg1', (report) => pausedLeftMs(report) > 55_000);
    leader.archivePauseMs = null;
    await leader.until('pg1', ({ archive }) => archive !== null && archive.pausedLeftMs === null);
  });

  async function refusal(): Promise<string> {
    return await insert().then(
      () => 'it was accepted',
      (error: unknown) => String(error),
    );
  }

  async function eventuallyRefused(): Promise<void> {
    await eventually(async () => expect(await refusal()).to.match(/read-only transaction/));
  }
});

/** False where nobody may mount. */
function mountSmall(path: string): boolean {
  const { uid, gid } = runAs() ?? {};
  const owner = uid === undefined || gid === undefined ? '' : `,uid=${uid},gid=${gid}`;
  try {
    execFileSync('mkdir', ['-p', path]);
    const options = `size=${VOLUME_BYTES},mode=0700${owner}`;
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}

function unmount(path: string): void {
  try {
    execFileSync('umount', [path], { stdio: 'pipe' });
  } catch {
    // It was never mounted.
  }
}
