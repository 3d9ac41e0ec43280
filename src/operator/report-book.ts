/** The newest report of each instance, and which of them are news. */
import { type SeenReport } from '../core/observation';
import { type Report } from '../core/protocol';

export class ReportBook {
  readonly #newest = new Map<string, SeenReport>();
  /** The newest of each start of an instance manager, by server and boot id. */
  readonly #sequences = new Map<string, number>();
  /** What of the newest does not move all the time: comparing every report is dear enough. */
  readonly #settled = new Map<string, string>();

  /** By server. */
  all(): Readonly<Record<string, SeenReport>> {
    return Object.fromEntries(this.#newest);
  }

  /** `repeated`: played again, or overtaken, and not kept; `news`: more than positions differ. */
  enter(report: Report, seenAtMs: number): 'repeated' | 'same' | 'news' {
    // Which of two starts is the later one nobody can tell from one report: one that was long on its
    // way is taken for the newest until the other, which goes on, is heard again.
    const start = `${report.server} ${report.bootId}`;
    if (report.sequence <= (this.#sequences.get(start) ?? 0)) return 'repeated';
    this.#sequences.set(start, report.sequence);
    this.#newest.set(report.server, { report, seenAtMs });
    const before = this.#settled.get(report.server);
    const settled = withoutPositions(report);
    this.#settled.set(report.server, settled);
    return before === settled ? 'same' : 'news';
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
