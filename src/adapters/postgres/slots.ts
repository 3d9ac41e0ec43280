/** Physical replication slots, one per standby. */
import { type LocalConnection } from './local-connection';
import { type SlotSeen } from './observe';
import { CREATE_SLOT, DROP_SLOT } from './sql';

const TIMEOUT_MS = 10_000;

/** Slots that are to be made, and those to be dropped; a lost one is both. */
export function slotChanges(
  wanted: readonly string[],
  seen: readonly SlotSeen[],
): { readonly create: readonly string[]; readonly drop: readonly string[] } {
  const drop = seen
    .filter((slot) => !slot.active && (slot.lost || !wanted.includes(slot.name)))
    .map(({ name }) => name);
  const kept = seen.map(({ name }) => name).filter((name) => !drop.includes(name));
  return { create: wanted.filter((name) => !kept.includes(name)), drop };
}

/** An active slot is never dropped: whoever streams from it would lose its place. */
export async function ensureSlots(
  connection: LocalConnection,
  wanted: readonly string[],
  seen: readonly SlotSeen[],
): Promise<void> {
  const { create, drop } = slotChanges(wanted, seen);
  for (const name of drop) {
    await connection.query(DROP_SLOT, { values: [name], timeoutMs: TIMEOUT_MS });
  }
  for (const name of create) {
    await connection.query(CREATE_SLOT, { values: [name], timeoutMs: TIMEOUT_MS });
  }
}
