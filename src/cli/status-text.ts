/** A status for people: at most 80 columns, what is wrong named after what is. */
import { bestWindow, type WindowPoint } from '../core/archive/window-report';
import { describeCommit } from '../core/git/source';
import { outcomeText, type RehearsalResult } from '../core/restore/rehearsal';
import { type LastChange, type PromotionRequest } from '../core/state';
import {
  type Condition,
  type Phase,
  type ServerStatus,
  type Status,
  type Synchronous,
} from '../core/status';
import { ledgerLines } from './ledger';
import { fold, table, type Paint, type Tone } from './output';
import { ago, sizeText } from './quantity-text';

export interface StatusView {
  readonly status: Status;
  /** Why nothing is known of the servers; null when the operator has answered. */
  readonly silence: string | null;
}

/** The whole of one cluster. */
export function statusText({ status, silence }: StatusView, now: Date, paint: Paint): string {
  const disputed = status.conditions.filter((condition) => condition.status === 'False');
  return [
    header(status, paint),
    '',
    serverTable(status, paint),
    ...(disputed.length === 0
      ? []
      : ['', ...disputed.map((each) => conditionText(each, now, paint))]),
    ...paragraph(remarks(status, now)),
    ...paragraph([
      ...(status.lastChange === null ? [] : [changeText(status.lastChange, now)]),
      ...ledgerLines(status, now),
    ]),
    ...(silence === null ? [] : ['', paint('warn', fold(silence, 0))]),
  ].join('\n');
}

/** With a blank line before it, when there is anything in it. */
const paragraph = (lines: readonly string[]): readonly string[] =>
  lines.length === 0 ? [] : ['', ...lines.map((line) => fold(line, 2).trimStart())];

/** What people have done, what commits wait for, and how far back there is a way. */
function remarks(status: Status, now: Date): readonly string[] {
  const { cluster, pause, request, synchronous, rehearsalUnderWay, lastDrill } = status;
  return [
    ...sourceText(status, now),
    ...(pause === null
      ? []
      : [`paused by ${pause.by}, ${ago(pause.since, now)} ago; end it: pgswarm resume ${cluster}`]),
    ...(request === null ? [] : [requestText(request, now)]),
    ...(synchronous === null ? [] : [synchronousText(synchronous)]),
    ...recoveryText(status, now),
    ...(rehearsalUnderWay === null ? [] : [rehearsalUnderWay]),
    ...(lastDrill === null ? [] : [drillText(lastDrill, now)]),
  ];
}

/** The commit behind what is in force; or who has applied something else since. */
function sourceText({ source, followed }: Status, now: Date): readonly string[] {
  if (source.kind === 'git') {
    const { path, commit } = source;
    return [`from Git: ${describeCommit(commit)}, ${ago(commit.at, now)} ago, ${path}`];
  }
  if (followed === null || source.kind !== 'apply') return [];
  const { commit, path } = followed;
  return [
    `applied by ${source.by}, ${ago(source.appliedAt, now)} ago; in Git it is as of ${describeCommit(commit)}, ${path}`,
  ];
}

function drillText(drill: RehearsalResult, now: Date): string {
  const verdict = drill.problem === null ? `good, ${outcomeText(drill)}` : 'it has failed';
  return `last restore drill: ${ago(drill.at, now)} ago on ${drill.server}, ${verdict}`;
}

/** One line, of the archive that leads furthest. */
function recoveryText({ cluster, servers }: Status, now: Date): readonly string[] {
  const best = bestWindow(servers.flatMap(({ archive }) => archive?.recoveryWindow ?? []));
  if (best === null) return [];
  const { points, because } = best;
  if (points === null) {
    return [`recovery: to no point in time, ${because ?? ''}; see pgswarm backups ${cluster}`];
  }
  const text = ({ at, lsn }: WindowPoint): string =>
    at === null ? lsn : `${ago(at, now)} ago (${lsn})`;
  const gaps = because === null ? '' : `, with gaps`;
  return [
    `recovery: to every point from ${text(points.earliest)} to ${text(points.latest)}${gaps}`,
  ];
}

function requestText({ to, by, at, acceptsLoss }: PromotionRequest, now: Date): string {
  const terms = acceptsLoss ? ', whatever is lost' : '';
  return `asked for: ${to} as primary${terms}, by ${by}, ${ago(at, now)} ago`;
}

function synchronousText({ wanted, guaranteed }: Synchronous): string {
  const fact =
    guaranteed === null
      ? 'no commit is sure to be on a standby now'
      : `every acknowledged commit is on ${guaranteed}`;
  if (wanted === guaranteed) return `synchronous: ${fact}`;
  return `synchronous: ${fact}; changing to ${wanted ?? 'no standby'}`;
}

/** One line for each cluster. */
export function statusLines(statuses: readonly Status[], paint: Paint): string {
  const head = ['CLUSTER', 'PHASE', 'PRIMARY', 'SERVERS', 'TERM', 'GENERATION'];
  const rows = statuses.map((status) => [
    status.cluster,
    paint(PHASE_TONES[status.phase], status.phase),
    primaryText(status),
    `${status.servers.filter(isUp).length}/${status.servers.length}`,
    String(status.term),
    String(status.generation),
  ]);
  return table(head, rows);
}

const PHASE_TONES: Readonly<Record<Phase, Tone>> = {
  Creating: 'warn',
  Switchover: 'warn',
  Failover: 'bad',
  Ready: 'good',
  Degraded: 'warn',
  Unavailable: 'bad',
  Paused: 'warn',
  Deleting: 'warn',
};

function header(status: Status, paint: Paint): string {
  const { cluster, phase, term, timeline, generation } = status;
  const facts = [
    `primary ${primaryText(status)}`,
    `term ${term}`,
    `timeline ${timeline ?? 'unknown'}`,
    `generation ${generation}`,
  ];
  // A fact is never torn apart.
  const whole = facts.map((fact) => fact.replaceAll(' ', '\u00a0')).join(' · ');
  const line = `${paint('strong', cluster)}  ${paint(PHASE_TONES[phase], phase)}  ${whole}`;
  return fold(line, 2).trimStart().replaceAll('\u00a0', ' ');
}

const primaryText = ({ primary, declaredPrimary }: Status): string =>
  primary === declaredPrimary ? primary : `${primary ?? 'none'} (declared ${declaredPrimary})`;

const isUp = ({ state }: ServerStatus): boolean =>
  /^(running|streaming|from the archive)/.test(state);

const STATE_COLUMN = 3;

function serverTable({ servers }: Status, paint: Paint): string {
  const head = ['SERVER', 'ROLE', 'NODE', 'STATE', 'TL', 'LAG', 'ADDRESS'];
  const rows = servers.map((server) => [
    server.name,
    server.role ?? '-',
    server.node ?? '-',
    paint(stateTone(server), server.state),
    String(server.timeline ?? '-'),
    server.lagBytes === null ? '-' : sizeText(server.lagBytes),
    server.address ?? '-',
  ]);
  return table(head, rows, STATE_COLUMN);
}

function stateTone(server: ServerStatus): Tone {
  if (isUp(server)) return 'good';
  return server.state === 'unknown' ? 'bad' : 'warn';
}

function conditionText(condition: Condition, now: Date, paint: Paint): string {
  const { type, reason, message, since } = condition;
  const age = since === undefined ? '' : `, since ${ago(since, now)}`;
  return `${paint('warn', `not ${type}`)}: ${reason}${age}\n${fold(message, 2)}`;
}

function changeText(change: LastChange, now: Date): string {
  const [what = '', ...facts] = changeFacts(change);
  return `last change: ${[what, `${ago(change.at, now)} ago`, ...facts].join(', ')}`;
}

/** What happened, then how long writes were away, and what was lost. */
export function changeFacts(change: LastChange): readonly string[] {
  const { kind, from, to, writeGapMs, lostBytes } = change;
  const moved = from === null ? to : `${from} → ${to}`;
  const gap = writeGapMs === null ? [] : [`write gap ${Math.round(writeGapMs)} ms`];
  const isFirst = kind === 'initialised' || kind === 'adopted';
  const lost = isFirst ? [] : [lostBytes === 0 ? 'nothing lost' : `${sizeText(lostBytes)} lost`];
  return [`${kind} ${moved}`, ...gap, ...lost];
}
