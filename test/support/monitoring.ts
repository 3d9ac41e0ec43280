/** The files for Prometheus and Grafana, read for tests. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook_url: string };
}

export const MONITORING = join(__dirname, '../../manifests/monitoring');

export const readMonitoring = (file: string): string =>
  readFileSync(join(MONITORING, file), 'utf8');

export function alertRules(): readonly AlertRule[] {
  const { groups } = load(readMonitoring('alerts.yml')) as {
    groups: readonly { rules: readonly AlertRule[] }[];
  };
  return groups.flatMap(({ rules }) => rules);
}

/** Names of metrics in any text, each once. */
export const metricsNamedIn = (text: string): readonly string[] => [
  ...new Set(text.match(/\b(?:pgswarm_(?:cluster|server|operator|instance)|process|nodejs)_\w+/g)),
];
