/**
 * Settings that size what a standby needs for replaying: it must have each of them at least as high
 * as its primary had it (manual: "Hot Standby", Administrator's Overview). Higher ones are brought
 * to the standbys first, lower ones to the primary first.
 */

/** With what is in force where a spec says nothing: PostgreSQL's defaults, and one of pgswarm's. */
const LIMITS: Readonly<Record<string, number>> = {
  max_connections: 100,
  max_locks_per_transaction: 64,
  max_prepared_transactions: 0,
  max_wal_senders: 16,
  max_worker_processes: 8,
};

export const LIMIT_NAMES: readonly string[] = Object.keys(LIMITS);

export type Limits = Readonly<Record<string, number>>;

/** The value that PostgreSQL would take; null for what is no number, and its own affair. */
export function limitOf(parameters: Readonly<Record<string, string>>, name: string): number | null {
  const text = parameters[name];
  const value = text === undefined ? LIMITS[name] : Number(text);
  return value !== undefined && Number.isInteger(value) ? value : null;
}

/** Those that the primary still has higher, with its values: a standby waits with them. */
export function limitsHeldBack(
  parameters: Readonly<Record<string, string>>,
  primary: Limits,
): Limits {
  return Object.fromEntries(
    Object.entries(primary).filter(([name, value]) => {
      const wanted = limitOf(parameters, name);
      return wanted !== null && wanted < value;
    }),
  );
}
