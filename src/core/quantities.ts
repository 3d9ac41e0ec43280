/**
 * Durations and sizes as the user writes them. Sizes are PostgreSQL's: units of 1024, and the
 * spelling of the unit counts (manual: "Numeric with Unit"). A number without a unit is refused:
 * PostgreSQL would read it in a unit that differs from parameter to parameter.
 */

/** Units, smallest first. */
const DURATION_UNITS = [
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
] as const;

const SIZE_UNITS = [
  ['B', 1],
  ['kB', 1024],
  ['MB', 1024 ** 2],
  ['GB', 1024 ** 3],
  ['TB', 1024 ** 4],
] as const;

type Units = readonly (readonly [name: string, factor: number])[];

interface Quantity {
  /** `a duration`, `a size`. */
  readonly noun: string;
  readonly units: Units;
  readonly hint: string;
}

const DURATION: Quantity = {
  noun: 'a duration',
  units: DURATION_UNITS,
  hint: 'write a number and one of ms, s, m, h, d: 500ms, 5s, 2m, 1h, 14d',
};

const SIZE: Quantity = {
  noun: 'a size',
  units: SIZE_UNITS,
  hint: 'write a number and one of B, kB, MB, GB, TB (units of 1024, as in PostgreSQL): 16MB, 1GB',
};

export type Parsed =
  | { readonly kind: 'value'; readonly value: number }
  | { readonly kind: 'problem'; readonly message: string; readonly hint: string };

/** At most three decimals, and the result must be whole: `1.5s` is 1500 ms, `0.5ms` is nothing. */
const FORM = /^(\d{1,15})(?:\.(\d{1,3}))? ?([A-Za-z]*)$/;

/** Milliseconds. */
export const parseDuration = (text: string): Parsed => parse(text, DURATION);

/** Bytes. */
export const parseSize = (text: string): Parsed => parse(text, SIZE);

/** The shortest exact spelling that `parseDuration` reads: `90s`, `2m`, `3.6s`, `500ms`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  return ms >= 1000 && ms % 1000 !== 0 ? `${ms / 1000}s` : format(ms, DURATION_UNITS);
}

/** The largest unit that divides it: `16MB`, `1025B`. */
export const formatSize = (bytes: number): string => format(bytes, SIZE_UNITS);

function parse(text: string, quantity: Quantity): Parsed {
  const problem = (message: string): Parsed => ({ kind: 'problem', message, hint: quantity.hint });
  const shown = JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
  const match = FORM.exec(text);
  if (match === null) return problem(`${shown} is not ${quantity.noun}`);
  const [, whole = '', decimals = '', unit = ''] = match;
  if (unit === '') return problem(`${shown} is not ${quantity.noun}: the unit is missing`);
  const factor = quantity.units.find(([name]) => name === unit)?.[1];
  if (factor === undefined) {
    return problem(`${shown} is not ${quantity.noun}: ${unknownUnit(unit, quantity.units)}`);
  }
  const scale = 10 ** decimals.length;
  const value = Number(whole) * factor + (Number(decimals) * factor) / scale;
  if (!Number.isInteger(value)) return problem(`${shown} is finer than ${quantity.noun} can be`);
  if (!Number.isSafeInteger(value)) return problem(`${shown} is too large`);
  return { kind: 'value', value };
}

function unknownUnit(unit: string, units: Units): string {
  const meant = units.find(([name]) => name.toLowerCase() === unit.toLowerCase())?.[0];
  return `there is no unit ${unit}` + (meant === undefined ? '' : `, the unit is written ${meant}`);
}

function format(value: number, units: Units): string {
  const unit = units.findLast(([, factor]) => value % factor === 0 && value >= factor) ?? units[0];
  return `${value / (unit?.[1] ?? 1)}${unit?.[0] ?? ''}`;
}
