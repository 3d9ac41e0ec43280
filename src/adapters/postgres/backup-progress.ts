/** `120 of 300 MB` from pg_basebackup's progress (`123456/307200 kB (40%), 0/1 tablespace …`). */
export function parseBackupProgress(line: string): string | null {
  const match = /^\s*(\d+)\/(\d+) kB \(\d+%\)/.exec(line);
  if (match === null) return null;
  const [done, total] = [match[1], match[2]].map((kilobytes) =>
    Math.round(Number(kilobytes) / 1024),
  );
  return `${String(done)} of ${String(total)} MB`;
}
