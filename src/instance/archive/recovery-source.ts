/**
 * WAL for a recovery on a copy: on a socket of its own, so that what it asks for neither disturbs what
 * is brought ahead for the server itself, nor depends on which timeline that one follows.
 */
import { rm } from 'node:fs/promises';
import { contains, type Inventory } from '../../core/archive/inventory';
import { parseSegment, renderWalFile, type WalFile } from '../../core/archive/wal-files';
import { type Histories } from '../../core/timelines';
import { Restorer, type RestorerOptions } from './restorer';
import { later, openWalSocket } from './wal-socket';

/** What such a recovery may read: nothing that came later, so that it ends where it was planned to. */
export interface RecoveryWal {
  readonly segmentBytes: number;
  readonly segments: Inventory;
  readonly histories: Histories;
}

export interface RecoverySource {
  readonly restoreCommand: string;
  close(): Promise<void>;
}

export interface RecoverySourceOptions extends Pick<
  RestorerOptions,
  'store' | 'spoolDirectory' | 'fetchFromPeer'
> {
  readonly wal: RecoveryWal;
  readonly socket: string;
  /** The program that PostgreSQL runs for every file. */
  readonly command: string;
}

/** Answers until it is closed. */
export async function openRecoverySource(options: RecoverySourceOptions): Promise<RecoverySource> {
  const { wal, socket, command, ...rest } = options;
  const restorer = new Restorer({
    ...rest,
    segmentBytes: wal.segmentBytes,
    belongs: (file) => isIn(wal, file),
    mayAskPeers: () => true,
  });
  await restorer.open();
  const server = await openWalSocket(socket, async (question, gone) =>
    question.verb === 'archive'
      ? later('nothing of a copy is archived')
      : await restorer.restore(question, gone),
  );
  return {
    restoreCommand: `exec ${command} ${socket} recover "%f" "%p"`,
    close: async () => {
      restorer.rest();
      server.close();
      await rm(socket, { force: true });
    },
  };
}

function isIn({ segments, histories, segmentBytes }: RecoveryWal, file: WalFile): boolean {
  if (file.kind === 'history') return file.timeline in histories;
  const segment = parseSegment(renderWalFile(file), segmentBytes);
  return segment !== null && contains(segments, segment);
}
