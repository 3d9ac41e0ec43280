/**
 * A restore in place may be cut short between any two steps, and so may be whatever goes on with it.
 * Until it is accepted the data from before is there; pgdata is always one whole copy.
 */
import { existsSync, promises as files } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createSandbox } from 'sinon';
import { nextRestoreStep, RESTORE_NAMES, type RestorePhase } from '../../src/core/restore/in-place';
import { type RestoreTarget } from '../../src/core/restore/target';
import {
  acceptRestore,
  forgetTarget,
  goBack,
  readRestoreNote,
  prepareRecovery,
  restoreInPlace,
  unarchivedWal,
} from '../../src/instance/restore/in-place';
import { openVolume } from '../../src/instance/volume';
import { failureOf } from '../support/failure';

/** Where there is one: no crash of the machine is tried here, and syncing takes its time. */
const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const OWNER = { cluster: 'orders', server: 'pg1' };
const TAG = { ...OWNER, systemIdentifier: '7', volumeId: 'v1' };
const TARGET: RestoreTarget = {
  point: { kind: 'name', name: 'a' },
  isExclusive: false,
  timeline: 'latest',
  action: 'pause',
};
const noteOf = (id: string) => ({
  id,
  backup: 'b1',
  target: TARGET,
  walEndsAtLsn: null,
  startedAt: '2026-11-21T18:00:00Z',
});

describe('a restore in place', function () {
  this.timeout(30_000);
  let volume: string;
  const sandbox = createSandbox();

  beforeEach(async () => {
    volume = await mkdtemp(join(MEMORY, 'pgswarm-in-place-'));
    await begin();
  });
  afterEach(async () => {
    sandbox.restore();
    await rm(volume, { recursive: true });
  });

  async function begin(): Promise<void> {
    await rm(volume, { recursive: true });
    await mkdir(volume);
    await writeFile(join(volume, 'pgswarm.json'), JSON.stringify(TAG));
    await place('pgdata', 'present');
  }

  /** A data directory that is told apart by its content. */
  async function place(name: string, copy: string): Promise<void> {
    await mkdir(join(volume, name));
    await writeFile(join(volume, name, 'PG_VERSION'), copy);
    await writeFile(join(volume, name, 'standby.signal'), '');
  }

  const copyIn = async (name: string): Promise<string | null> =>
    await readFile(join(volume, name, 'PG_VERSION'), 'utf8').catch(() => null);

  async function restore(id: string): Promise<void> {
    await place('pgdata.new', id);
    await restoreInPlace(volume, noteOf(id));
  }

  /** What is in the volume once a manager has opened it, as one line. */
  async function opened(): Promise<string> {
    expect((await openVolume(volume, OWNER)).kind).to.equal('tagged');
    const phase = (await readRestoreNote(volume))?.phase ?? 'none';
    const names = (await readdir(volume)).filter((name) => /^pgdata\./.test(name));
    const others = await Promise.all(
      names.map(async (name) => `${name.slice('pgdata.'.length)} ${(await copyIn(name)) ?? ''}`),
    );
    return [await copyIn('pgdata'), ...others, phase].join(', ');
  }

  /** Lets so many changes pass; true when that was enough. */
  async function crashesAfter(changesMax: number, work: () => Promise<unknown>): Promise<boolean> {
    let changes = 0;
    for (const name of ['rename', 'rm'] as const) {
      const real = files[name] as (...given: readonly unknown[]) => Promise<void>;
      sandbox.stub(files, name).callsFake(async (...given: readonly unknown[]) => {
        changes += 1;
        if (changes > changesMax) throw new Error('crash');
        await real(...given);
      });
    }
    const isDone = await work().then(
      () => changes <= changesMax,
      () => false,
    );
    sandbox.restore();
    return isDone;
  }

  const NONE = 'present, none';
  const RESTORED = (id: string): string => `${id}, before-restore present, restored`;

  interface Row {
    readonly name: string;
    readonly before: () => Promise<void>;
    readonly act: () => Promise<unknown>;
    /** What it was, should nothing have happened, and what it is when all has. */
    readonly from: string;
    readonly to: string;
  }
  const rows: readonly Row[] = [
    {
      name: 'sets the present data aside',
      before: async () => await place('pgdata.new', 'first'),
      act: async () => await restoreInPlace(volume, noteOf('first')),
      from: NONE,
      to: RESTORED('first'),
    },
    {
      name: 'tries another point, and keeps what was there at first',
      before: async () => {
        await restore('first');
        await place('pgdata.new', 'second');
      },
      act: async () => await restoreInPlace(volume, noteOf('second')),
      from: RESTORED('first'),
      to: RESTORED('second'),
    },
    {
      name: 'goes back',
      before: async () => await restore('first'),
      act: async () => await goBack(volume),
      from: RESTORED('first'),
      to: NONE,
    },
    {
      name: 'goes back after a second point',
      before: async () => {
        await restore('first');
        await restore('second');
      },
      act: async () => await goBack(volume),
      from: RESTORED('second'),
      to: NONE,
    },
    {
      name: 'is accepted',
      before: async () => await restore('first'),
      act: async () => await acceptRestore(volume),
      from: RESTORED('first'),
      to: 'first, none',
    },
  ];
  for (const { name, before, act, from, to } of rows) {
    it(`${name}, or has not, wherever it is cut short`, async () => {
      const seen = new Set<string>();
      for (let [first, isOver] = [0, false]; !isOver; first += 1) {
        for (let second = 0; second <= 6; second += 1) {
          await begin();
          await before();
          isOver = await crashesAfter(first, act);
          await crashesAfter(second, async () => await openVolume(volume, OWNER));
          const state = await opened();
          expect([from, to], `${first}, ${second}`).to.include(state);
          if (isOver) expect(state).to.equal(to);
          seen.add(state);
        }
      }
      expect([...seen].toSorted()).to.deep.equal([from, to].toSorted());
    });
  }

  it('the copy is told where to stop', async () => {
    await begin();
    await place('pgdata.new', 'first');
    await prepareRecovery(join(volume, 'pgdata.new'), "recovery_target_name = 'a'\n");
    await restoreInPlace(volume, noteOf('first'));
    const names = await readdir(join(volume, 'pgdata'));
    expect(names.toSorted()).to.deep.equal([
      'PG_VERSION',
      'pgswarm-restore.conf',
      'recovery.signal',
    ]);
    const text = await readFile(join(volume, 'pgdata', 'pgswarm-restore.conf'), 'utf8');
    expect(text).to.include("recovery_target_name = 'a'");
    await forgetTarget(join(volume, 'pgdata'));
    expect(await readdir(join(volume, 'pgdata'))).not.to.include('pgswarm-restore.conf');
  });

  it('can be tried again at once after it was cut short', async () => {
    for (let changes = 0; changes < 12; changes += 1) {
      await begin();
      await place('pgdata.new', 'first');
      const isDone = await crashesAfter(changes, async () => {
        await restoreInPlace(volume, noteOf('first'));
      });
      if (isDone) break;
      await rm(join(volume, 'pgdata.new'), { recursive: true, force: true });
      await restore('second');
      expect(await opened(), String(changes)).to.equal(RESTORED('second'));
    }
  });

  it('a copy that no note wants is thrown away', async () => {
    await place('pgdata.restored', 'stray');
    expect(await opened()).to.equal(NONE);
  });

  it('a data directory that was taken away meanwhile is missed', async () => {
    await restore('first');
    await rm(join(volume, 'pgdata'), { recursive: true });
    expect((await openVolume(volume, OWNER)).kind).to.equal('foreign');
    expect(await copyIn('pgdata.before-restore')).to.equal('present');
  });

  it('there is nothing to decide without a restore', async () => {
    expect((await failureOf(goBack(volume))).code).to.equal('NotRestoring');
    expect((await failureOf(acceptRestore(volume))).code).to.equal('NotRestoring');
    expect(await opened()).to.equal(NONE);
  });

  it('what no archive has is found before it is set aside', async () => {
    const wal = join(volume, 'pgdata', 'pg_wal');
    const segment = (number: number): string => `0000000200000000000000${number}`;
    await mkdir(join(wal, 'archive_status'), { recursive: true });
    for (const [name, status] of [
      [segment(10), '.done'],
      [segment(11), '.ready'],
      ['00000002.history', '.ready'],
      // In use, and one that is kept for later under a new name.
      [segment(12), null],
      [segment(13), null],
    ] as const) {
      await writeFile(join(wal, name), '');
      if (status !== null) await writeFile(join(wal, 'archive_status', `${name}${status}`), '');
    }
    // Its file is gone: nobody can archive it any more.
    await writeFile(join(wal, 'archive_status', `${segment(9)}.ready`), '');
    const found = await unarchivedWal(join(volume, 'pgdata'));
    expect(found.map(({ name }) => name)).to.deep.equal([
      '00000002.history',
      segment(11),
      `${segment(12)}.partial`,
    ]);
    expect(found.at(-1)?.path).to.equal(join(wal, segment(12)));
  });

  it('comes to rest from whatever is there, and never gives up the only data', () => {
    const { data, rubbish, restored, before } = RESTORE_NAMES;
    const phases: readonly (RestorePhase | null)[] = [
      ...[null, 'swapping', 'restored', 'going back', 'accepting'],
    ] as const;
    for (const phaseAtFirst of phases) {
      for (let bits = 0; bits < 16; bits += 1) {
        let names: readonly string[] = [data, rubbish, restored, before].filter(
          (_, index) => (bits & (1 << index)) !== 0,
        );
        const hadData = names.includes(data);
        let phase = phaseAtFirst;
        for (let steps = 0; ; steps += 1) {
          expect(steps, `${String(phaseAtFirst)} ${names.join(' ')}`).to.be.below(10);
          const step = nextRestoreStep(names, phase);
          if (step === null) break;
          if (step.kind === 'note restored') phase = 'restored';
          if (step.kind === 'forget note') phase = null;
          if (step.kind === 'remove') {
            names = names.filter((name) => name !== RESTORE_NAMES[step.name]);
          }
          if (step.kind === 'rename') {
            // Onto a directory that is there rename(2) fails.
            expect(names).to.include(RESTORE_NAMES[step.from]);
            expect(names).not.to.include(RESTORE_NAMES[step.to]);
            names = [
              ...names.filter((name) => name !== RESTORE_NAMES[step.from]),
              RESTORE_NAMES[step.to],
            ];
          }
        }
        if (hadData) expect(names).to.include(data);
      }
    }
  });
});
