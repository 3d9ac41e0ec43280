/**
 * A WAL position as PostgreSQL prints it, `X/Y` in hexadecimal (manual: "pg_lsn Type").
 * A string, so that it survives JSON; compared through bigint.
 */
export type Lsn = string;

const FORM = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i;

/** Whether PostgreSQL would take it for a position. */
export const isLsn = (text: string): boolean => FORM.test(text);

/** The position as a number of bytes; throws on text that is not an LSN. */
export function lsnBytes(lsn: Lsn): bigint {
  const match = FORM.exec(lsn);
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new Error(`not a WAL position: ${JSON.stringify(lsn)}`);
  }
  return (BigInt(`0x${match[1]}`) << 32n) + BigInt(`0x${match[2]}`);
}

/** The position as PostgreSQL prints it; the reverse of `lsnBytes`. */
export function formatLsn(bytes: bigint): Lsn {
  const hexadecimal = (part: bigint): string => part.toString(16).toUpperCase();
  return `${hexadecimal(bytes >> 32n)}/${hexadecimal(bytes & 0xffffffffn)}`;
}

/** Negative when `a` is before `b`, 0 when equal. */
export function compareLsn(a: Lsn, b: Lsn): number {
  const difference = lsnBytes(a) - lsnBytes(b);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** Bytes from `behind` up to `ahead`, never negative. */
export function lagBytes(ahead: Lsn, behind: Lsn): number {
  const difference = lsnBytes(ahead) - lsnBytes(behind);
  return difference > 0n ? Number(difference) : 0;
}

/** The largest of those that are known; null when none is. */
export function furthestLsn(lsns: readonly (Lsn | null | undefined)[]): Lsn | null {
  return lsns.reduce<Lsn | null>(
    (far, lsn) => (lsn != null && (far === null || compareLsn(lsn, far) > 0) ? lsn : far),
    null,
  );
}
