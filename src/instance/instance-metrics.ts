/** What an instance manager tells Prometheus: itself as it is, and what has happened to it. */
import { type ControlPort } from '../adapters/control/client';
import { Exposition } from '../adapters/metrics/exposition';
import { processSource } from '../adapters/metrics/process-source';
import { instanceEventFamilies, instanceFamilies, instanceSamples } from '../core/metrics/instance';
import { judgeHealth, type Health } from './health-server';

/** Told of what happens to PostgreSQL. */
export interface PostgresMeter {
  started(): void;
  /** It has ended by itself. */
  crashed(): void;
  fenced(): void;
}

/** Told of what becomes of WAL that is to be archived. */
export interface ArchiveMeter {
  /** `bytes` of WAL, before compression. */
  archived(bytes: number, durationMs: number): void;
  archiveFailed(): void;
}

export class InstanceMetrics implements PostgresMeter, ArchiveMeter {
  readonly exposition: Exposition;
  readonly #events;

  constructor({ cluster, server }: { readonly cluster: string; readonly server: string }) {
    this.exposition = new Exposition({ cluster, server });
    this.#events = this.exposition.events(instanceEventFamilies);
  }

  /** Until then there is nothing but what was counted. */
  show(health: () => Health): void {
    this.exposition.add({
      families: instanceFamilies,
      read: () => {
        const seen = health();
        return instanceSamples({ ...seen, isHealthy: judgeHealth(seen).ok });
      },
    });
    this.exposition.add(processSource);
  }

  started(): void {
    this.#events.count('pgswarm_instance_postmaster_starts_total');
  }

  crashed(): void {
    this.#events.count('pgswarm_instance_postmaster_crashes_total');
  }

  fenced(): void {
    this.#events.count('pgswarm_instance_fences_total');
  }

  archived(bytes: number, durationMs: number): void {
    this.#events.observe('pgswarm_instance_archive_duration_seconds', durationMs / 1000);
    this.#events.count('pgswarm_instance_archived_bytes_total', {}, bytes);
  }

  archiveFailed(): void {
    this.#events.count('pgswarm_instance_archive_failures_total');
  }

  /** The same line to the leader, with a watch on how long it takes to answer. */
  timed(control: ControlPort): ControlPort {
    const events = this.#events;
    return {
      beat: async (report) => {
        const beganMs = performance.now();
        try {
          const answer = await control.beat(report);
          const seconds = (performance.now() - beganMs) / 1000;
          events.observe('pgswarm_instance_operator_request_duration_seconds', seconds);
          return answer;
        } catch (error) {
          events.count('pgswarm_instance_operator_request_failures_total');
          throw error;
        }
      },
      watch: (question, signal) => control.watch(question, signal),
      close: () => control.close(),
    };
  }
}
