/**
 * Since when each standby has not got to where the primary's archive ended then, as one leader sees
 * it. Whoever gets there is given the present end as the next goal, so that one that keeps up has
 * never had its goal for long, however much is archived, and one that is stuck has it ever longer.
 */
import { compareLsn, furthestLsn, type Lsn } from '../core/lsn';
import { type Report } from '../core/protocol';

interface Goal {
  readonly lsn: Lsn;
  readonly sinceMs: number;
}

export class LateClock {
  readonly #goals = new Map<string, Goal>();
  /** Server and timeline. */
  #primary: string | null = null;
  #archivedLsn: Lsn | null = null;

  /** By server; absent while nothing is expected of it. */
  get sinceMs(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#goals].map(([server, { sinceMs }]) => [server, sinceMs]));
  }

  reported({ server, postgres, archive, restored }: Report, nowMs: number): void {
    if (restored !== null) return;
    if (postgres.state === 'primary') {
      this.#expect(server, postgres.timeline, archive?.last?.endLsn ?? null);
    }
    if (postgres.state !== 'standby') return;
    const goal = this.#goals.get(server);
    if (goal !== undefined && compareLsn(postgres.replayedLsn, goal.lsn) < 0) return;
    if (this.#archivedLsn === null) this.#goals.delete(server);
    else this.#goals.set(server, { lsn: this.#archivedLsn, sinceMs: nowMs });
  }

  /** What a former primary has archived may be no part of what goes on now. */
  #expect(server: string, timeline: number, archivedLsn: Lsn | null): void {
    const primary = `${server} ${timeline}`;
    if (primary !== this.#primary) {
      this.#goals.clear();
      this.#archivedLsn = null;
    }
    this.#primary = primary;
    this.#archivedLsn = furthestLsn([this.#archivedLsn, archivedLsn]);
    this.#goals.delete(server);
  }
}
