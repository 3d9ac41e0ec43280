/** To which points in time the archive of this server leads. */
import { type ArchiveContents } from '../../core/archive/backups';
import { inventoryOf, type Inventory } from '../../core/archive/inventory';
import {
  nameOfSegment,
  parseSegment,
  renderWalFile,
  segmentBefore,
} from '../../core/archive/wal-files';
import { segmentsOnWay } from '../../core/archive/way';
import { windowReport, type WindowReport } from '../../core/archive/window-report';
import { newestLineage, type Histories } from '../../core/timelines';
import { type ArchiveStore } from './archive-store';

/** The window of the timeline that all histories lead to. */
export async function recoveryWindow(
  store: Pick<ArchiveStore, 'storedAtMs'>,
  contents: ArchiveContents,
  histories: Histories,
): Promise<WindowReport> {
  const lineage = newestLineage(histories);
  const report = windowReport(contents, histories, lineage.timeline);
  if (report.points === null || report.points.latest.at !== null) return report;
  const { earliest, latest } = report.points;
  const number = segmentBefore(latest.lsn, contents.segmentBytes);
  const onWay = segmentsOnWay(lineage, contents.segmentBytes);
  const { timeline } = onWay.find(({ from, to }) => from <= number && number <= to) ?? lineage;
  const segment = nameOfSegment({ timeline, number }, contents.segmentBytes);
  const atMs = await store.storedAtMs({ kind: 'segment', timeline, segment });
  const at = atMs === null ? null : new Date(atMs).toISOString();
  return { ...report, points: { earliest, latest: { ...latest, at } } };
}

/** Every segment that is stored. */
export const inventoryIn = (store: Pick<ArchiveStore, 'files'>, segmentBytes: number): Inventory =>
  inventoryOf(
    [...store.files()].flatMap(({ file }) => parseSegment(renderWalFile(file), segmentBytes) ?? []),
  );
