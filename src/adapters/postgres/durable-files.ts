/** Files that are whole or absent after a crash at any instant. */
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Writes a file under a temporary name, makes it durable and gives it its name (rename(2) is
 * atomic; the directory is synced so that the name is durable too). Nothing is written when the
 * file has this text already; the answer says whether it was.
 */
export async function writeDurably(path: string, text: string, mode = 0o600): Promise<boolean> {
  if ((await readText(path)) === text) return false;
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w', mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncDirectory(dirname(path));
  return true;
}

/** Makes names that were added to, changed in or removed from a directory durable (fsync(2)). */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** The text of a file; null when there is none. */
export async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
