/** The newest report of each instance, and which of them are news. */
import { type SeenReport } from '../core/observation';
import { type Report } from '../core/protocol';

export class ReportBook {
  readonly #newest = new Map<string, SeenReport>();
  /** Starts of instance managers that are over: nothing they said is true any more. */
  readonly #endedBoots = new Set<string>();

  /** By server. */
  all(): Readonly<Record<string, SeenReport>> {
    return Object.fromEntries(this.#newest);
  }

  /** `repeated`: played again, or overtaken, and not kept; `news`: more than positions differ. */
  enter(report: Report, seenAtMs: number): 'repeated' | 'same' | 'news' {
    const before = this.#newest.get(report.server)?.report;
    if (!this.#isNewer(report, before)) return 'repeated';
    this.#newest.set(report.server, { report, seenAtMs });
    return before !== undefined && withoutPositions(before) === withoutPositions(report)
      ? 'same'
      : 'news';
  }

  #isNewer({ bootId, sequence }: Report, before: Report | undefined): boolean {
    if (before?.bootId === bootId) return sequence > before.sequence;
    if (this.#endedBoots.has(bootId)) return false;
    if (before !== undefined) this.#endedBoots.add(before.bootId);
    return true;
  }
}

const MOVING: readonly string[] = ['freeBytes', 'promiseLeftMs'];

/** Positions of a steady cluster move all the time, and so do what is free and what is left. */
function withoutPositions(report: Report): string {
  return JSON.stringify({ ...report, sequence: 0 }, (name, value: unknown) =>
    name.toLowerCase().endsWith('lsn') || MOVING.includes(name) ? undefined : value,
  );
}
