/** Numbers as people read them. Pure. */

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/**
 * `0 B`, `1.5 kB`, `24 MB`: powers of 1024, as PostgreSQL counts.
 * @param {number} bytes
 */
export function size(bytes) {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[power] ?? ''}`;
}

const STEPS = /** @type {const} */ ([
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
  [1, 's'],
]);

/**
 * One unit, rounded down: `3 h`.
 * @param {number} ms
 */
export function span(ms) {
  const seconds = Math.max(0, ms) / 1000;
  const [length, unit] = STEPS.find(([each]) => seconds >= each) ?? [1, 's'];
  return `${Math.floor(seconds / length)} ${unit}`;
}

/**
 * `3 h ago`, `in 3 h`, `just now`.
 * @param {string} at ISO 8601
 * @param {number} nowMs
 */
export function age(at, nowMs) {
  const ms = nowMs - Date.parse(at);
  if (Math.abs(ms) < 1000) return 'just now';
  return ms < 0 ? `in ${span(-ms)}` : `${span(ms)} ago`;
}

/**
 * A write gap: milliseconds up to a second, then seconds.
 * @param {number} ms
 */
export const gap = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

/**
 * `1 backup`, `2 backups`
 * @param {number} count
 * @param {string} noun
 */
export const count = (count, noun) => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** @param {string} at ISO 8601 */
export const clock = (at) =>
  new Date(at).toLocaleTimeString('en-GB', {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });

/** @param {string} at ISO 8601 */
export const day = (at) =>
  new Date(at).toLocaleDateString('en-GB', { weekday: 'short', day: 'numeric', month: 'short' });

const TICK_SECONDS = [
  1, 5, 15, 60, 300, 900, 3600, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
];

/**
 * Round moments between two, about `wanted` of them.
 * @param {number} fromMs
 * @param {number} toMs
 * @param {number} wanted
 * @returns {readonly { readonly atMs: number, readonly label: string }[]}
 */
export function ticks(fromMs, toMs, wanted = 5) {
  const least = (toMs - fromMs) / 1000 / wanted;
  const seconds =
    TICK_SECONDS.find((each) => each >= least) ?? Math.ceil(least / 604_800) * 604_800;
  const stepMs = seconds * 1000;
  // Days begin at midnight here, not in Greenwich.
  const shiftMs = new Date(toMs).getTimezoneOffset() * 60_000;
  const marks = [];
  for (
    let at = Math.ceil((fromMs - shiftMs) / stepMs) * stepMs + shiftMs;
    at <= toMs;
    at += stepMs
  ) {
    marks.push({ atMs: at, label: tickLabel(new Date(at), seconds) });
  }
  return marks;
}

/**
 * @param {Date} at
 * @param {number} seconds
 */
function tickLabel(at, seconds) {
  if (seconds >= 86_400 || (at.getHours() === 0 && at.getMinutes() === 0)) {
    return at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
  }
  return clock(at.toISOString()).slice(0, seconds < 60 ? 8 : 5);
}
