/** The fault matrix as data: what happens, for how long, and what must come of it. */
import { type Shape } from './cluster';
import * as faults from './faults';
import { type Fault } from './faults';
import { killedWhilePromoting, killedWhileStopping, laggingStandby } from './compound-faults';

export interface Cell {
  readonly name: string;
  /** In words, for tables. */
  readonly title: string;
  readonly fault: Fault;
  /**
   * When the fault is ended: as soon as another server has been primary for a moment, as soon as
   * anybody accepts writes again, or after so many milliseconds.
   */
  readonly until: 'moved' | 'written' | number;
  readonly primary: 'moves' | 'stays' | 'either';
  /** Of the median write gap; null: no target. */
  readonly gapTargetMs: number | null;
  /** Where the leaders are before, as seen from the primary's node; anywhere without it. */
  readonly leaders?: Leaders;
  /** What the cluster must be like; a cell is left out where it does not fit. */
  readonly needs?: Partial<Shape>;
  /** Redundancy is back so soon: see `Result.backMs`. */
  readonly backTargetMs?: number;
  /**
   * A frozen backend may acknowledge when it is thawed, before anybody can kill it: for so long. With
   * synchronous replication only what was sent before, and is on the new primary, too.
   */
  readonly lateMsMax?: number;
}

export interface Leaders {
  readonly swarm?: 'here' | 'elsewhere';
  readonly operator?: 'here' | 'elsewhere';
}

export const backTargetMs = 15_000;
/**
 * A node that comes back is no node before Swarm has taken it in again: Raft may elect anew, and its
 * overlay networks learn the names on them at Docker's next full exchange, which comes every 30 s.
 */
const afterReturnMs = 60_000;
const leaseGapMs = 6000;
/** Raft's election was measured at 14 to 20 s; three seconds more. */
const electionGapMs = 23_000;
const exitGapMs = 1500;
const elsewhere: Leaders = { swarm: 'elsewhere', operator: 'elsewhere' };

const processes: readonly Cell[] = [
  {
    name: 'postmaster-kill',
    title: 'postmaster SIGKILL',
    fault: faults.killPostmaster,
    until: 'written',
    primary: 'either',
    gapTargetMs: 300,
  },
  {
    name: 'manager-kill',
    title: 'instance manager SIGKILL',
    fault: faults.killManager,
    until: 'written',
    primary: 'either',
    gapTargetMs: exitGapMs,
  },
  {
    name: 'manager-freeze',
    title: 'instance manager SIGSTOP, PostgreSQL lives',
    fault: faults.freezeManager,
    until: 'moved',
    primary: 'moves',
    gapTargetMs: leaseGapMs,
  },
  {
    name: 'container-kill',
    title: 'container SIGKILL',
    fault: faults.killContainer,
    until: 'written',
    // A leader that has just taken over knows of no lease that it could see end: the new container may be first.
    primary: 'either',
    gapTargetMs: exitGapMs,
  },
];

const nodes: readonly Cell[] = [
  {
    name: 'node-kill',
    title: 'node killed, both leaders elsewhere',
    fault: faults.killNode,
    until: 'moved',
    primary: 'moves',
    backTargetMs: afterReturnMs,
    gapTargetMs: leaseGapMs,
    leaders: elsewhere,
  },
  {
    name: 'node-kill-swarm-leader',
    title: 'node killed that led the Swarm',
    fault: faults.killNode,
    until: 'moved',
    primary: 'moves',
    backTargetMs: afterReturnMs,
    gapTargetMs: electionGapMs,
    leaders: { swarm: 'here' },
  },
  {
    name: 'node-kill-operator',
    title: 'node killed whose operator led',
    fault: faults.killNode,
    until: 'moved',
    primary: 'moves',
    backTargetMs: afterReturnMs,
    gapTargetMs: null,
    leaders: { swarm: 'elsewhere', operator: 'here' },
  },
  {
    name: 'node-freeze',
    title: 'node frozen, thawed after the failover',
    fault: faults.freezeNode,
    until: 'moved',
    primary: 'moves',
    gapTargetMs: leaseGapMs,
    leaders: elsewhere,
    lateMsMax: 50,
  },
  {
    name: 'others-kill',
    title: 'all other nodes killed: no standby, no quorum',
    fault: faults.killOtherNodes,
    until: 12_000,
    primary: 'either',
    // Raft elects, and both agents register anew: up to 85 s before Swarm starts a container there.
    backTargetMs: 2 * afterReturnMs,
    gapTargetMs: null,
  },
];

const cables: readonly Cell[] = [
  {
    name: 'node-cut',
    title: 'node cut off from everybody',
    fault: faults.cutNode,
    until: 'moved',
    primary: 'moves',
    backTargetMs: afterReturnMs,
    gapTargetMs: leaseGapMs,
    leaders: elsewhere,
  },
  {
    name: 'node-cut-from-nodes',
    title: 'node cut off from the other nodes, not from its clients',
    fault: faults.cutFromNodes,
    until: 'moved',
    primary: 'moves',
    backTargetMs: afterReturnMs,
    gapTargetMs: leaseGapMs,
    leaders: elsewhere,
  },
  {
    name: 'operators-cut',
    title: 'primary cut off from the operators only',
    fault: faults.cutFromOperators,
    until: 15_000,
    primary: 'stays',
    gapTargetMs: null,
  },
  {
    name: 'standbys-cut',
    title: 'primary cut off from its standbys only',
    fault: faults.cutFromStandbys,
    until: 15_000,
    primary: 'either',
    gapTargetMs: null,
  },
  {
    name: 'operators-and-standbys-cut',
    title: 'primary cut off from operators and standbys',
    fault: faults.cutFromOperatorsAndStandbys,
    until: 'moved',
    primary: 'moves',
    gapTargetMs: leaseGapMs,
  },
  {
    name: 'outgoing-cut',
    title: 'what the primary’s node sends is lost',
    fault: faults.cutOutgoing,
    until: 'moved',
    primary: 'moves',
    backTargetMs: afterReturnMs,
    gapTargetMs: leaseGapMs,
    leaders: elsewhere,
  },
  {
    name: 'incoming-cut',
    title: 'what the primary’s node should hear is lost',
    fault: faults.cutIncoming,
    until: 'moved',
    primary: 'moves',
    backTargetMs: afterReturnMs,
    gapTargetMs: leaseGapMs,
    leaders: elsewhere,
  },
];

const control: readonly Cell[] = [
  {
    name: 'operators-kill',
    title: 'all operators killed, for 15 s',
    fault: faults.killOperators,
    until: 15_000,
    primary: 'stays',
    gapTargetMs: null,
  },
  {
    name: 'managers-cut',
    title: 'Swarm without quorum, for 20 s',
    fault: faults.cutManagers,
    until: 20_000,
    primary: 'stays',
    gapTargetMs: null,
  },
];

const disks: readonly Cell[] = [
  {
    name: 'data-full',
    title: 'data volume full',
    fault: faults.fillVolume,
    until: 15_000,
    primary: 'either',
    gapTargetMs: null,
    needs: { smallVolumeMb: 500 },
  },
  {
    name: 'archive-full',
    title: 'archive volume full',
    fault: faults.fillArchive,
    until: 5000,
    primary: 'stays',
    gapTargetMs: null,
    needs: { smallVolumeMb: 500 },
  },
  {
    name: 'slow-disk',
    title: 'slow disk: a few writes a second',
    fault: faults.slowDisk,
    until: 15_000,
    primary: 'either',
    gapTargetMs: null,
  },
];

const compound: readonly Cell[] = [
  {
    name: 'standby-lagging',
    title: 'container SIGKILL while the standbys are more than maxLag behind',
    fault: laggingStandby,
    until: 'written',
    primary: 'stays',
    gapTargetMs: null,
    needs: { sync: 'none' },
  },
  {
    name: 'container-and-leader-kill',
    title: 'container and the leading operator SIGKILL at once',
    fault: faults.killContainerAndLeader,
    // Who is there first: the old primary's new container, or a leader that can replace it.
    until: 'written',
    primary: 'either',
    gapTargetMs: null,
  },
  {
    name: 'switchover-source-kill',
    title: 'switchover: old primary’s container SIGKILL while stopping',
    fault: killedWhileStopping,
    until: 3000,
    primary: 'either',
    gapTargetMs: null,
  },
  {
    name: 'switchover-target-kill',
    title: 'switchover: new primary’s container SIGKILL while promoting',
    fault: killedWhilePromoting,
    until: 3000,
    primary: 'either',
    gapTargetMs: null,
  },
];

export const CELLS: readonly Cell[] = [
  ...processes,
  ...nodes,
  ...cables,
  ...control,
  ...disks,
  ...compound,
];

/** The cells of these names, in this order; an unknown name is an error that lists them all. */
export function cellsNamed(names: readonly string[]): Cell[] {
  return names.map((name) => {
    const cell = CELLS.find((each) => each.name === name);
    if (cell !== undefined) return cell;
    throw new Error(`no cell ${name}; there are ${CELLS.map((each) => each.name).join(', ')}`);
  });
}

/** The shape in which a cell runs when this one is asked for; null where it does not fit. */
export function shapeFor({ needs = {} }: Cell, asked: Shape): Shape | null {
  if (needs.sync !== undefined && needs.sync !== asked.sync) return null;
  if (needs.servers !== undefined && needs.servers !== asked.servers) return null;
  return { ...asked, ...needs };
}
