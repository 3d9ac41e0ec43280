/**
 * A standby that accepts no connections (`hot_standby = off`): nobody can ask it, so that its files
 * are looked at, and what it asks the archive for. Both say a little less than it has replayed, and
 * never more.
 */
import { statfs } from 'node:fs/promises';
import { readControlData } from '../adapters/postgres/control-data';
import { type Log } from '../adapters/log';
import { messageOf } from '../core/errors';
import { furthestLsn, type Lsn } from '../core/lsn';
import { type StandbyReport } from '../core/protocol';

const LOOK_EVERY_MS = 1000;

export interface WarmObserverOptions {
  /** The data directory. */
  readonly directory: string;
  readonly binDirectory: string;
  /** Up to where it has replayed all that the archive gave it; null when that is not known. */
  readonly shippedLsn: () => Lsn | null;
  readonly log: Log;
  readonly onChange: () => void;
}

export class WarmObserver {
  readonly #options: WarmObserverOptions;
  #report: StandbyReport | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: WarmObserverOptions) {
    this.#options = options;
  }

  /** null: it is not looked at. */
  get report(): StandbyReport | null {
    return this.#report;
  }

  /** Looks once, and then again and again until `end` is called. */
  async begin(): Promise<void> {
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS);
    await this.look();
  }

  end(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#report = null;
  }

  async look(): Promise<void> {
    const { directory, binDirectory, shippedLsn, log, onChange } = this.#options;
    try {
      const { systemIdentifier, timeline, endLsn } = await readControlData(directory, binDirectory);
      const { bavail, bsize } = await statfs(directory);
      if (this.#timer === null) return;
      this.#report = {
        state: 'standby',
        isWarm: true,
        systemIdentifier,
        timeline,
        receivedLsn: null,
        replayedLsn: furthestLsn([endLsn, shippedLsn()]) ?? endLsn,
        upstreamLsn: null,
        receiver: null,
        pendingRestart: [],
        freeBytes: bavail * bsize,
      };
    } catch (error) {
      log.warn('The control data of the warm standby cannot be read', { error: messageOf(error) });
      this.#report = null;
    }
    onChange();
  }
}
