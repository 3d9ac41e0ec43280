/** Whether a file is the one that was seen before. */
import { stat } from 'node:fs/promises';

/** Tells one file from another under the same name; null while an editor replaces it. */
export async function stampOf(path: string): Promise<string | null> {
  try {
    const { mtimeMs, size, ino } = await stat(path);
    return `${mtimeMs} ${size} ${ino}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
