/** Physical replication slots, one per standby. */
import { compareLsn, lagBytes, type Lsn } from '../../core/lsn';
import { slotName } from '../../core/names';
import { type LocalConnection } from './local-connection';
import { type SlotSeen } from './observe';
import { ADVANCE_SLOT, CREATE_SLOT, DROP_SLOT } from './sql';

const TIMEOUT_MS = 10_000;
/** A mirrored slot is moved when it holds back this much WAL for nothing: one segment. */
const BEHIND_BYTES = 16 * 1024 * 1024;

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

/**
 * Where the slots mirrored on a standby are to be moved: as far as their own standby is, by the
 * primary's word, but never beyond what is replayed here (manual: `pg_replication_slot_advance`).
 */
export function slotsBehind(
  seen: readonly SlotSeen[],
  positions: Readonly<Record<string, Lsn>>,
  replayedLsn: Lsn,
): Readonly<Record<string, Lsn>> {
  const moves = Object.entries(positions).flatMap(([server, position]) => {
    const slot = seen.find(({ name }) => name === slotName(server));
    if (slot?.restartLsn == null || slot.active || slot.lost) return [];
    const target = compareLsn(position, replayedLsn) < 0 ? position : replayedLsn;
    return lagBytes(target, slot.restartLsn) >= BEHIND_BYTES ? [[slot.name, target] as const] : [];
  });
  return Object.fromEntries(moves);
}

export async function advanceSlots(
  connection: LocalConnection,
  to: Readonly<Record<string, Lsn>>,
): Promise<void> {
  for (const [name, lsn] of Object.entries(to)) {
    await connection.query(ADVANCE_SLOT, { values: [name, lsn], timeoutMs: TIMEOUT_MS });
  }
}
