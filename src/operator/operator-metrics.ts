/** What an operator tells Prometheus: the status of its clusters, and what its own work was like. */
import { Exposition } from '../adapters/metrics/exposition';
import { processSource } from '../adapters/metrics/process-source';
import { type ErrorKind } from '../core/errors';
import { clusterFamilies, clusterSamples } from '../core/metrics/cluster';
import { sampled } from '../core/metrics/family';
import { operatorEventFamilies, operatorFamilies } from '../core/metrics/operator';
import { type Status } from '../core/status';

/** Told of what happens. */
export interface OperatorMeter {
  /** A round of a cluster's loop has ended. */
  round(durationMs: number, failure: ErrorKind | null): void;
  /** By another rule, or for another reason than before. */
  decided(rule: string): void;
  written(record: string, outcome: WriteOutcome): void;
}

export type WriteOutcome = 'done' | 'stale' | 'failed';

/** Looked at when somebody asks. */
export interface OperatorSeen {
  /** For how long it leads for certain. */
  readonly leadingLeftMs: () => number;
  /** Names of the clusters in its hands. */
  readonly clusters: () => readonly string[];
  /** null: it was not looked at yet. */
  readonly statusOf: (cluster: string) => Status | null;
}

export class OperatorMetrics implements OperatorMeter {
  readonly exposition = new Exposition();
  readonly #events = this.exposition.events(operatorEventFamilies);

  /** Until then there is nothing but what was counted. */
  show({ leadingLeftMs, clusters, statusOf }: OperatorSeen): void {
    this.exposition.add({
      families: operatorFamilies,
      read: () => {
        const leftMs = leadingLeftMs();
        return sampled(
          {},
          {
            pgswarm_operator_leader: leftMs > 0,
            pgswarm_operator_leadership_left_seconds: leftMs / 1000,
            pgswarm_operator_clusters: clusters().length,
          },
        );
      },
    });
    this.exposition.add({
      families: clusterFamilies,
      read: () =>
        clusters().flatMap((cluster) => {
          const status = statusOf(cluster);
          return status === null ? [] : clusterSamples(status);
        }),
    });
    this.exposition.add(processSource);
  }

  round(durationMs: number, failure: ErrorKind | null): void {
    this.#events.observe('pgswarm_operator_round_duration_seconds', durationMs / 1000);
    if (failure !== null) {
      this.#events.count('pgswarm_operator_round_failures_total', { kind: failure });
    }
  }

  decided(rule: string): void {
    this.#events.count('pgswarm_operator_decisions_total', { rule });
  }

  written(record: string, outcome: WriteOutcome): void {
    this.#events.count('pgswarm_operator_store_writes_total', { record, outcome });
  }
}
