/** Names of backups and of the files in them. Some come from other machines: nothing is believed. */

/** A folder of its own, and nothing that leads elsewhere. */
const ID = /^[0-9A-Za-z][0-9A-Za-z-]{0,62}$/;

export const isBackupId = (text: string): boolean => ID.test(text);

/** Whether a path, as a peer says it, stays below the folder that it is relative to. */
export function isInnerPath(path: string): boolean {
  const names = path.split('/');
  return !path.includes('\0') && names.every((name) => !['', '.', '..'].includes(name));
}

/**
 * `20261121T180000Z` for a backup that begins now; `20261121T180000Z-2` where that one is taken.
 */
export function nextBackupId(now: Date, taken: readonly string[]): string {
  const stamp = now.toISOString().replaceAll(/[-:]|\.\d+/g, '');
  for (let count = 1; ; count += 1) {
    const id = count === 1 ? stamp : `${stamp}-${count}`;
    if (!taken.includes(id)) return id;
  }
}
