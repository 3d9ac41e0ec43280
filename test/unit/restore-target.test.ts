import { expect } from 'chai';
import {
  describeTarget,
  parseTarget,
  targetParameters,
  type RestoreTarget,
  type TargetDocument,
} from '../../src/core/restore/target';
import { assignments } from '../../src/core/settings';

function targetOf(document: TargetDocument): RestoreTarget {
  const parsed = parseTarget(document);
  if (parsed.kind === 'target') return parsed.target;
  throw new Error(JSON.stringify(parsed.findings));
}

function messagesOf(document: TargetDocument): readonly string[] {
  const parsed = parseTarget(document);
  if (parsed.kind === 'target') return [];
  return parsed.findings.map(({ path, message }) => `${path}: ${message}`);
}

const hintsOf = (document: TargetDocument): string => {
  const parsed = parseTarget(document);
  return parsed.kind === 'target' ? '' : parsed.findings.map(({ hint }) => hint).join('\n');
};

describe('restore target', () => {
  interface Row {
    readonly name: string;
    readonly document: TargetDocument;
    readonly parameters: Readonly<Record<string, string>>;
    readonly description: string;
  }
  const rows: readonly Row[] = [
    {
      name: 'a time in UTC',
      document: { time: '2026-11-21T17:14:59Z' },
      parameters: {
        recovery_target_time: '2026-11-21 17:14:59+00',
        recovery_target_inclusive: 'on',
        recovery_target_timeline: 'latest',
        recovery_target_action: 'pause',
      },
      description: '2026-11-21T17:14:59Z',
    },
    {
      name: 'just before a time, to the microsecond, east of Greenwich',
      document: { time: '2026-11-21 17:14:59.123456+05:30', exclusive: true, action: 'promote' },
      parameters: {
        recovery_target_time: '2026-11-21 11:44:59.123456+00',
        recovery_target_inclusive: 'off',
        recovery_target_timeline: 'latest',
        recovery_target_action: 'promote',
      },
      description: 'just before 2026-11-21T11:44:59.123456Z',
    },
    {
      name: 'a time across midnight, as PostgreSQL prints zones',
      document: { time: '2026-11-21 23:30-02' },
      parameters: {
        recovery_target_time: '2026-11-22 01:30:00+00',
        recovery_target_inclusive: 'on',
        recovery_target_timeline: 'latest',
        recovery_target_action: 'pause',
      },
      description: '2026-11-22T01:30:00Z',
    },
    {
      name: 'a position on another timeline',
      document: { lsn: '0/03000060', timeline: 2, action: 'shutdown' },
      parameters: {
        recovery_target_lsn: '0/3000060',
        recovery_target_inclusive: 'on',
        recovery_target_timeline: '2',
        recovery_target_action: 'shutdown',
      },
      description: 'WAL position 0/3000060 on timeline 2',
    },
    {
      name: 'a transaction with its epoch, which WAL does not hold',
      document: { xid: '4294968027', exclusive: true },
      parameters: {
        recovery_target_xid: '731',
        recovery_target_inclusive: 'off',
        recovery_target_timeline: 'latest',
        recovery_target_action: 'pause',
      },
      description: 'just before transaction 731',
    },
    {
      name: 'a transaction id that PostgreSQL would read as octal',
      document: { xid: '0731' },
      parameters: {
        recovery_target_xid: '731',
        recovery_target_inclusive: 'on',
        recovery_target_timeline: 'latest',
        recovery_target_action: 'pause',
      },
      description: 'transaction 731',
    },
    {
      name: 'a restore point: inclusive has no meaning',
      document: { name: "before Bob's import", timeline: 'current' },
      parameters: {
        recovery_target_name: "before Bob's import",
        recovery_target_timeline: 'current',
        recovery_target_action: 'pause',
      },
      description: `restore point "before Bob's import"`,
    },
    {
      name: 'the end of the backup',
      document: { immediate: true },
      parameters: {
        recovery_target: 'immediate',
        recovery_target_timeline: 'latest',
        recovery_target_action: 'pause',
      },
      description: 'the end of the backup',
    },
    {
      name: 'the end of the WAL: no target, hence no action',
      document: { latest: true },
      parameters: { recovery_target_timeline: 'latest' },
      description: 'the end of the WAL',
    },
  ];
  for (const { name, document, parameters, description } of rows) {
    it(name, () => {
      const target = targetOf(document);
      expect(targetParameters(target)).to.deep.equal(parameters);
      expect(describeTarget(target)).to.equal(description);
    });
  }

  it('is rendered as a configuration file is written', () => {
    expect(assignments(targetParameters(targetOf({ name: "a\\b'c\nd" })))).to.deep.equal([
      "recovery_target_action = 'pause'",
      "recovery_target_name = 'a\\\\b''c\\nd'",
      "recovery_target_timeline = 'latest'",
    ]);
  });

  it('latest is promoted unless told, everything else is looked at first', () => {
    expect(targetOf({ latest: true }).action).to.equal('promote');
    expect(targetOf({ immediate: true }).action).to.equal('pause');
  });

  interface Refused {
    readonly name: string;
    readonly document: TargetDocument;
    readonly messages: readonly string[];
  }
  const refused: readonly Refused[] = [
    {
      name: 'no point',
      document: { exclusive: true, action: 'pause' },
      messages: ['spec.target: it does not say to which point'],
    },
    {
      name: 'two points',
      document: { time: '2026-11-21T17:14:59Z', lsn: '0/3000060' },
      messages: ['spec.target: it names 2 points: time, lsn'],
    },
    {
      name: 'a time without a zone',
      document: { time: '2026-11-21 17:14:59' },
      messages: [
        'spec.target.time: "2026-11-21 17:14:59" has no time zone: nobody can know which moment is meant',
      ],
    },
    {
      name: 'a day that the calendar does not have',
      document: { time: '2026-02-29T00:00:00Z' },
      messages: ['spec.target.time: there is no time "2026-02-29T00:00:00Z"'],
    },
    {
      name: 'an hour that the day does not have',
      document: { time: '2026-02-28T24:00:00Z' },
      messages: ['spec.target.time: there is no time "2026-02-28T24:00:00Z"'],
    },
    {
      name: 'a zone that nobody has',
      document: { time: '2026-02-28T00:00:00+16:00' },
      messages: ['spec.target.time: there is no time "2026-02-28T00:00:00+16:00"'],
    },
    {
      name: 'a zone by its name, which may mean several',
      document: { time: '2026-02-28T00:00:00 IST' },
      messages: ['spec.target.time: "2026-02-28T00:00:00 IST" is not a time'],
    },
    {
      name: 'a time that PostgreSQL would round',
      document: { time: '2026-02-28T00:00:00.1234567Z' },
      messages: [
        'spec.target.time: "2026-02-28T00:00:00.1234567Z" is finer than PostgreSQL counts',
      ],
    },
    {
      name: 'what PostgreSQL would take for a moment, but a different one each time',
      document: { time: 'yesterday' },
      messages: ['spec.target.time: "yesterday" is not a time'],
    },
    {
      name: 'no position',
      document: { lsn: '0x3000060' },
      messages: ['spec.target.lsn: "0x3000060" is not a WAL position'],
    },
    {
      name: 'an id that no transaction of a user has',
      document: { xid: 2 },
      messages: ['spec.target.xid: "2" is not a transaction id'],
    },
    {
      name: 'an id longer than ids are',
      document: { xid: '18446744073709551616' },
      messages: ['spec.target.xid: "18446744073709551616" is not a transaction id'],
    },
    {
      name: 'an id that JSON has rounded',
      document: { xid: 2 ** 53 },
      messages: ['spec.target.xid: 9007199254740992 is not a transaction id'],
    },
    {
      name: 'a name that is too long in UTF-8',
      document: { name: 'é'.repeat(32) },
      messages: ['spec.target.name: a restore point has no name of 64 bytes'],
    },
    {
      name: 'no name',
      document: { name: '' },
      messages: ['spec.target.name: the name is empty'],
    },
    {
      name: 'immediate: false',
      document: { immediate: false },
      messages: ['spec.target.immediate: immediate can only be true'],
    },
    {
      name: 'exclusive where PostgreSQL does not know it',
      document: { name: 'a', exclusive: true },
      messages: ['spec.target.exclusive: exclusive means nothing with name'],
    },
    {
      name: 'a pause at the end of the WAL',
      document: { latest: true, action: 'pause' },
      messages: [
        'spec.target.action: PostgreSQL cannot pause at latest: at the end of the WAL it is promoted',
      ],
    },
    {
      name: 'everything at once',
      document: { lsn: 'x', xid: 'y', timeline: 0, action: 'stop' },
      messages: [
        'spec.target: it names 2 points: lsn, xid',
        'spec.target.lsn: "x" is not a WAL position',
        'spec.target.xid: "y" is not a transaction id',
        'spec.target.timeline: "0" is not a timeline',
        'spec.target.action: there is no action "stop"',
      ],
    },
  ];
  for (const { name, document, messages } of refused) {
    it(`refuses ${name}`, () => expect(messagesOf(document)).to.deep.equal(messages));
  }

  it('says how a time is written with its zone', () => {
    expect(hintsOf({ time: '2026-11-21 17:14:59' })).to.include('2026-11-21T17:14+02:00');
  });

  it('names the place where the target was written', () => {
    const parsed = parseTarget({}, '--to');
    expect(parsed.kind === 'findings' && parsed.findings[0]?.path).to.equal('--to');
  });
});
