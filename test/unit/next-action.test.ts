import { expect } from 'chai';
import { type PostgresReport, type Task, type Upstream } from '../../src/core/protocol';
import { type RestoreWish } from '../../src/core/restore/task';
import {
  isSuperseded,
  nextAction,
  type Action,
  type LocalFacts,
} from '../../src/instance/next-action';
import { type Standing } from '../../src/instance/rejoin/ladder';
import { NO_MARKS } from '../../src/instance/volume';

const UPSTREAM: Upstream = {
  server: 'pg2',
  host: 'pg2',
  port: 5432,
  slot: 'pgswarm_pg1',
  systemIdentifier: '7',
};
const OTHER_UPSTREAM: Upstream = { ...UPSTREAM, server: 'pg3', host: 'pg3' };

const stopped = (standbySignal: boolean, clusterState = 'shut down'): PostgresReport => ({
  state: 'stopped',
  standbySignal,
  control: {
    systemIdentifier: '7',
    timeline: 1,
    clusterState,
    checkpointLsn: '0/28',
    endLsn: '0/A0',
  },
});
const both = { systemIdentifier: '7', timeline: 1, pendingRestart: [] };
const runsPrimary: PostgresReport = {
  state: 'primary',
  ...both,
  lsn: '0/A0',
  standbys: [],
  syncNames: '',
  isSyncInForce: true,
};
const runsStandby: PostgresReport = {
  state: 'standby',
  ...both,
  receivedLsn: '0/A0',
  replayedLsn: '0/A0',
  upstreamLsn: null,
  receiver: null,
};
const runsWarm: PostgresReport = { ...runsStandby, isWarm: true };
const nothing: PostgresReport = { state: 'stopped', control: null, standbySignal: false };

const STREAMING = { status: 'streaming', host: 'pg2' };
const DIVERGED: Standing = { kind: 'diverged', fork: { timeline: 1, endLsn: '0/60' } };
const standing = (seen: Standing | null) => ({
  upstream: UPSTREAM,
  standing: seen,
  suspicion: null,
  isAcquitted: false,
  failed: {},
});

const wait: Task = { kind: 'wait', because: 'test' };
const stop: Task = { kind: 'stop', because: 'test' };
const standby = {
  kind: 'standby',
  upstream: UPSTREAM,
  slots: [],
  sync: null,
  restartFor: null,
} satisfies Task;
const at = (address: string): Upstream => ({ ...UPSTREAM, address });
const standbyAt = (address: string): Task => ({ ...standby, upstream: at(address) });
const initialise: Task = { kind: 'initialise', volumeId: 'v1' };
const clone: Task = { kind: 'clone', volumeId: 'v1', from: UPSTREAM };
const primary = (changes: Partial<Extract<Task, { kind: 'primary' }>> = {}): Task => ({
  kind: 'primary',
  slots: [],
  checkpointFor: null,
  contract: null,
  sync: null,
  restartFor: null,
  ...changes,
});

/** A healthy server with everything in place. */
const facts = (changes: Partial<LocalFacts>): LocalFacts => ({
  task: null,
  term: 4,
  marks: { ...NO_MARKS, primaryTerm: 4 },
  rejoin: null,
  volume: {
    kind: 'tagged',
    tag: { cluster: 'orders', server: 'pg1', systemIdentifier: '7', volumeId: 'v1' },
  },
  postgres: stopped(false),
  upstream: UPSTREAM,
  hasSettings: true,
  hasRoles: true,
  mayBegin: true,
  mayPromote: true,
  syncApplied: '',
  restartedFor: null,
  positions: {},
  slots: [],
  checkpointedFor: null,
  streamProblem: null,
  isOutOfReach: false,
  misledBy: null,
  isSecluded: false,
  missed: null,
  ...changes,
});
const empty = { volume: { kind: 'empty' }, postgres: nothing } as const;
const foreign = { volume: { kind: 'foreign', detail: 'not ours' }, postgres: nothing } as const;

interface Row {
  readonly name: string;
  readonly facts: Partial<LocalFacts>;
  readonly heldBack?: readonly Action['kind'][];
  readonly action?: Action;
  readonly problem?: string;
}

const order: RestoreWish = {
  id: 'r1',
  target: { point: { kind: 'latest' }, isExclusive: false, timeline: 'latest', action: 'pause' },
  backup: null,
  by: 'ann',
  at: '2026-01-01T00:00:00Z',
};
const restored: Task = { kind: 'restored', order };
const withCopy = { ...NO_MARKS, primaryTerm: 4, restored: 'r1' };

const rows: readonly Row[] = [
  // Late on purpose.
  {
    name: 'a warm standby is not asked for what takes a connection',
    facts: {
      task: { ...standby, slots: ['pgswarm_pg3'], sync: { number: 1, names: ['pg2'] } },
      postgres: runsWarm,
    },
  },
  {
    name: 'a warm standby is told its settings',
    facts: { task: standby, postgres: runsWarm, hasSettings: false },
    action: { kind: 'reconfigure' },
  },
  {
    name: 'a warm standby that is to be primary starts anew, as one that answers',
    facts: { task: primary(), postgres: runsWarm },
    action: { kind: 'stop' },
  },
  {
    name: 'a standby that is fed from the archives needs no stream to be settled',
    facts: {
      task: { ...standby, upstream: { ...UPSTREAM, slot: null } },
      upstream: { ...UPSTREAM, slot: null },
      postgres: runsStandby,
      marks: { ...NO_MARKS, primaryTerm: 4, hasOldCopy: true },
    },
    action: { kind: 'settle' },
  },
  {
    name: 'a standby goes over from the stream to the archives',
    facts: { task: { ...standby, upstream: { ...UPSTREAM, slot: null } }, postgres: runsStandby },
    action: { kind: 'follow', upstream: { ...UPSTREAM, slot: null } },
  },
  // A restore in place.
  {
    name: 'a primary that is to be restored stops first',
    facts: { task: restored, postgres: runsPrimary },
    action: { kind: 'stop' },
  },
  {
    name: 'what is stopped is restored',
    facts: { task: restored, postgres: stopped(false) },
    action: { kind: 'restore', order },
  },
  {
    name: 'a restored copy starts where nobody reaches it',
    facts: { task: restored, postgres: stopped(false), marks: withCopy },
    action: { kind: 'start-restored', id: 'r1' },
  },
  {
    name: 'another point is restored in its place',
    facts: {
      task: { kind: 'restored', order: { ...order, id: 'r2' } },
      postgres: stopped(false),
      marks: withCopy,
    },
    action: { kind: 'restore', order: { ...order, id: 'r2' } },
  },
  {
    name: 'a copy that was not accepted never becomes primary: the data from before does',
    facts: { task: primary(), postgres: stopped(true), marks: withCopy },
    action: { kind: 'leave-restored' },
  },
  {
    name: 'a copy that runs stops before the data from before comes back',
    facts: { task: primary(), postgres: runsStandby, marks: withCopy },
    action: { kind: 'stop' },
  },
  {
    name: 'nor does a copy follow another primary',
    facts: { task: standby, postgres: stopped(true), marks: withCopy },
    action: { kind: 'leave-restored' },
  },
  {
    name: 'a copy that was accepted is stopped, to be started where everybody reaches it',
    facts: {
      task: primary({ accepted: 'r1' }),
      postgres: runsPrimary,
      isSecluded: true,
      marks: withCopy,
    },
    action: { kind: 'stop' },
  },
  {
    name: 'which needs a lease',
    facts: {
      task: primary({ accepted: 'r1' }),
      postgres: stopped(false),
      marks: withCopy,
      mayBegin: false,
    },
  },
  {
    name: 'and begins with it',
    facts: { task: primary({ accepted: 'r1' }), postgres: stopped(false), marks: withCopy },
    action: { kind: 'start-primary' },
  },
  {
    name: 'and once it is primary what was set aside is removed',
    facts: { task: primary({ accepted: 'r1' }), postgres: runsPrimary, marks: withCopy },
    action: { kind: 'keep-restored' },
  },
  // Without an assignment.
  { name: 'an empty volume rests', facts: empty },
  { name: 'a foreign volume rests', facts: foreign },
  {
    name: 'a stopped standby starts at once',
    facts: { postgres: stopped(true, 'shut down in recovery') },
    action: { kind: 'start-standby', upstream: null },
  },
  {
    name: 'a standby that has crashed starts at once',
    facts: { postgres: stopped(true, 'in archive recovery') },
    action: { kind: 'start-standby', upstream: null },
  },
  { name: 'a former primary waits to be told', facts: { postgres: stopped(false) } },
  {
    name: 'a former primary that has crashed waits to be told',
    facts: { postgres: stopped(false, 'in production') },
  },

  // wait
  { name: 'wait starts no standby', facts: { task: wait, postgres: stopped(true) } },
  { name: 'wait starts no primary', facts: { task: wait, postgres: stopped(false) } },
  { name: 'wait leaves a primary alone', facts: { task: wait, postgres: runsPrimary } },
  { name: 'wait leaves a standby alone', facts: { task: wait, postgres: runsStandby } },
  { name: 'wait with a foreign volume is no problem', facts: { task: wait, ...foreign } },

  // initialise, clone
  {
    name: 'initialise fills an empty volume',
    facts: { task: initialise, ...empty },
    action: { kind: 'initialise', volumeId: 'v1' },
  },
  { name: 'initialise leaves a filled volume', facts: { task: initialise } },
  {
    name: 'initialise refuses a foreign volume',
    facts: { task: initialise, ...foreign },
    problem: 'VolumeForeign',
  },
  {
    name: 'clone fills an empty volume',
    facts: { task: clone, ...empty },
    action: { kind: 'clone', volumeId: 'v1', from: UPSTREAM },
  },
  { name: 'clone leaves a filled volume', facts: { task: clone } },
  {
    name: 'clone refuses an unusable volume',
    facts: { task: clone, ...empty, volume: { kind: 'unusable', detail: 'read-only' } },
    problem: 'VolumeUnusable',
  },

  // primary
  {
    name: 'a former primary starts as primary',
    facts: { task: primary() },
    action: { kind: 'start-primary' },
  },
  {
    name: 'a stopped standby becomes primary only through a promotion',
    facts: { task: primary(), postgres: stopped(true) },
    action: { kind: 'start-standby', upstream: null },
  },
  {
    name: 'a standby is promoted',
    facts: { task: primary(), postgres: runsStandby },
    action: { kind: 'promote' },
  },
  {
    name: 'a primary that was initialised elsewhere is not invented in an empty volume',
    facts: { task: primary(), ...empty },
    problem: 'VolumeEmpty',
  },
  {
    name: 'nothing is started in a foreign volume',
    facts: { task: primary(), ...foreign },
    problem: 'VolumeForeign',
  },
  {
    name: 'a primary with everything in place rests',
    facts: { task: primary(), postgres: runsPrimary },
  },
  {
    name: 'a primary is left to start',
    facts: {
      task: primary(),
      postgres: { state: 'starting', recoveryBytes: null },
      hasRoles: false,
    },
  },
  {
    name: 'a primary that does not answer is left alone',
    facts: { task: primary(), postgres: { state: 'unknown' } },
  },
  {
    name: 'the CHECKPOINT of a switchover comes before everything else',
    facts: {
      task: primary({ checkpointFor: '4-1', slots: ['pgswarm_pg2'] }),
      postgres: runsPrimary,
      hasRoles: false,
      hasSettings: false,
    },
    action: { kind: 'checkpoint', changeId: '4-1' },
  },
  {
    name: 'a CHECKPOINT is done once for a change',
    facts: {
      task: primary({ checkpointFor: '4-1' }),
      postgres: runsPrimary,
      checkpointedFor: '4-1',
    },
  },
  {
    name: 'roles are looked at after becoming primary',
    facts: { task: primary(), postgres: runsPrimary, hasRoles: false },
    action: { kind: 'ensure-roles' },
  },
  {
    name: 'what fails does not hold up the rest',
    facts: { task: primary({ slots: ['pgswarm_pg2'] }), postgres: runsPrimary, hasRoles: false },
    heldBack: ['ensure-roles'],
    action: { kind: 'ensure-slots', slots: ['pgswarm_pg2'] },
  },
  {
    name: 'slots that have not been seen are not changed',
    facts: { task: primary({ slots: ['pgswarm_pg2'] }), postgres: runsPrimary, slots: null },
  },
  {
    name: 'an active slot is kept, whoever uses it',
    facts: {
      task: primary(),
      postgres: runsPrimary,
      slots: [{ name: 'pgswarm_pg9', active: true, lost: false, restartLsn: null }],
    },
  },
  {
    name: 'a slot of a server that is gone is dropped',
    facts: {
      task: primary(),
      postgres: runsPrimary,
      slots: [{ name: 'pgswarm_pg9', active: false, lost: false, restartLsn: null }],
    },
    action: { kind: 'ensure-slots', slots: [] },
  },
  {
    name: 'a slot that has lost its WAL is made anew',
    facts: {
      task: primary({ slots: ['pgswarm_pg2'] }),
      postgres: runsPrimary,
      slots: [{ name: 'pgswarm_pg2', active: false, lost: true, restartLsn: null }],
    },
    action: { kind: 'ensure-slots', slots: ['pgswarm_pg2'] },
  },
  {
    name: 'changed settings are told',
    facts: { task: primary(), postgres: runsPrimary, hasSettings: false },
    action: { kind: 'reconfigure' },
  },

  // standby
  {
    name: 'a former primary is compared with its successor first',
    facts: { task: standby },
    action: { kind: 'compare', upstream: UPSTREAM, suspicion: null },
  },
  {
    name: 'a former primary starts when it has nothing that its successor has not',
    facts: { task: standby, rejoin: standing({ kind: 'aligned' }) },
    action: { kind: 'start-standby', upstream: UPSTREAM },
  },
  {
    name: 'a comparison with another upstream does not count',
    facts: {
      task: standby,
      rejoin: { ...standing({ kind: 'aligned' }), upstream: OTHER_UPSTREAM },
    },
    action: { kind: 'compare', upstream: UPSTREAM, suspicion: null },
  },
  {
    name: 'a standby starts as it is: a look would only cost time',
    facts: { task: standby, postgres: stopped(true) },
    action: { kind: 'start-standby', upstream: UPSTREAM },
  },
  {
    name: 'a standby that could not start for its WAL is compared',
    facts: {
      task: standby,
      postgres: stopped(true),
      rejoin: { ...standing(null), suspicion: 'requested timeline 2 is not a child' },
    },
    action: {
      kind: 'compare',
      upstream: UPSTREAM,
      suspicion: 'requested timeline 2 is not a child',
    },
  },
  {
    name: 'a standby that cannot follow for its timeline is compared',
    facts: {
      task: standby,
      postgres: runsStandby,
      streamProblem: { reason: 'TimelineDiverged', message: 'forked off' },
    },
    action: { kind: 'compare', upstream: UPSTREAM, suspicion: 'forked off' },
  },
  {
    name: 'a standby that never becomes consistent is compared while it starts',
    facts: {
      task: standby,
      postgres: { state: 'starting', recoveryBytes: null },
      streamProblem: { reason: 'WalRemoved', message: 'removed' },
    },
    action: { kind: 'compare', upstream: UPSTREAM, suspicion: 'removed' },
  },
  {
    name: 'a new upstream is tried before the words of the old one are believed',
    facts: {
      task: standby,
      postgres: runsStandby,
      upstream: OTHER_UPSTREAM,
      streamProblem: { reason: 'TimelineDiverged', message: 'forked off' },
    },
    action: { kind: 'follow', upstream: UPSTREAM },
  },
  {
    name: 'a diverged server is rewound',
    facts: { task: standby, rejoin: standing(DIVERGED) },
    action: {
      kind: 'rewind',
      upstream: UPSTREAM,
      because: 'its WAL goes on beyond 0/60, where pg2 left timeline 1',
    },
  },
  {
    name: 'a server that was rewound by half is cloned again, without a look',
    facts: { task: standby, marks: { ...NO_MARKS, isHalfRewound: true } },
    action: {
      kind: 'reclone',
      upstream: UPSTREAM,
      because:
        'a rewind was cut short, so that the data directory cannot be started; ' +
        'it cannot be rewound again either',
    },
  },
  {
    name: 'a server that was rewound by half is not started without an assignment',
    facts: { postgres: stopped(true), marks: { ...NO_MARKS, isHalfRewound: true } },
  },
  {
    name: 'a server that was rewound by half does not become primary',
    facts: { task: primary(), marks: { ...NO_MARKS, isHalfRewound: true } },
    problem: 'RewindCutShort',
  },
  {
    name: 'the old copy is kept until the new one is known to stream',
    facts: {
      task: standby,
      postgres: { ...runsStandby, receiver: STREAMING },
      marks: { ...NO_MARKS, hasOldCopy: true },
    },
  },
  {
    name: 'the old copy goes when the new one streams',
    facts: {
      task: standby,
      postgres: { ...runsStandby, receiver: STREAMING, upstreamLsn: '0/A0' },
      marks: { ...NO_MARKS, hasOldCopy: true },
    },
    action: { kind: 'settle' },
  },
  {
    name: 'a primary keeps the old copy',
    facts: {
      task: primary(),
      postgres: runsPrimary,
      marks: { ...NO_MARKS, primaryTerm: 4, hasOldCopy: true },
    },
  },
  {
    name: 'a primary notes its term',
    facts: { task: primary(), postgres: runsPrimary, term: 5 },
    action: { kind: 'note-term', term: 5 },
  },
  {
    name: 'a primary that is to be a standby stops first',
    facts: { task: standby, postgres: runsPrimary },
    action: { kind: 'stop' },
  },
  {
    name: 'a standby of another database cluster is refused',
    facts: { task: { ...standby, upstream: { ...UPSTREAM, systemIdentifier: '8' } } },
    problem: 'UpstreamForeign',
  },
  {
    name: 'a standby without data is not invented',
    facts: { task: standby, ...empty },
    problem: 'VolumeEmpty',
  },
  { name: 'a standby that follows rests', facts: { task: standby, postgres: runsStandby } },
  {
    name: 'a standby follows its new upstream',
    facts: { task: standby, postgres: runsStandby, upstream: OTHER_UPSTREAM },
    action: { kind: 'follow', upstream: UPSTREAM },
  },
  {
    name: 'a standby is told where its upstream is',
    facts: { task: standbyAt('10.0.0.7'), postgres: runsStandby },
    action: { kind: 'follow', upstream: at('10.0.0.7') },
  },
  {
    name: 'a standby stays where it was told, when the next leader does not know it yet',
    facts: { task: standby, postgres: runsStandby, upstream: at('10.0.0.7') },
  },
  {
    name: 'a standby looks the name up when nobody is at the address',
    facts: {
      task: standbyAt('10.0.0.7'),
      postgres: runsStandby,
      upstream: at('10.0.0.7'),
      isOutOfReach: true,
    },
    action: { kind: 'follow', upstream: UPSTREAM, misledBy: '10.0.0.7' },
  },
  {
    name: 'a standby does not go back to an address where nobody was',
    facts: { task: standbyAt('10.0.0.7'), postgres: runsStandby, misledBy: '10.0.0.7' },
  },
  {
    name: 'a standby goes to another address than the one where nobody was',
    facts: { task: standbyAt('10.0.0.8'), postgres: runsStandby, misledBy: '10.0.0.7' },
    action: { kind: 'follow', upstream: at('10.0.0.8') },
  },
  {
    name: 'a standby that cannot become consistent is told its new upstream while it starts',
    facts: { task: standby, postgres: { state: 'starting', recoveryBytes: null }, upstream: null },
    action: { kind: 'follow', upstream: UPSTREAM },
  },
  {
    name: 'a standby drops the slots it had as primary: they would hold back its WAL for ever',
    facts: {
      task: standby,
      postgres: runsStandby,
      slots: [{ name: 'pgswarm_pg2', active: false, lost: false, restartLsn: null }],
    },
    action: { kind: 'ensure-slots', slots: [] },
  },

  {
    name: 'a standby that does not stream says why',
    facts: {
      task: standby,
      postgres: runsStandby,
      streamProblem: { reason: 'SlotMissing', message: 'no slot' },
    },
    problem: 'SlotMissing',
  },

  // stop
  { name: 'stop is done when stopped', facts: { task: stop } },
  {
    name: 'stop stops a primary',
    facts: { task: stop, postgres: runsPrimary },
    action: { kind: 'stop' },
  },
  {
    name: 'stop stops what is starting',
    facts: { task: stop, postgres: { state: 'starting', recoveryBytes: null } },
    action: { kind: 'stop' },
  },
  {
    name: 'stop stops what does not answer',
    facts: { task: stop, postgres: { state: 'unknown' } },
    action: { kind: 'stop' },
  },
  {
    name: 'stop waits for a stop under way',
    facts: { task: stop, postgres: { state: 'stopping' } },
  },
  {
    name: 'an action that has just failed is held back',
    facts: { task: primary() },
    heldBack: ['start-primary'],
  },
];

describe('the next action', () => {
  for (const { name, facts: changes, heldBack = [], action = null, problem = null } of rows) {
    it(name, () => {
      const decision = nextAction(facts(changes), heldBack);
      expect(decision.action).to.deep.equal(action);
      expect(decision.problem?.reason ?? null).to.equal(problem);
    });
  }
});

describe('an action under way', () => {
  const cases: readonly {
    readonly name: string;
    readonly action: Action;
    readonly task: Task;
    readonly superseded: boolean;
  }[] = [
    {
      name: 'a clone goes on while its upstream is not heard of',
      action: { kind: 'clone', volumeId: 'v1', from: UPSTREAM },
      task: wait,
      superseded: false,
    },
    {
      name: 'a clone goes on for the same filling',
      action: { kind: 'clone', volumeId: 'v1', from: UPSTREAM },
      task: clone,
      superseded: false,
    },
    {
      name: 'a clone is broken off for another filling',
      action: { kind: 'clone', volumeId: 'v0', from: UPSTREAM },
      task: clone,
      superseded: true,
    },
    {
      name: 'a start as primary is broken off by a stop',
      action: { kind: 'start-primary' },
      task: stop,
      superseded: true,
    },
    {
      name: 'a start as primary goes on for a changed assignment as primary',
      action: { kind: 'start-primary' },
      task: primary({ slots: ['pgswarm_pg2'] }),
      superseded: false,
    },
    {
      name: 'a start as standby is looked at again with every new task',
      action: { kind: 'start-standby', upstream: null },
      task: primary(),
      superseded: true,
    },
    {
      name: 'a CHECKPOINT is broken off when its switchover is given up',
      action: { kind: 'checkpoint', changeId: '4-1' },
      task: primary(),
      superseded: true,
    },
    {
      name: 'a re-clone goes on for its upstream',
      action: { kind: 'reclone', upstream: UPSTREAM, because: 'test' },
      task: standby,
      superseded: false,
    },
    {
      name: 'a re-clone is broken off for another upstream',
      action: { kind: 'reclone', upstream: OTHER_UPSTREAM, because: 'test' },
      task: standby,
      superseded: true,
    },
    {
      name: 'a rewind is never broken off',
      action: { kind: 'rewind', upstream: OTHER_UPSTREAM, because: 'test' },
      task: stop,
      superseded: false,
    },
    {
      name: 'the removal of an old copy is broken off by a promotion',
      action: { kind: 'settle' },
      task: primary(),
      superseded: true,
    },
    {
      name: 'a stop is never broken off',
      action: { kind: 'stop' },
      task: primary(),
      superseded: false,
    },
    {
      name: 'a promotion is never broken off',
      action: { kind: 'promote' },
      task: stop,
      superseded: false,
    },
    {
      name: 'a look at an upstream that is elsewhere by now is broken off',
      action: { kind: 'compare', upstream: at('10.0.0.7'), suspicion: null },
      task: standbyAt('10.0.0.8'),
      superseded: true,
    },
    {
      name: 'a look at an upstream of which the next leader knows no address goes on',
      action: { kind: 'compare', upstream: at('10.0.0.7'), suspicion: null },
      task: standby,
      superseded: false,
    },
  ];
  for (const { name, action, task, superseded } of cases) {
    it(name, () => {
      expect(isSuperseded(action, task)).to.equal(superseded);
    });
  }
});
