/** One phase of a benchmark: a writer, perhaps a load, and switchovers one after the other. */
import { note } from '../lab/progress';
import { Writer } from '../support/writer';
import { prepareLoad, startLoad, type Load, type LoadOptions, type Place } from './load';

/** Something with a primary that can be moved. */
export interface Subject<T> {
  readonly name: string;
  /** Follows the primary. */
  readonly uri: string;
  /**
   * Moves the primary, and resolves when all is as healthy as before, with what it knows of it.
   * `isOver` resolves with the first write that the new primary acknowledges.
   */
  readonly switchOver: (isOver: Promise<unknown>) => Promise<T>;
}

export interface PhaseOptions {
  /** How many switchovers. */
  readonly n: number;
  readonly load: LoadOptions | null;
  readonly place: Place;
}

export interface Phase<T> {
  readonly subject: string;
  readonly load: LoadOptions | null;
  readonly changes: readonly Change<T>[];
  readonly acknowledged: number;
  /** Writes whose connection was lost before the answer. */
  readonly unknown: number;
  /** Acknowledged writes that are not there: must be none. */
  readonly lost: number;
}

export interface Change<T> {
  /** Longest time between two acknowledged writes, until the new primary acknowledges its first. */
  readonly gapMs: number;
  readonly detail: T;
}

/** So many writes are acknowledged before each switchover, and after the last one. */
const settleWrites = 200;

export async function runPhase<T>(subject: Subject<T>, options: PhaseOptions): Promise<Phase<T>> {
  const { load: wanted, place, n } = options;
  if (wanted !== null) await prepareLoad(place, subject.uri, wanted);
  const load = wanted === null ? null : await startLoad(place, subject.uri, wanted);
  const writer = new Writer(subject.uri);
  try {
    await writer.start();
    const changes: Change<T>[] = [];
    for (let left = n; left > 0; left -= 1) {
      await settle(writer, load);
      changes.push(await measureChange(subject, writer));
      note(`${subject.name}: ${describe(changes)}`);
    }
    await writer.waitForWrites(settleWrites);
    await writer.stop();
    const { acknowledged, unknown } = writer;
    const lost = (await writer.missingOnPrimary()).length;
    return { subject: subject.name, load: wanted, changes, acknowledged, unknown, lost };
  } finally {
    await load?.stop();
    await writer.stop();
  }
}

async function settle(writer: Writer, load: Load | null): Promise<void> {
  await load?.busy();
  await writer.waitForWrites(settleWrites);
}

async function measureChange<T>(subject: Subject<T>, writer: Writer): Promise<Change<T>> {
  const sinceMs = writer.now();
  const elsewhere = writer.waitForOtherServer(writer.server);
  const [firstWrite, detail] = await Promise.all([elsewhere, subject.switchOver(elsewhere)]);
  return { gapMs: writer.longestGap(sinceMs, firstWrite.endedAtMs).durationMs, detail };
}

const describe = (changes: readonly Change<unknown>[]): string =>
  `write gap ${changes.at(-1)?.gapMs.toFixed(0) ?? ''} ms (${changes.length})`;
