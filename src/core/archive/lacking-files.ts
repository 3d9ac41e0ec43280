/** What an archive lacks of the way to the present, and a peer's has. */
import { type ArchiveHoldings } from '../protocol';
import { newestLineage, type Histories } from '../timelines';
import { intersect, lacking, merge, subtract, type Inventory } from './inventory';
import { nameOfSegment, type WalFile } from './wal-files';
import { type WalVerdict } from './wal-retention';
import { segmentsOnWay } from './way';

export interface IncompleteArchive {
  readonly segmentBytes: number;
  readonly own: Inventory;
  /** The peers' among them. */
  readonly histories: Histories;
  readonly peers: readonly Pick<ArchiveHoldings, 'ranges' | 'histories'>[];
  /** What is below these was thrown away on purpose. */
  readonly floors: readonly Pick<WalVerdict, 'timeline' | 'below'>[];
}

/**
 * All histories of the peers first: they tell what belongs. What is no part of the way to the present is
 * left where it is: the last segment of a timeline that was left ends differently on every server, and
 * one of a peer's in its place would keep this server's own from being archived.
 */
export function lackingFiles(archive: IncompleteArchive): readonly WalFile[] {
  const { segmentBytes, own, peers } = archive;
  const way = segmentsOnWay(newestLineage(archive.histories), segmentBytes);
  const histories = peers.flatMap((theirs) =>
    Object.keys(theirs.histories).map((timeline): WalFile => ({
      kind: 'history',
      timeline: Number(timeline),
    })),
  );
  const unwanted = merge(
    archive.floors.flatMap(({ timeline, below }) =>
      below > 0 ? [{ timeline, from: 0, to: below - 1 }] : [],
    ),
  );
  const segments = peers.flatMap(({ ranges }) =>
    subtract(intersect(lacking(own, ranges, 0), way), unwanted).flatMap(({ timeline, from, to }) =>
      Array.from({ length: to - from + 1 }, (_, index): WalFile => {
        const segment = nameOfSegment({ timeline, number: from + index }, segmentBytes);
        return { kind: 'segment', timeline, segment };
      }),
    ),
  );
  return [...histories, ...segments];
}
