/** The newest report of each instance, and which of them are news. */
import { type SeenReport } from '../core/observation';
import { type Report } from '../core/protocol';

export class ReportBook {
  readonly #newest = new Map<string, SeenReport>();
  /** The newest of each start of an instance manager, by server and boot id. */
  readonly #sequences = new Map<string, number>();

  /** By server. */
  all(): Readonly<Record<string, SeenReport>> {
    return Object.fromEntries(this.#newest);
  }

  /** `repeated`: played again, or overtaken, and not kept; `news`: more than positions differ. */
  enter(report: Report, seenAtMs: number): 'repeated' | 'same' | 'news' {
    const before = this.#newest.get(report.server)?.report;
    // Which of two starts is the later one nobody can tell from one report: one that was long on its
    // way is taken for the newest until the other, which goes on, is heard again.
    const start = `${report.server} ${report.bootId}`;
    if (report.sequence <= (this.#sequences.get(start) ?? 0)) return 'repeated';
    this.#sequences.set(start, report.sequence);
    this.#newest.set(report.server, { report, seenAtMs });
    return before !== undefined && withoutPositions(before) === withoutPositions(report)
      ? 'same'
      : 'news';
  }
}

const MOVING: readonly string[] = [
  'freeBytes',
  'fullInMs',
  'promiseLeftMs',
  'pausedLeftMs',
  'forMs',
  'last',
  'waiting',
  'window',
];

/** Positions of a steady cluster move all the time, and so do what is free, left, and archived. */
function withoutPositions(report: Report): string {
  return JSON.stringify({ ...report, sequence: 0 }, (name, value: unknown) =>
    name.toLowerCase().endsWith('lsn') || MOVING.includes(name) ? undefined : value,
  );
}
