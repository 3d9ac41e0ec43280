/** A status for people: at most 80 columns, what is wrong named after what is. */
import { type LastChange } from '../core/state';
import { type Condition, type Phase, type ServerStatus, type Status } from '../core/status';
import { fold, table, type Paint, type Tone } from './output';

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
    ...(status.lastChange === null ? [] : ['', changeText(status.lastChange, now)]),
    ...(silence === null ? [] : ['', paint('warn', fold(silence, 0))]),
  ].join('\n');
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
  Ready: 'good',
  Degraded: 'warn',
  Unavailable: 'bad',
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
  return `${paint('strong', cluster)}  ${paint(PHASE_TONES[phase], phase)}  ${facts.join(' · ')}`;
}

const primaryText = ({ primary, declaredPrimary }: Status): string =>
  primary === declaredPrimary ? primary : `${primary ?? 'none'} (declared ${declaredPrimary})`;

const isUp = ({ state }: ServerStatus): boolean => state === 'running' || state === 'streaming';

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

/** One decimal is enough to see how far a standby is behind. */
function sizeText(bytes: number): string {
  const [unit, name] = SIZES.find(([size]) => bytes >= size) ?? [1, 'B'];
  return unit === 1 ? `${bytes} B` : `${(bytes / unit).toFixed(1)} ${name}`;
}

const SIZES = [
  [1024 ** 3, 'GB'],
  [1024 ** 2, 'MB'],
  [1024, 'kB'],
] as const;

function conditionText(condition: Condition, now: Date, paint: Paint): string {
  const { type, reason, message, since } = condition;
  const age = since === undefined ? '' : `, since ${ago(since, now)}`;
  return `${paint('warn', `not ${type}`)}: ${reason}${age}\n${fold(message, 2)}`;
}

function changeText(change: LastChange, now: Date): string {
  const { kind, from, to, writeGapMs, lostBytes, at } = change;
  const moved = from === null ? to : `${from} → ${to}`;
  const gap = writeGapMs === null ? [] : [`write gap ${Math.round(writeGapMs)} ms`];
  const lost =
    kind !== 'switchover' ? [] : [lostBytes === 0 ? 'nothing lost' : `${lostBytes} bytes lost`];
  return `last change: ${[`${kind} ${moved}`, `${ago(at, now)} ago`, ...gap, ...lost].join(', ')}`;
}

const UNITS = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
] as const;

/** `7 s`, `3 min`, `5 h`, `2 d`: how long since. */
export function ago(since: string, now: Date): string {
  const seconds = Math.max(0, Math.round((now.getTime() - Date.parse(since)) / 1000));
  const [unit, name] = UNITS.find(([size]) => seconds >= size) ?? [1, 's'];
  return `${Math.floor(seconds / unit)} ${name}`;
}
