/** Sizes and ages as people say them. */

const SIZES = [
  [1024 ** 3, 'GB'],
  [1024 ** 2, 'MB'],
  [1024, 'kB'],
] as const;

/** `812 B`, `4.1 kB`, `80.0 MB`: one decimal is enough to see how much it is. */
export function sizeText(bytes: number): string {
  const [unit, name] = SIZES.find(([size]) => bytes >= size) ?? [1, 'B'];
  return unit === 1 ? `${bytes} B` : `${(bytes / unit).toFixed(1)} ${name}`;
}

const UNITS = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
] as const;

/** `7 s`, `3 min`, `5 h`, `2 d`: how long since. */
export function ago(since: string, now: Date): string {
  const seconds = Math.max(0, Math.round((now.getTime() - Date.parse(since)) / 1000));
  const [unit, name] = UNITS.find(([size]) => seconds >= size) ?? [1, 's'];
  return `${Math.floor(seconds / unit)} ${name}`;
}
