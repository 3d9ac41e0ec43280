/**
 * Goal: a verb writes exactly what the person has asked for, or nothing and says why. Method: the
 * command runs on records in memory; what it printed and what is in the record afterwards is compared.
 */
import { expect } from 'chai';
import { runCli } from '../../src/cli/main';
import { type BackupRequest, type BackupSummary } from '../../src/core/backup/task';
import { OperatingError } from '../../src/core/errors';
import { specRecordName, stateRecordName } from '../../src/core/names';
import { type StoredRecord } from '../../src/core/ports';
import { type Report } from '../../src/core/protocol';
import { type RecoveryProblem } from '../../src/core/restore/recovery';
import { DRILL_TARGET } from '../../src/core/restore/rehearsal';
import { type Situation } from '../../src/core/situation';
import { type ClusterState, type RoleChange } from '../../src/core/state';
import { portsOf, recordingOutput, world, type World } from '../support/cli-ports';
import { type MemoryStore } from '../support/memory-store';
import { running, withReport, withSpec, withState } from '../support/world';

const pair = running();

const switching: RoleChange = {
  id: '1.1',
  kind: 'switchover',
  from: 'pg1',
  to: 'pg2',
  phase: 'checkpointing',
  reason: 'declared in generation 2',
  harmless: null,
  knownLsn: null,
  generation: 2,
  startedAt: '2026-01-01T00:10:00.000Z',
  shutdownLsn: null,
};
const electing: RoleChange = { ...switching, kind: 'failover', to: null, phase: 'electing' };
const REQUEST: BackupRequest = {
  method: 'base',
  incremental: false,
  format: 'tar',
  bytesPerSecondMax: null,
  server: null,
  by: 'bob',
  at: '2026-01-01T00:00:00.000Z',
};
const DUMP: BackupSummary = {
  id: '',
  method: 'dump',
  parent: null,
  format: 'plain',
  compression: 'zstd',
  server: 'pg1',
  wal: null,
  startedAt: '2026-01-01T00:00:00.000Z',
  stoppedAt: '2026-01-01T00:01:00.000Z',
  bytes: 1000,
  because: 'test',
  verification: null,
  retention: null,
};
const paused = { since: '2026-01-01T00:05:00.000Z', by: 'ada' };

/** pg1 was heard for the last time 12 s ago, 4 kB ahead of pg2. */
function primaryGone(): Situation {
  const { observation, nowMs } = pair;
  const { report } = observation.reports['pg1']!;
  const postgres = { ...report.postgres, lsn: '0/3001000' } as Report['postgres'];
  const pg1 = { report: { ...report, postgres }, seenAtMs: nowMs - 12_000 };
  const reports = { ...observation.reports, pg1 };
  return { ...pair, observation: { ...observation, reports } };
}

interface Ran {
  readonly code: number;
  readonly text: string;
  readonly state: ClusterState;
  /** Whether the leader has been told to read the records again. */
  readonly isWoken: boolean;
}

async function type(
  command: string,
  situation: Situation = pair,
  more: Partial<World> & { readonly answer?: string } = {},
): Promise<Ran> {
  const made = { ...(await world(situation)), ...more };
  const output = recordingOutput(more.answer ?? null);
  const spec = await made.store.read(specRecordName('orders'));
  const code = await runCli(command.split(' '), portsOf(made, output));
  const after = await made.store.read(specRecordName('orders'));
  const state = await made.store.read<ClusterState>(stateRecordName('orders'));
  const isWoken = spec?.version !== after?.version;
  return { code, text: output.text(), state: state!.value, isWoken };
}

/** The record changes like this by the next look. */
const becomes = (changes: (state: ClusterState) => Partial<ClusterState>) => ({
  acts: (situation: Situation): Situation => withState(situation, changes(situation.state!)),
});

const lastEvent = ({ state }: Ran): string | undefined => state.events.at(-1)?.rule;

interface Refused {
  readonly command: string;
  readonly name: string;
  readonly situation?: Situation;
  readonly says: RegExp;
}

const REFUSED: readonly Refused[] = [
  {
    name: 'an unknown server',
    command: 'promote orders pg-2',
    says: /no server pg-2\. Did you mean pg2\?/,
  },
  {
    name: 'the primary',
    command: 'promote orders pg1',
    says: /pg1 is the primary of orders already/,
  },
  {
    name: 'while another change is under way',
    command: 'promote orders pg2',
    situation: withState(pair, { change: switching }),
    says: /A switchover from pg1 to pg2 is under way/,
  },
  {
    name: 'while the cluster is paused',
    command: 'promote orders pg2',
    situation: withState(pair, { paused }),
    says: /paused; first: pgswarm resume orders/,
  },
  {
    name: 'a server that is kept stopped',
    command: 'promote orders pg2',
    situation: withState(pair, { fenced: ['pg2'] }),
    says: /first: pgswarm unfence orders pg2/,
  },
  {
    name: 'a server that has no data',
    command: 'promote orders pg2',
    situation: withState(pair, { volumes: { pg1: { volumeId: 'a' } } }),
    says: /pg2 has no data yet/,
  },
  {
    name: 'a cluster without a primary',
    command: 'promote orders pg2',
    situation: withState(pair, { primary: null }),
    says: /no primary yet/,
  },
  {
    name: 'a loss that nobody has to bear',
    command: 'promote orders pg2 --accept-data-loss --yes',
    says: /Nothing has to be lost: .* Leave out --accept-data-loss/,
  },
  {
    name: 'a loss that cannot be named',
    command: 'promote orders pg2 --accept-data-loss --yes',
    situation: withReport(primaryGone(), 'pg2', null),
    says: /the loss cannot be named/,
  },
  {
    name: 'the death of a primary that lives',
    command: 'promote orders pg2 --primary-is-dead --yes',
    says: /pg1 is not dead: it reports that it accepts writes/,
  },
  {
    name: 'a loss that nobody has confirmed',
    command: 'promote orders pg2 --accept-data-loss',
    situation: primaryGone(),
    says: /give --yes/,
  },
  {
    name: 'while somebody is about to become primary',
    command: 'pause orders',
    situation: withState(pair, { change: switching }),
    says: /under way in orders: pause it in a moment/,
  },
  { name: 'the primary, unconfirmed', command: 'fence orders pg1', says: /all writes stop/ },
  {
    name: 'a server whose role is changing',
    command: 'fence orders pg2',
    situation: withState(pair, { change: switching }),
    says: /fence pg2 in a moment/,
  },
  {
    name: 'a standby for which all writes would wait, unconfirmed',
    command: 'fence orders pg2',
    situation: withSpec(pair, {
      replication: { synchronous: { mode: 'any', number: 1, durability: 'required' } },
    }),
    says: /without pg2 there are 0: all writes wait/,
  },
  {
    name: 'while the cluster is paused',
    command: 'delete orders --yes',
    situation: withState(pair, { paused }),
    says: /paused; first: pgswarm resume orders/,
  },
  { name: 'an unknown server', command: 'unfence orders pg3', says: /no server pg3/ },
  { name: 'an unknown server', command: 'restart orders pg3', says: /no server pg3/ },
  {
    name: 'while the cluster is paused',
    command: 'restart orders',
    situation: withState(pair, { paused }),
    says: /paused; first: pgswarm resume orders/,
  },
  {
    name: 'while a change is under way',
    command: 'restart orders pg2',
    situation: withState(pair, { change: switching }),
    says: /restart it afterwards/,
  },
  {
    name: 'a server that is kept stopped',
    command: 'restart orders pg2',
    situation: withState(pair, { fenced: ['pg2'] }),
    says: /first: pgswarm unfence orders pg2/,
  },
  { name: 'an unknown server', command: 'backup orders --server pg3', says: /no server pg3/ },
  {
    name: 'while the cluster is paused',
    command: 'backup orders',
    situation: withState(pair, { paused }),
    says: /paused; first: pgswarm resume orders/,
  },
  {
    name: 'while another backup is under way',
    command: 'backup orders',
    situation: withState(pair, { backup: { request: REQUEST, begun: null } }),
    says: /asked for by bob at .*End it: pgswarm backup orders --cancel/,
  },
  {
    name: 'the changes to a dump',
    command: 'backup orders --method dump --incremental',
    says: /Only a base backup can be incremental/,
  },
  { name: 'for ever', command: 'archive pause orders --for 25h', says: /at most 1d/ },
  { name: 'for no time', command: 'archive pause orders --for 0s', says: /more than 0s/ },
  {
    name: 'on an unknown server',
    command: 'archive resume orders --server pg3',
    says: /no server pg3/,
  },
  {
    name: 'when nothing is left to restart',
    command: 'restart orders',
    situation: withState(pair, { fenced: ['pg1', 'pg2'] }),
    says: /Every server is kept stopped/,
  },
];

describe('verbs', () => {
  describe('refuse, and write nothing:', () => {
    for (const { name, command, situation = pair, says } of REFUSED) {
      it(`${command}: ${name}`, async () => {
        const ran = await type(command, situation);
        expect(ran.text).to.match(says);
        expect(ran.code).to.equal(1);
        expect(ran.state).to.deep.equal(situation.state);
      });
    }
  });

  describe('pause', () => {
    it('says so in the record, wakes the leader, and names the way back', async () => {
      const ran = await type('pause orders');
      expect(ran.state.paused?.since).to.equal('2026-01-01T00:12:00.000Z');
      expect(ran.isWoken).to.equal(true);
      expect(lastEvent(ran)).to.equal('pause');
      expect(ran.text).to.include('pgswarm resume orders');
    });

    it('keeps the first one', async () => {
      const ran = await type('pause orders', withState(pair, { paused }));
      expect(ran.code).to.equal(0);
      expect(ran.state.paused).to.deep.equal(paused);
      expect(ran.text).to.include('was paused by ada 7 min ago already');
    });

    it('is possible while nobody can be elected: then a person decides', async () => {
      const ran = await type('pause orders', withState(pair, { change: electing }));
      expect(ran.state.paused).not.to.equal(null);
    });

    it('ends by resume, once', async () => {
      const ran = await type('resume orders', withState(pair, { paused }));
      expect([ran.state.paused, lastEvent(ran)]).to.deep.equal([null, 'resume']);
      expect((await type('resume orders')).text).to.include('is not paused');
    });
  });

  describe('archive', () => {
    const until = '2026-01-01T00:42:00.000Z';
    const both = { pg1: { until, by: 'ada' }, pg2: { until, by: 'ada' } };

    it('pauses on every server, for half an hour', async () => {
      const ran = await type('archive pause orders');
      const { by } = ran.state.archivePauses['pg1']!;
      expect(ran.state.archivePauses).to.deep.equal({ pg1: { until, by }, pg2: { until, by } });
      expect([ran.isWoken, lastEvent(ran)]).to.deep.equal([true, 'archive']);
      expect(ran.text).to.include('pgswarm archive resume orders');
    });

    it('pauses on one server for as long as is said, and leaves the other one alone', async () => {
      const ran = await type(
        'archive pause orders --server pg2 --for 2h',
        withState(pair, { archivePauses: both }),
      );
      expect(ran.state.archivePauses['pg1']).to.deep.equal(both.pg1);
      expect(ran.state.archivePauses['pg2']!.until).to.equal('2026-01-01T02:12:00.000Z');
    });

    it('goes on: on one server, on all, once', async () => {
      const paused = withState(pair, { archivePauses: both });
      const one = await type('archive resume orders --server pg2', paused);
      expect(one.state.archivePauses).to.deep.equal({ pg1: both.pg1 });
      const all = await type('archive resume orders', paused);
      expect(all.state.archivePauses).to.deep.equal({});
      expect((await type('archive resume orders')).text).to.include('is not paused');
    });
  });

  describe('fence', () => {
    it('needs no question for a standby', async () => {
      const ran = await type('fence orders pg2');
      expect([ran.code, ran.state.fenced]).to.deep.equal([0, ['pg2']]);
      expect(ran.text).to.include('pgswarm unfence orders pg2');
    });

    for (const [answer, fenced] of [
      ['pg1', ['pg1']],
      ['yes', []],
    ] as const) {
      it(`asks before it stops the primary: ${answer}`, async () => {
        const ran = await type('fence orders pg1', pair, { answer });
        expect(ran.state.fenced).to.deep.equal(fenced);
      });
    }

    it('is not asked twice', async () => {
      const ran = await type('fence orders pg1', withState(pair, { fenced: ['pg1'] }));
      expect([ran.code, ran.state.events]).to.deep.equal([0, pair.state!.events]);
    });

    it('ends by unfence, also of a server that the spec has lost', async () => {
      const ran = await type('unfence orders pg9', withState(pair, { fenced: ['pg2', 'pg9'] }));
      expect([ran.code, ran.state.fenced]).to.deep.equal([0, ['pg2']]);
    });
  });

  describe('restore --preview', () => {
    const words = 'restored to 2026-11-21T17:14:59Z';
    const ready = becomes(({ rehearsal }) => ({
      rehearsal: rehearsal && {
        ...rehearsal,
        begun: {
          server: 'pg2',
          at: REQUEST.at,
          order: { id: 'r1', kind: 'preview', target: DRILL_TARGET, backup: null, query: null },
        },
      },
    }));
    const shown = withReport(pair, 'pg2', {
      rehearsal: { id: 'r1', state: 'ready', words, outcome: null },
    });

    it('is asked for, waited for, and says where to look', async () => {
      const ran = await type(
        'restore orders --preview --time 2026-11-21T18:14:59+01',
        shown,
        ready,
      );
      expect([ran.code, lastEvent(ran)], ran.text).to.deep.equal([0, 'restore']);
      const request = ran.state.rehearsal!.request;
      expect(request.target.point).to.deep.equal({ kind: 'time', time: '2026-11-21T17:14:59Z' });
      expect([request.kind, request.target.action]).to.deep.equal(['preview', 'promote']);
      expect(ran.text).to.include(`${words}; orders itself is as it was.`);
      expect(ran.text).to.include('pgswarm psql orders --preview');
    });

    it('to the end of the WAL needs no action', async () => {
      const ran = await type('restore orders --preview --latest --wait 1');
      expect(ran.state.rehearsal?.request.target.action).to.equal('promote');
    });

    for (const [what, options, says] of [
      ['a time without a zone', '--time 2026-11-21T17:14:59', /no time zone.*add Z for UTC/],
      ['no point', '', /it does not say to which point: name one of time, lsn/],
      ['two points', '--latest --xid 731', /it names 2 points: xid, latest/],
    ] as const) {
      it(`refuses ${what}`, async () => {
        const ran = await type(`restore orders --preview ${options}`.trim());
        expect([ran.code, ran.state.rehearsal]).to.deep.equal([1, null]);
        expect(ran.text).to.match(says);
      });
    }

    it('ends', async () => {
      const target = DRILL_TARGET;
      const request = { kind: 'preview', target, backup: null, server: null } as const;
      const rehearsal = { request: { ...request, by: 'bob', at: REQUEST.at }, begun: null };
      const ran = await type('restore orders --end-preview', withState(pair, { rehearsal }));
      expect([ran.code, ran.state.rehearsal]).to.deep.equal([0, null]);
      expect((await type('restore orders --end-preview')).text).to.include('There is no preview');
    });
  });

  describe('drill', () => {
    const result = { id: 'drill-1', server: 'pg2', at: '2026-01-01T00:10:00.000Z' };
    const outcome = {
      backup: 'b1',
      restoredTo: { lsn: '0/4000000', at: null, timeline: 2 },
      durations: { unpackMs: 1000, recoverMs: 3000, checkMs: 1 },
    };
    const ended = (problem: RecoveryProblem | null): Partial<World> =>
      becomes(() => ({ rehearsal: null, lastDrill: { ...result, ...outcome, problem } }));

    it('is asked for, waited for, and says how long it took', async () => {
      const ran = await type('drill orders', pair, ended(null));
      expect([ran.code, lastEvent(ran)]).to.deep.equal([0, 'drill']);
      expect(ran.text).to.include(
        'The data can be had back: restored on pg2 in 4s of backup b1, up to 0/4000000.',
      );
    });

    it('fails with the words of what is wrong', async () => {
      const problem = { reason: 'WalMissing', message: 'WAL is missing in the archive' };
      const ran = await type('drill orders', pair, ended(problem));
      expect(ran.code).to.equal(1);
      expect(ran.text).to.include('Restore drill on pg2: WAL is missing in the archive');
    });

    it('is called off', async () => {
      const request = { kind: 'drill', target: DRILL_TARGET, backup: null, server: null } as const;
      const rehearsal = { request: { ...request, by: 'bob', at: REQUEST.at }, begun: null };
      const underWay = withState(pair, { rehearsal });
      const second = await type('drill orders', underWay);
      expect(second.code).to.equal(1);
      expect(second.text).to.match(/asked for by bob at .*End it: pgswarm drill orders --cancel/s);
      const ran = await type('drill orders --cancel', underWay);
      expect([ran.code, ran.state.rehearsal]).to.deep.equal([0, null]);
      expect((await type('drill orders --cancel')).text).to.include(
        'No restore drill is under way.',
      );
    });
  });

  describe('backup', () => {
    const ended = (problem: string | null): Partial<World> =>
      becomes(() => ({
        backup: null,
        lastBackup: { id: 'b1', server: 'pg2', at: '2026-01-01T00:10:00.000Z', problem },
      }));

    it('is asked for, waited for, and said to be complete', async () => {
      const ran = await type('backup orders', pair, ended(null));
      expect([ran.code, lastEvent(ran)]).to.deep.equal([0, 'backup']);
      expect(ran.text).to.include('Backup b1 is complete on pg2, and verified.');
    });

    it('asks for what the options say', async () => {
      const ran = await type('backup orders --incremental --plain --max-rate 50MB --wait 1');
      expect(ran.state.backup?.request).to.include({
        ...{ method: 'base', incremental: true, format: 'plain', server: null },
        bytesPerSecondMax: 50 * 1024 ** 2,
      });
      expect(ran.text).to.match(/the backup is not complete after 1 s: .*The operator goes on/s);
    });

    it('fails in the words of the server', async () => {
      const ran = await type('backup orders', pair, ended('no room'));
      expect(ran.code).to.equal(1);
      expect(ran.text).to.include('Backup b1: no room');
    });

    it('is called off by a person', async () => {
      const underWay = withState(pair, { backup: { request: REQUEST, begun: null } });
      const ran = await type('backup orders --cancel', underWay);
      expect([ran.code, ran.state.backup]).to.deep.equal([0, null]);
      expect(ran.state.lastBackup?.problem).to.match(/called off by/);
      expect((await type('backup orders --cancel')).text).to.include('No backup is under way.');
    });
  });

  describe('load', () => {
    const id = '20261121T050000Z';
    const holding = (method: 'base' | 'dump', server: string): Situation =>
      withReport(pair, server, { backups: [{ ...DUMP, id, method }] });
    const ended = (problem: string | null): Partial<World> =>
      becomes(({ load }) =>
        load === null
          ? {}
          : { load: null, lastLoad: { id: load.request.at, server: 'pg1', problem } },
      );

    it('is asked for once it was confirmed, waited for, and said to be done', async () => {
      const ran = await type(`load orders ${id} --replace`, holding('dump', 'pg1'), {
        ...ended(null),
        answer: 'app',
      });
      expect([ran.code, lastEvent(ran)]).to.deep.equal([0, 'load']);
      expect(ran.text).to.include('what was written into it since is gone');
      expect(ran.text).to.include(`pg1 has loaded database app from backup ${id}.`);
    });

    it('does nothing unless the name of the database is typed', async () => {
      const ran = await type(`load orders ${id}`, holding('dump', 'pg1'), { answer: 'yes' });
      expect([ran.code, ran.state.load]).to.deep.equal([1, null]);
    });

    it('fails in the words of the server', async () => {
      const ran = await type(`load orders ${id} --yes`, holding('dump', 'pg1'), ended('it exists'));
      expect(ran.code).to.equal(1);
      expect(ran.text).to.include('it exists');
    });

    for (const [name, situation, words] of [
      ['unknown', pair, /There is no backup 20261121T050000Z/],
      ['no dump', holding('base', 'pg1'), /is a base backup, of the whole server/],
      ['not on the primary yet', holding('dump', 'pg2'), /is on pg2, and not on the primary pg1/],
    ] as const) {
      it(`is refused for a backup that is ${name}`, async () => {
        const ran = await type(`load orders ${id} --yes`, situation);
        expect([ran.code, ran.state.load]).to.deep.equal([1, null]);
        expect(ran.text).to.match(words);
      });
    }
  });

  describe('restart', () => {
    const done = becomes(() => ({ restart: null }));

    it('takes the primary last, and leaves out who is kept stopped', async () => {
      const trio = withState(
        withSpec(pair, {
          servers: ['pg1', 'pg2', 'pg3', 'pg4'].map((name, index) => ({
            name,
            node: { hostname: 'n1' },
            port: 5432 + index,
          })),
        }),
        { fenced: ['pg3'] },
      );
      const seen: (readonly string[])[] = [];
      const ran = await type('restart orders', trio, {
        acts: (situation) => {
          seen.push(situation.state?.restart?.servers ?? []);
          return withState(situation, { restart: null });
        },
      });
      expect(seen[0]).to.deep.equal(['pg2', 'pg4', 'pg1']);
      expect(ran.text).to.include('PostgreSQL has been restarted on pg2, pg4, pg1.');
    });

    it('of one server is of that server only', async () => {
      const ran = await type('restart orders pg1', pair, done);
      expect([ran.code, lastEvent(ran)]).to.deep.equal([0, 'restart']);
      expect(ran.text).to.include('PostgreSQL has been restarted on pg1.');
    });

    it('says that it goes on when the wait is over', async () => {
      const ran = await type('restart orders --wait 60');
      expect(ran.code).to.equal(1);
      expect(ran.text).to.match(/not all restarted after 60 s: .*The operator goes on/s);
      expect(ran.state.restart?.servers).to.deep.equal(['pg2', 'pg1']);
    });

    it('ends when another one has taken its place', async () => {
      const other = becomes(() => ({ restart: { id: 'other', servers: ['pg1'] } }));
      const ran = await type('restart orders', pair, other);
      expect(ran.text).to.include('another restart has taken the place of this one');
    });
  });

  describe('promote', () => {
    const done = becomes(({ primary, request, term, lastChange }) =>
      request === null
        ? {}
        : {
            term: term + 1,
            primary: request.to,
            request: null,
            lastChange: {
              ...lastChange!,
              kind: 'switchover',
              from: primary,
              to: request.to,
              writeGapMs: 87,
            },
          },
    );

    it('asks for nothing but a switchover, waits for it, and says what to commit', async () => {
      const ran = await type('promote orders pg2', pair, done);
      expect(ran.code).to.equal(0);
      expect(ran.text).to.include(
        'pg2 is the primary of orders now (switchover pg1 → pg2, write gap 87 ms, nothing lost).\n' +
          'Commit it, so that the file says what is: primary: pg2\n' +
          'Back again: pgswarm promote orders pg1',
      );
      expect([ran.state.primary, lastEvent(ran)]).to.deep.equal(['pg2', 'promote']);
    });

    it('has nothing to commit when the spec says so already', async () => {
      const ran = await type('promote orders pg2', withSpec(pair, { primary: 'pg2' }), done);
      expect(ran.text).to.include('there is nothing to commit');
    });

    it('writes what the person answers for, after it has said what that is', async () => {
      const written: unknown[] = [];
      const ran = await type(
        'promote orders pg2 --accept-data-loss --primary-is-dead',
        primaryGone(),
        {
          answer: 'pg2',
          acts: (situation) => {
            if (situation.state?.request != null) written.push(situation.state.request);
            return done.acts(situation);
          },
        },
      );
      expect(ran.code).to.equal(0);
      expect(ran.text.replaceAll(/\n {2}/g, ' ')).to.match(
        /pg2 has the WAL up to 0\/3000000\.\n- pg1 is known to have reached 0\/3001000, which is 4\.0 kB more\.\n- pg1 was last heard 12 s ago\./,
      );
      expect(ran.text.replaceAll(/\s+/g, ' ')).to.include('there are two primaries');
      expect(written[0]).to.deep.include({ to: 'pg2', acceptsLoss: true, primaryIsDead: true });
    });

    it('says with how many a commit was, where replication is synchronous', async () => {
      const guaranteed = (names: readonly string[]) =>
        withState(primaryGone(), {
          sync: { wanted: null, barrier: null, guaranteed: { number: 1, names } },
        });
      const text = async (names: readonly string[]): Promise<string> =>
        (await type('promote orders pg2 --accept-data-loss', guaranteed(names))).text.replaceAll(
          /\s+/g,
          ' ',
        );
      expect(await text(['pg2'])).to.include('Every commit that a client was told of is on pg2.');
      expect(await text(['pg2', 'pg3'])).to.include('some may be missing on pg2');
    });

    it('is possible while nobody can be elected', async () => {
      const situation = withState(primaryGone(), { change: electing });
      const ran = await type('promote orders pg2 --accept-data-loss --yes', situation, {
        acts: (now) => withState(done.acts(now), { change: null }),
      });
      expect(ran.code).to.equal(0);
    });

    it('takes the wish back when it is not granted in time', async () => {
      const ran = await type('promote orders pg2 --wait 5', withReport(pair, 'pg2', null));
      expect(ran.code).to.equal(1);
      expect(ran.text).to.match(
        /not the primary of orders after 5 s: .*the wish is taken back\.$/s,
      );
      expect(ran.state.request).to.equal(null);
      expect(ran.isWoken).to.equal(true);
    });

    it('takes the wish back when the operator refuses it and nothing moves', async () => {
      const late = withReport(pair, 'pg1', {
        postgres: {
          ...pair.observation.reports['pg1']!.report.postgres,
          lsn: '0/9000000',
        } as never,
      });
      const ran = await type('promote orders pg2', late);
      expect([ran.code, ran.state.request]).to.deep.equal([1, null]);
      expect(ran.text).to.match(
        /more than switchover\.maxLag allows .* the wish is taken back\.$/s,
      );
      expect(ran.text).not.to.include('after 60 s');
    });

    it('bears a Docker that does not answer for a moment', async () => {
      const made = { ...(await world(pair)), ...done };
      const output = recordingOutput();
      const ports = portsOf(made, output);
      const access = ports.connect();
      let looks = 0;
      const observe: typeof access.observe = (cluster) => {
        looks += 1;
        if (looks === 2) {
          return Promise.reject(new OperatingError('transient', 'DockerSilent', 'no answer yet'));
        }
        return access.observe(cluster);
      };
      const connect = () => ({ ...access, observe });
      expect(await runCli(['promote', 'orders', 'pg2'], { ...ports, connect })).to.equal(0);
      expect(output.text()).to.match(/no answer yet\n.*pg2 is the primary of orders now/s);
    });

    it('takes the wish back while nobody can be elected', async () => {
      const stuck = becomes(({ request }) => (request === null ? {} : { change: electing }));
      const ran = await type('promote orders pg2', pair, stuck);
      expect([ran.code, ran.state.request]).to.deep.equal([1, null]);
    });

    it("leaves another person's wish alone", async () => {
      const theirs = becomes(({ request }) =>
        request === null ? {} : { request: { ...request, by: 'grace', at: 'later' } },
      );
      const ran = await type('promote orders pg2', withReport(pair, 'pg2', null), theirs);
      expect([ran.code, ran.state.request?.by]).to.deep.equal([1, 'grace']);
    });

    it('leaves a change alone that has begun', async () => {
      const begun = becomes(({ request }) => (request === null ? {} : { change: switching }));
      const ran = await type('promote orders pg2 --wait 5', pair, begun);
      expect(ran.text).to.match(/after 5 s: .*The operator goes on; see pgswarm why orders/s);
      expect(ran.state.request?.to).to.equal('pg2');
    });

    const refusal = {
      generation: 1,
      to: 'pg2',
      because: 'pg2 did not catch up within 10 s',
      at: '2026-01-01T00:11:00.000Z',
      attempts: 1,
    };

    it('says why the operator has given it up', async () => {
      const given = becomes(({ request }) => (request === null ? {} : { refusal }));
      const ran = await type('promote orders pg2', withState(pair, { refusal }), given);
      expect([ran.code, ran.state.request]).to.deep.equal([1, null]);
      expect(ran.text).to.include('the switchover was given up: pg2 did not catch up within 10 s');
    });

    it('is not refused for what was given up before', async () => {
      const ran = await type('promote orders pg2', withState(pair, { refusal }), done);
      expect([ran.code, ran.state.refusal]).to.deep.equal([0, null]);
    });

    it('of the present primary takes another wish back', async () => {
      const request = { to: 'pg2', at: '', by: 'ada', acceptsLoss: false, primaryIsDead: false };
      const ran = await type('promote orders pg1', withState(pair, { request }));
      expect([ran.code, ran.state.request]).to.deep.equal([0, null]);
      expect(ran.text).to.include('the wish for pg2 is taken back');
    });

    it('waits for the next leader when one has just gone', async () => {
      const made = { ...(await world(pair)), ...done };
      const output = recordingOutput();
      const ports = portsOf(made, output);
      const access = ports.connect();
      let questions = 0;
      const cluster: typeof access.operator.cluster = (name) => {
        questions += 1;
        if (questions < 4) {
          return Promise.reject(new OperatingError('transient', 'NoLeader', 'nobody leads'));
        }
        return access.operator.cluster(name);
      };
      const connect = () => ({ ...access, operator: { ...access.operator, cluster } });
      expect(await runCli(['promote', 'orders', 'pg2'], { ...ports, connect })).to.equal(0);
      expect(output.text()).to.match(/nobody leads\n.*pg2 is the primary of orders now/s);
    });

    it('is no use without an operator', async () => {
      const ran = await type('promote orders pg2', pair, { situation: null });
      expect([ran.code, ran.state.request]).to.deep.equal([1, null]);
    });
  });

  describe('the record', () => {
    it('is read and written again when somebody else was faster', async () => {
      const store = await hasty(2);
      const ran = await type('pause orders', pair, { store });
      expect([ran.code, ran.state.paused?.since]).to.deep.equal([0, '2026-01-01T00:12:00.000Z']);
    });

    it('is left alone when that never ends', async () => {
      const ran = await type('pause orders', pair, { store: await hasty(Infinity) });
      expect([ran.code, ran.state.paused]).to.deep.equal([1, null]);
      expect(ran.text).to.include('try again');
    });

    it('of an earlier version is understood', async () => {
      const { fenced: _, ...old } = pair.state!;
      const ran = await type('fence orders pg2', { ...pair, state: old as ClusterState });
      expect(ran.state.fenced).to.deep.equal(['pg2']);
    });
  });
});

/** A store in which the leader writes first, so many times. */
async function hasty(times: number): Promise<MemoryStore> {
  const { store } = await world(pair);
  let left = times;
  const update = store.update.bind(store);
  store.update = async <T>(record: StoredRecord<unknown>, value: T): Promise<StoredRecord<T>> => {
    if (record.name === stateRecordName('orders') && left > 0) {
      left -= 1;
      await update((await store.read(record.name))!, record.value);
    }
    return update(record, value);
  };
  return store;
}
