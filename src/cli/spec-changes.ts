/** What differs between two specs, by the names of the fields as the user writes them. */
import { formatDuration, formatSize } from '../core/quantities';
import { type NodeSelector, type Spec } from '../core/spec';

export interface SpecChange {
  readonly path: string;
  /** null: it was not there. */
  readonly from: string | null;
  /** null: it is not there any more. */
  readonly to: string | null;
}

/** In the order of the new spec's fields, then what is gone. */
export function specChanges(before: Spec, after: Spec): readonly SpecChange[] {
  const old = new Map(fieldsOf(before));
  const fields = new Map(fieldsOf(after));
  return [...new Set([...fields.keys(), ...old.keys()])]
    .map((path) => ({ path, from: old.get(path) ?? null, to: fields.get(path) ?? null }))
    .filter(({ from, to }) => from !== to);
}

type Field = readonly [path: string, value: string];

function fieldsOf(spec: Spec): Field[] {
  const { postgres, switchover, failover } = spec;
  return [
    ['spec.primary', spec.primary],
    ...spec.servers.flatMap(({ name, node, port }): Field[] => [
      [`spec.servers.${name}.node`, selectorText(node)],
      [`spec.servers.${name}.port`, String(port)],
    ]),
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
    ['spec.failover.mode', failover.mode],
    ['spec.failover.ttl', formatDuration(failover.ttlMs)],
    ['spec.failover.maxLag', formatSize(failover.lagBytesMax)],
  ];
}

function selectorText(node: NodeSelector): string {
  if ('hostname' in node) return node.hostname;
  if ('id' in node) return `id ${node.id}`;
  return Object.entries(node.labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ');
}
