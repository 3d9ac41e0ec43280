/** When schedules are due, by the clocks of their zones, and what the operator makes of it. */
import { expect } from 'chai';
import {
  COUNT_MAX,
  dueBy,
  isTimeZone,
  nextDue,
  whyNoSchedule,
} from '../../src/core/backup/schedule';
import { decide } from '../../src/core/decide';
import { type Situation } from '../../src/core/situation';
import { type ScheduleSpec } from '../../src/core/spec';
import { type ClusterState } from '../../src/core/state';
import { statusOf } from '../../src/core/status';
import { viewOf } from '../../src/core/situation';
import { type BackupTask } from '../../src/core/backup/task';
import {
  afterRecord,
  running,
  stoppedReport,
  withReport,
  withSpec,
  withState,
} from '../support/world';

const BERLIN = 'Europe/Berlin';

describe('a schedule', () => {
  const moments: readonly (readonly [
    name: string,
    schedule: string,
    timeZone: string,
    after: string,
    due: readonly string[],
  ])[] = [
    [
      'every night',
      '0 2 * * *',
      'UTC',
      '2026-11-21T01:59:59Z',
      ['2026-11-21T02:00', '2026-11-22T02:00'],
    ],
    [
      'not at the very moment again',
      '0 2 * * *',
      'UTC',
      '2026-11-21T02:00:00Z',
      ['2026-11-22T02:00'],
    ],
    ['by the clock of its zone', '0 2 * * *', BERLIN, '2026-11-21T00:30:00Z', ['2026-11-21T01:00']],
    [
      'east of a date line',
      '0 0 * * 1',
      'Pacific/Auckland',
      '2026-11-21T00:00:00Z',
      ['2026-11-22T11:00'],
    ],
    [
      'at a time that summer time leaves out: right after the change',
      '30 2 * * *',
      BERLIN,
      '2026-03-28T12:00:00Z',
      ['2026-03-29T01:00', '2026-03-30T00:30'],
    ],
    [
      'at a time that is there twice: once',
      '30 2 * * *',
      BERLIN,
      '2026-10-24T12:00:00Z',
      ['2026-10-25T00:30', '2026-10-26T01:30'],
    ],
    [
      'every hour, through the change',
      '0 * * * *',
      BERLIN,
      '2026-03-29T00:00:00Z',
      ['2026-03-29T01:00', '2026-03-29T02:00'],
    ],
    ['on the last of a month', '0 3 L * *', 'UTC', '2027-02-01T00:00:00Z', ['2027-02-28T03:00']],
    ['on a leap day', '0 0 29 2 *', 'UTC', '2026-03-01T00:00:00Z', ['2028-02-29T00:00']],
    ['by a name', '@weekly', 'UTC', '2026-11-21T00:00:00Z', ['2026-11-22T00:00']],
  ];
  for (const [name, schedule, timeZone, after, expected] of moments) {
    it(`is due ${name}`, () => {
      let at = after;
      for (const minute of expected) {
        at = nextDue({ schedule, timeZone }, at) ?? 'never';
        expect(at).to.equal(`${minute}:00.000Z`);
      }
    });
  }

  const nightly = { schedule: '0 2 * * *', timeZone: 'UTC' };
  const first = '2026-11-21T02:00:00.000Z';
  const counts: readonly (readonly [now: string, due: readonly [string, number] | null])[] = [
    ['2026-11-21T01:59:59Z', null],
    ['2026-11-21T02:00:00Z', ['2026-11-21T02:00:00.000Z', 1]],
    ['2026-11-22T01:59:59Z', ['2026-11-21T02:00:00.000Z', 1]],
    ['2026-11-24T02:00:00Z', ['2026-11-24T02:00:00.000Z', 4]],
  ];
  for (const [now, due] of counts) {
    it(`was due ${due?.[1] ?? 0} times by ${now}`, () =>
      expect(dueBy(nightly, first, now)).to.deep.equal(due && { at: due[0], count: due[1] }));
  }

  it('counts no longer than anybody would', () => {
    const due = dueBy({ schedule: '* * * * *', timeZone: 'UTC' }, first, '2036-11-21T02:00:00Z');
    expect(due?.count).to.equal(COUNT_MAX);
  });

  const wrong: readonly (readonly [schedule: string, because: RegExp])[] = [
    ['0 0 2 * * *', /6 fields instead of 5/],
    ['0 2 * *', /4 fields instead of 5/],
    ['every night', /2 fields/],
    ['0 25 * * *', /hour: 25/],
    ['*/0 * * * *', /stepping/],
    ['0 0 30 2 *', /never due/],
    ['@reboot', /not supported/],
    ['@nightly', /./],
  ];
  for (const [schedule, because] of wrong) {
    it(`is not "${schedule}"`, () => expect(whyNoSchedule(schedule)).to.match(because));
  }

  it('may be written with names, lists, ranges and steps', () => {
    for (const schedule of ['0 2 * * mon-fri', '*/15 8-18 1,15 * *', '  0 2  * * 7', '@daily']) {
      expect(whyNoSchedule(schedule)).to.equal(null);
    }
  });

  it('knows time zones', () => {
    expect(['UTC', BERLIN, 'America/St_Johns'].every(isTimeZone)).to.equal(true);
    expect(['Europe/Bern', 'MESZ', ''].some(isTimeZone)).to.equal(false);
  });
});

describe('backups by schedule', () => {
  const NIGHTLY: ScheduleSpec = {
    name: 'nightly',
    schedule: '0 2 * * *',
    timeZone: 'UTC',
    method: 'base',
    incremental: true,
    server: null,
    suspend: false,
  };
  const DUMP: ScheduleSpec = { ...NIGHTLY, name: 'dump', method: 'dump', incremental: false };
  const following = (...schedules: readonly ScheduleSpec[]): Situation =>
    withSpec(running(), {
      backup: { retention: { keep: null, maxAgeMs: null }, schedules },
    });
  const at = (situation: Situation, now: string): Situation => ({ ...situation, now });
  const stateOf = ({ state }: Situation): ClusterState => {
    if (state === null) throw new Error('there is no state');
    return state;
  };
  const ended = (situation: Situation): Situation => withState(situation, { backup: null });
  const lastEvent = (situation: Situation): string =>
    stateOf(situation).events.at(-1)?.message ?? '';
  const by = (situation: Situation): string | undefined => stateOf(situation).backup?.request.by;

  const followed = afterRecord(at(following(NIGHTLY), '2026-11-20T12:00:00.000Z'));

  it('are followed from the moment at which they were declared', () => {
    expect(stateOf(followed).schedules['nightly']?.nextDueAt).to.equal('2026-11-21T02:00:00.000Z');
    expect(decide(at(followed, '2026-11-21T01:59:59.999Z')).rule).to.equal('steady');
  });

  it('are asked for when they are due, once', () => {
    const due = afterRecord(at(followed, '2026-11-21T02:00:00.500Z'));
    expect(stateOf(due).backup?.request).to.deep.equal({
      method: 'base',
      incremental: true,
      format: 'tar',
      bytesPerSecondMax: null,
      server: null,
      by: 'schedule nightly',
      at: '2026-11-21T02:00:00.500Z',
    });
    expect(lastEvent(due)).to.contain('it was due at 2026-11-21T02:00:00.000Z');
    expect(decide(ended(due)).rule).to.equal('steady');
    const status = statusOf(viewOf(due, stateOf(due)), decide(due));
    expect(status.schedules).to.deep.equal([
      {
        name: 'nightly',
        schedule: '0 2 * * *',
        timeZone: 'UTC',
        suspended: false,
        nextDueAt: '2026-11-22T02:00:00.000Z',
        lastDueAt: '2026-11-21T02:00:00.000Z',
        lastBegunAt: '2026-11-21T02:00:00.500Z',
      },
    ]);
  });

  it('are made up for once after an outage, however long, and the record says so', () => {
    const back = afterRecord(at(followed, '2026-11-25T09:00:00.000Z'));
    expect(by(back)).to.equal('schedule nightly');
    expect(lastEvent(back)).to.contain(
      'it was due at 2026-11-25T02:00:00.000Z, and 4 times since 2026-11-21T02:00:00.000Z',
    );
    expect(decide(ended(back)).rule).to.equal('steady');
    expect(stateOf(back).schedules['nightly']?.nextDueAt).to.equal('2026-11-26T02:00:00.000Z');
  });

  it('wait while the cluster is paused', () => {
    const pause = { since: '2026-11-21T01:00:00.000Z', by: 'ann' };
    const paused = withState(at(followed, '2026-11-21T02:00:00.000Z'), { paused: pause });
    expect(decide(paused).steps).to.deep.equal([]);
    expect(decide(withState(paused, { paused: null })).rule).to.equal('schedule-due');
  });

  it('wait for a backup that is under way, and come one after the other in the order of the spec', () => {
    const both = afterRecord(at(following(DUMP, NIGHTLY), '2026-11-20T12:00:00.000Z'));
    const request: BackupTask['request'] = {
      method: 'base',
      incremental: false,
      format: 'tar',
      bytesPerSecondMax: null,
      server: null,
      by: 'ann',
      at: '2026-11-21T01:59:00.000Z',
    };
    const busy = withState(at(both, '2026-11-21T02:00:00.000Z'), {
      backup: { request, begun: null },
    });
    expect(decide(busy).rule).to.equal('backup-begin');
    const one = afterRecord(ended(busy));
    expect(by(one)).to.equal('schedule dump');
    const two = afterRecord(ended(one));
    expect(by(two)).to.equal('schedule nightly');
    expect(decide(ended(two)).rule).to.equal('steady');
  });

  it('keep no other one waiting when their server is down', () => {
    const there: ScheduleSpec = { ...NIGHTLY, name: 'there', server: 'pg2' };
    const both = afterRecord(at(following(there, DUMP), '2026-11-20T12:00:00.000Z'));
    const down = withReport(at(both, '2026-11-21T02:00:00.000Z'), 'pg2', {
      postgres: stoppedReport('shut down in recovery'),
    });
    const one = afterRecord(down);
    expect(by(one)).to.equal('schedule dump');
    const waiting = decide(ended(one)).findings.find(({ rule }) => rule === 'schedule-waits');
    expect(waiting?.because).to.equal(
      'schedule there is due since 2026-11-21T02:00:00.000Z and waits for pg2',
    );
  });

  // A server that is restarted in the midst of a backup begins it anew.
  it('wait for the end of restarts, as backups do that somebody has asked for', () => {
    const restart = { id: 'r', servers: ['pg2', 'pg1'] };
    const due = withState(at(followed, '2026-11-21T02:00:00.500Z'), { restart });
    const because = (situation: Situation, rule: string): string | undefined =>
      decide(situation).findings.find((each) => each.rule === rule)?.because;
    expect(decide(due).steps).to.deep.equal([]);
    expect(because(due, 'schedule-waits')).to.match(
      /waits for the end of the restarts \(pg2, pg1\)$/,
    );
    const asked = afterRecord(withState(due, { restart: null }));
    const waiting = withState(asked, { restart });
    expect(decide(waiting).steps).to.deep.equal([]);
    expect(because(waiting, 'backup-waits')).to.equal(
      'a backup waits for the end of the restarts (pg2, pg1)',
    );
    expect(decide(asked).rule).to.equal('backup-begin');
  });

  const changes: readonly (readonly [string, readonly ScheduleSpec[], Record<string, string>])[] = [
    ['another time', [{ ...NIGHTLY, schedule: '0 5 * * *' }], { nightly: '2026-11-22T05:00' }],
    ['another time zone', [{ ...NIGHTLY, timeZone: BERLIN }], { nightly: '2026-11-22T01:00' }],
    ['one more', [NIGHTLY, DUMP], { nightly: '2026-11-21T02:00', dump: '2026-11-22T02:00' }],
    ['suspended', [{ ...NIGHTLY, suspend: true }], {}],
    ['gone', [], {}],
  ];
  for (const [name, schedules, expected] of changes) {
    it(`do not make up for what was due before the schedule changed: ${name}`, () => {
      const changed = withSpec(at(followed, '2026-11-21T12:00:00.000Z'), {
        backup: { retention: { keep: null, maxAgeMs: null }, schedules },
      });
      expect(decide(changed).rule).to.equal('schedules-follow');
      const next = Object.entries(stateOf(afterRecord(changed)).schedules).map(
        ([each, { nextDueAt }]) => [each, nextDueAt?.slice(0, 16)],
      );
      expect(Object.fromEntries(next)).to.deep.equal(expected);
    });
  }
});
