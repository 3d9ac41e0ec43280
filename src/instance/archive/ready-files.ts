/** What waits to be archived: PostgreSQL notes it as `archive_status/<file>.ready`. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseWalFile, renderWalFile, type WalFile } from '../../core/archive/wal-files';

const READY = '.ready';

/** In PostgreSQL's own order: histories first, then the oldest. */
export async function readReadyFiles(walDirectory: string): Promise<readonly WalFile[]> {
  const names = await readdir(join(walDirectory, 'archive_status'));
  return names
    .filter((name) => name.endsWith(READY))
    .flatMap((name) => parseWalFile(name.slice(0, -READY.length)) ?? [])
    .toSorted(inOrder);
}

function inOrder(a: WalFile, b: WalFile): number {
  const isLater = (file: WalFile): number => (file.kind === 'history' ? 0 : 1);
  const [one, other] = [renderWalFile(a), renderWalFile(b)];
  return isLater(a) - isLater(b) || (one < other ? -1 : one > other ? 1 : 0);
}
