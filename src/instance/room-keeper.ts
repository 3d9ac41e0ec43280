/** Looks after the room in the data volume: what is decided of it is in core/budget.ts. */
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurably } from '../adapters/postgres/durable-files';
import { type Log } from '../adapters/log';
import { limitsOf, roomOf, type VolumeRoom } from '../core/budget';
import { messageOf } from '../core/errors';
import { LOAD_FILE, renderLoad } from '../core/settings';
import { GrowthRate } from './growth-rate';
import { type LocalPostgres } from './local-postgres';
import { giveUpReserve, hasReserve, makeReserve } from './reserve';
import { dataDirectory, reserveFile } from './volume';

export interface RoomKeeperOptions {
  /** Where the data volume is mounted. */
  readonly volume: string;
  readonly postgres: Pick<LocalPostgres, 'report' | 'reload'>;
  /** While WAL is not archived all of it stays: bytes in a second, null when it goes or is not known. */
  readonly walPilingUp: () => number | null;
  readonly log: Log;
  /** Called when the stage is another one. */
  readonly onChange: () => void;
}

const LOOK_EVERY_MS = 1000;
/** A checkpoint's peak is no trend. */
const GROWTH_KNOWN_AFTER_MS = 60_000;
const RESERVE_BYTES = 64 * 1024 * 1024;
/** Of a small volume it is this part. */
const RESERVE_SHARE = 1 / 16;
/** Two WAL segments: with less, PostgreSQL cannot recover from a crash. */
const NEEDED_TO_START_BYTES = 32 * 1024 * 1024;
/** The reserve is made when there has been room for so long: not in the midst of a failover. */
const CALM_MS = 15_000;

export class RoomKeeper {
  readonly #options: RoomKeeperOptions;
  readonly #growth = new GrowthRate(GROWTH_KNOWN_AFTER_MS);
  readonly #timer: NodeJS.Timeout;
  #room: VolumeRoom | null = null;
  /** What the settings file says, since this boot; null: not known. */
  #isLoadRefused: boolean | null = null;
  #calmSinceMs: number | null = null;
  #hasReserve = false;
  #isLooking = false;
  #trouble: string | null = null;

  constructor(options: RoomKeeperOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#keep(), LOOK_EVERY_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** null until it was seen. */
  report(): VolumeRoom | null {
    return this.#room;
  }

  /**
   * PostgreSQL is about to be started: it finds the room that it needs, if there is a reserve, and does
   * not begin with load that takes it at once.
   */
  async beforeStart(): Promise<void> {
    const { volume, log } = this.#options;
    // The data directory may be another one than before: a clone has its source's settings.
    this.#isLoadRefused = null;
    try {
      await this.#look();
      if ((this.#room?.freeBytes ?? Infinity) < NEEDED_TO_START_BYTES) {
        this.#hasReserve = false;
        this.#calmSinceMs = null;
        if (await giveUpReserve(reserveFile(volume))) {
          log.warn('The data volume is full: its reserve is given up to start PostgreSQL');
        }
        await this.#look();
      }
      await this.#refuseLoad();
    } catch (error) {
      log.warn('The room in the data volume cannot be looked after', { error: messageOf(error) });
    }
  }

  async #keep(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      await this.#look();
      if (!['primary', 'standby'].includes(this.#options.postgres.report.state)) return;
      if (await this.#refuseLoad()) await this.#options.postgres.reload();
      await this.#keepReserve();
      this.#trouble = null;
    } catch (error) {
      this.#complain(messageOf(error));
    } finally {
      this.#isLooking = false;
    }
  }

  async #look(): Promise<void> {
    const { volume, walPilingUp, onChange } = this.#options;
    const { blocks, bfree, bavail, bsize } = await statfs(volume);
    const nowMs = performance.now();
    this.#growth.note((blocks - bfree) * bsize, nowMs);
    const rates = [walPilingUp(), this.#growth.bytesPerSecond(nowMs)];
    const known = rates.filter((rate) => rate !== null);
    const bytesPerSecond = known.length === 0 ? null : Math.max(...known);
    const seen = { sizeBytes: blocks * bsize, freeBytes: bavail * bsize, bytesPerSecond };
    const before = this.#room?.stage ?? 'ample';
    this.#room = roomOf(seen, before);
    if (this.#room.stage === before) return;
    this.#options.log.warn('The room in the data volume has changed', { before, ...this.#room });
    onChange();
  }

  /** Whether the settings had to be changed. */
  async #refuseLoad(): Promise<boolean> {
    const isRefused = this.#room?.stage === 'full';
    if (isRefused === this.#isLoadRefused) return false;
    const directory = dataDirectory(this.#options.volume);
    const isNew = await writeDurably(join(directory, LOAD_FILE), renderLoad(isRefused));
    this.#isLoadRefused = isRefused;
    return isNew;
  }

  async #keepReserve(): Promise<void> {
    if (this.#hasReserve || this.#room === null) return;
    const { sizeBytes, freeBytes, stage } = this.#room;
    const bytes = Math.floor(Math.min(RESERVE_BYTES, sizeBytes * RESERVE_SHARE));
    const path = reserveFile(this.#options.volume);
    this.#hasReserve = await hasReserve(path, bytes);
    const isCalm = stage === 'ample' && freeBytes - bytes > limitsOf(sizeBytes).tight;
    if (this.#hasReserve || !isCalm) this.#calmSinceMs = null;
    else if (this.#calmSinceMs === null) this.#calmSinceMs = performance.now();
    else if (performance.now() - this.#calmSinceMs >= CALM_MS) {
      // Once: where it takes no room there is no use in writing it again and again.
      this.#hasReserve = true;
      await makeReserve(path, bytes);
      this.#options.log.info('A reserve is kept in the data volume', { bytes });
    }
  }

  /** Said once: it is tried again every second. */
  #complain(words: string): void {
    if (words === this.#trouble) return;
    this.#trouble = words;
    const message = 'The room in the data volume cannot be looked after';
    this.#options.log.warn(message, { error: words });
  }
}
