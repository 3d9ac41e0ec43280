/** What differs between two specs, by the names of the fields as the user writes them. */
import { effectOf } from '../core/parameter-changes';
import { formatDuration, formatSize } from '../core/quantities';
import { describeOrder } from '../core/restore/bootstrap';
import { type LateSpec, type NodeSelector, type Spec } from '../core/spec';

export interface SpecChange {
  readonly path: string;
  /** null: it was not there. */
  readonly from: string | null;
  /** null: it is not there any more. */
  readonly to: string | null;
  /** Of a parameter: what brings it into force. */
  readonly effect?: string;
}

/** In the order of the new spec's fields, then what is gone. */
export function specChanges(before: Spec, after: Spec): readonly SpecChange[] {
  const old = new Map(fieldsOf(before));
  const fields = new Map(fieldsOf(after));
  return [...new Set([...fields.keys(), ...old.keys()])]
    .map((path) => ({ path, from: old.get(path) ?? null, to: fields.get(path) ?? null }))
    .filter(({ from, to }) => from !== to)
    .map((change) => withEffect(change, before, after));
}

const PARAMETER = 'spec.postgres.parameters.';

function withEffect(change: SpecChange, before: Spec, after: Spec): SpecChange {
  if (!change.path.startsWith(PARAMETER)) return change;
  const name = change.path.slice(PARAMETER.length);
  const effect = effectOf(name, before.postgres.parameters, after.postgres.parameters);
  return { ...change, effect };
}

type Field = readonly [path: string, value: string];

function fieldsOf(spec: Spec): Field[] {
  const { postgres, switchover } = spec;
  return [
    ['spec.primary', spec.primary],
    ...spec.servers.flatMap(({ name, node, port, late }): Field[] => [
      [`spec.servers.${name}.node`, selectorText(node)],
      [`spec.servers.${name}.port`, String(port)],
      ...(late === undefined ? [] : lateFields(`spec.servers.${name}`, late)),
    ]),
    ...bootstrapFields(spec),
    ['spec.image', spec.image ?? 'the operator’s own'],
    ['spec.network.subnet', spec.network.subnet],
    ['spec.postgres.version', String(postgres.version)],
    ...Object.entries(postgres.parameters).map(([name, value]): Field => [
      `spec.postgres.parameters.${name}`,
      value,
    ]),
    ['spec.postgres.hba', postgres.hba.join(' | ')],
    ['spec.postgres.database', postgres.database],
    ['spec.postgres.owner', postgres.owner],
    ['spec.switchover.maxLag', formatSize(switchover.lagBytesMax)],
    ['spec.switchover.timeout', formatDuration(switchover.timeoutMs)],
    ...synchronousFields(spec.replication),
    ['spec.update.primary', spec.update.primary],
    ...failoverFields(spec.failover),
    ['spec.archive.compression', spec.archive.compression],
    ['spec.archive.timeout', formatDuration(spec.archive.timeoutMs)],
    ...backupFields(spec.backup),
    ['spec.deletionPolicy', spec.deletionPolicy ?? 'retain'],
  ];
}

function backupFields({ retention, schedules, drill }: Spec['backup']): Field[] {
  const { keep, maxAgeMs } = retention;
  const at = 'spec.backup';
  return [
    ...(keep === null ? [] : [[`${at}.retention.keep`, String(keep)] as const]),
    ...(maxAgeMs === null ? [] : [[`${at}.retention.maxAge`, formatDuration(maxAgeMs)] as const]),
    ...schedules.flatMap(({ name, ...fields }) => statedFields(`${at}.schedules.${name}`, fields)),
    ...statedFields(`${at}.drill`, drill ?? {}),
  ];
}

/** Those that say something. */
const statedFields = (at: string, fields: object): Field[] =>
  Object.entries(fields as Record<string, string | boolean | null>).flatMap(([field, value]) =>
    value === null ? [] : [[`${at}.${field}`, String(value)]],
  );

const lateFields = (at: string, late: LateSpec): Field[] => [
  [`${at}.replication`, late.replication],
  [`${at}.hotStandby`, String(late.hotStandby)],
  [`${at}.applyDelay`, formatDuration(late.applyDelayMs)],
];

function bootstrapFields({ bootstrap }: Spec): Field[] {
  return bootstrap === undefined
    ? []
    : [['spec.bootstrap.restore', describeOrder(bootstrap.restore)]];
}

function synchronousFields({ synchronous }: Spec['replication']): Field[] {
  if (synchronous === null) return [];
  const at = 'spec.replication.synchronous';
  return [
    [`${at}.mode`, synchronous.mode],
    [`${at}.number`, String(synchronous.number)],
    [`${at}.durability`, synchronous.durability],
  ];
}

function failoverFields(failover: Spec['failover']): Field[] {
  const at = 'spec.failover';
  return [
    [`${at}.mode`, failover.mode],
    [`${at}.ttl`, formatDuration(failover.ttlMs)],
    [`${at}.maxLag`, formatSize(failover.lagBytesMax)],
    [`${at}.delay`, formatDuration(failover.delayMs)],
    ...Object.entries(failover.priorities).map(([name, priority]): Field => [
      `${at}.priorities.${name}`,
      String(priority),
    ]),
    [`${at}.failback`, failover.failback],
    [`${at}.failbackAfter`, formatDuration(failover.failbackAfterMs)],
  ];
}

function selectorText(node: NodeSelector): string {
  if ('hostname' in node) return node.hostname;
  if ('id' in node) return `id ${node.id}`;
  return Object.entries(node.labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ');
}
