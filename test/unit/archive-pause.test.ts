import { expect } from 'chai';
import {
  archivePauseLeftMs,
  ARCHIVE_PAUSE_MAX_MS,
  type ArchivePauses,
} from '../../src/core/archive/pause';

const pauses: ArchivePauses = {
  pg1: { until: '2026-01-01T12:30:00.000Z', by: 'ada' },
  pg2: { until: '2026-03-01T00:00:00.000Z', by: 'ada' },
};

describe('a pause of the archive', () => {
  for (const [server, now, leftMs] of [
    ['pg1', '2026-01-01T12:00:00.000Z', 30 * 60_000],
    ['pg1', '2026-01-01T12:29:59.999Z', 1],
    ['pg1', '2026-01-01T12:30:00.000Z', null],
    ['pg1', '2026-01-02T00:00:00.000Z', null],
    // The clock of whoever asked for it was wrong.
    ['pg2', '2026-01-01T12:00:00.000Z', ARCHIVE_PAUSE_MAX_MS],
    ['pg3', '2026-01-01T12:00:00.000Z', null],
  ] as const) {
    it(`of ${server} at ${now} has ${leftMs} ms left`, () => {
      expect(archivePauseLeftMs(pauses, server, now)).to.equal(leftMs);
    });
  }
});
