/**
 * How far PostgreSQL has replayed, by what it asks the archive for. It reads a little ahead of what it
 * replays, but what is not there it asks for again only when everything before has been replayed
 * (xlogrecovery.c, `WaitForWALToBecomeAvailable`).
 */
import {
  parseSegment,
  renderWalFile,
  segmentStart,
  type WalFile,
} from '../../core/archive/wal-files';
import { type Lsn } from '../../core/lsn';

export class ShippedWal {
  /** What it has asked for since it went over to the present segment, by any timeline. */
  #asked: readonly string[] = [];
  #awaited: string | null = null;

  asked(file: WalFile): void {
    if (file.kind !== 'segment') return;
    const name = renderWalFile(file);
    if (this.#asked.includes(name)) this.#awaited = name;
    else this.#asked = [...this.#asked.filter((each) => isSamePlace(each, name)), name];
  }

  /** Position of the first byte that it waits for, or has waited for last; null before. */
  lsn(segmentBytes: number | null): Lsn | null {
    if (this.#awaited === null || segmentBytes === null) return null;
    const segment = parseSegment(this.#awaited, segmentBytes);
    return segment === null ? null : segmentStart(segment.number, segmentBytes);
  }
}

/** Behind the timeline a name says which segment it is. */
const isSamePlace = (a: string, b: string): boolean => a.slice(8) === b.slice(8);
