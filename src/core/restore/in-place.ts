/**
 * A restore in place, with the way back. The present data directory is set aside, a copy that was
 * brought up from a backup takes its place, and one is free to look, to try another point, to go back
 * or to accept. In the data volume there are, while it lasts:
 *
 *     restore.json              what is restored, and how far it is: the note
 *     pgdata.new                being filled, or being thrown away: of no value at any time
 *     pgdata.restored           a complete copy that is about to take the place of pgdata
 *     pgdata                    what the server runs on
 *     pgdata.before-restore     what it ran on before; the way back
 *
 * Every step is one that is done or not done after a crash. Which one is next follows from the names
 * that are there and from the phase in the note, so whoever comes after a crash just goes on. The
 * note alone decides: a copy without a note that wants it is thrown away, and what was set aside is
 * removed only once a note says that the restore is accepted.
 */
import { type Lsn } from '../lsn';
import { type RestoreTarget } from './target';

export const RESTORE_NAMES = {
  data: 'pgdata',
  rubbish: 'pgdata.new',
  restored: 'pgdata.restored',
  before: 'pgdata.before-restore',
  note: 'restore.json',
} as const;

/** `swapping`, `going back` and `accepting` are under way; in `restored` a person decides. */
export type RestorePhase = 'swapping' | 'restored' | 'going back' | 'accepting';

/** `restore.json`. */
export interface RestoreNote {
  readonly id: string;
  /** Id of the backup. */
  readonly backup: string;
  readonly target: RestoreTarget;
  /** Up to here there was WAL when it was planned; null: not known. */
  readonly walEndsAtLsn: Lsn | null;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly phase: RestorePhase;
}

type Name = 'data' | 'rubbish' | 'restored' | 'before';

export type RestoreStep =
  | { readonly kind: 'rename'; readonly from: Name; readonly to: Name }
  | { readonly kind: 'remove'; readonly name: Name }
  /** The swap is complete: the note says so from now on. */
  | { readonly kind: 'note restored' }
  | { readonly kind: 'forget note' };

type Has = (name: Name) => boolean;

/** `none`: without a note. */
const NEXT: Readonly<Record<RestorePhase | 'none', (has: Has) => RestoreStep | null>> = {
  none: (has) => removeFirst(['restored'], has),
  swapping: (has) => {
    if (!has('restored')) return { kind: 'note restored' };
    if (!has('data')) return rename('restored', 'data');
    // What another point has brought back is given up; only what was there at first is kept.
    return has('before') ? giveUpData(has) : rename('data', 'before');
  },
  restored: (has) => removeFirst(['restored', 'rubbish'], has),
  'going back': (has) => {
    if (!has('before')) return removeFirst(['restored', 'rubbish'], has) ?? { kind: 'forget note' };
    return has('data') ? giveUpData(has) : rename('before', 'data');
  },
  accepting: (has) =>
    removeFirst(['before', 'restored', 'rubbish'], has) ?? { kind: 'forget note' },
};

/** The next step, given what is in the volume; null when there is nothing left to do. */
export const nextRestoreStep = (
  present: readonly string[],
  phase: RestorePhase | null,
): RestoreStep | null => NEXT[phase ?? 'none']((name) => present.includes(RESTORE_NAMES[name]));

/** For a moment there may be no data directory: between two renames. */
export const isSwapping = (phase: RestorePhase): boolean =>
  phase === 'swapping' || phase === 'going back';

const rename = (from: Name, to: Name): RestoreStep => ({ kind: 'rename', from, to });
const remove = (name: Name): RestoreStep => ({ kind: 'remove', name });

const giveUpData = (has: Has): RestoreStep =>
  has('rubbish') ? remove('rubbish') : rename('data', 'rubbish');

function removeFirst(names: readonly Name[], has: Has): RestoreStep | null {
  const name = names.find(has);
  return name === undefined ? null : remove(name);
}
