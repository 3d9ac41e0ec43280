/** The archives of the other servers: what they hold, as far as is known, and files out of them. */
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { type PeerClient } from '../../adapters/control/peer-client';
import { type Log } from '../../adapters/log';
import { contains } from '../../core/archive/inventory';
import { parseStoredFile } from '../../core/archive/stored-files';
import { parseSegment, renderWalFile, type WalFile } from '../../core/archive/wal-files';
import { messageOf, OperatingError } from '../../core/errors';
import { type ArchiveHoldings } from '../../core/protocol';
import { expand } from './expand';
import { type PeerAnswer } from './restorer';

/** The database whose WAL is archived. */
export interface Database {
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
}

export class PeerArchives {
  readonly #client: Pick<PeerClient, 'holdingsOf' | 'openArchived'>;
  readonly #log: Pick<Log, 'warn'>;
  #names: readonly string[] = [];
  readonly #holdings = new Map<string, ArchiveHoldings>();

  constructor(client: Pick<PeerClient, 'holdingsOf' | 'openArchived'>, log: Pick<Log, 'warn'>) {
    this.#client = client;
    this.#log = log;
  }

  /** Who they are; what is known of others is forgotten. */
  know(names: readonly string[]): void {
    this.#names = names;
    for (const name of this.#holdings.keys()) {
      if (!names.includes(name)) this.#holdings.delete(name);
    }
  }

  /** Asks all of them; one that is silent is believed to have what it had. */
  async refresh({ systemIdentifier }: Database): Promise<void> {
    for (const peer of this.#names) {
      const holdings = await this.#client.holdingsOf(peer);
      if (holdings?.systemIdentifier === systemIdentifier) this.#holdings.set(peer, holdings);
    }
  }

  get holdings(): readonly ArchiveHoldings[] {
    return [...this.#holdings.values()];
  }

  /**
   * Writes a file to `destination`, checked against its hash. Who is known not to have it is not
   * asked, so that it is `absent` at once.
   */
  async fetch(
    file: WalFile,
    { database, destination }: { readonly database: Database; readonly destination: string },
    signal: AbortSignal,
  ): Promise<PeerAnswer> {
    let isCertain = true;
    for (const peer of this.#names) {
      const holdings = this.#holdings.get(peer);
      if (holdings === undefined) isCertain = false;
      if (holdings === undefined || !holds(holdings, file, database)) continue;
      const answer = await this.#fetchFrom(peer, file, { database, destination, signal });
      if (answer === 'fetched') return answer;
      if (answer === 'unreachable') isCertain = false;
    }
    return isCertain ? 'absent' : 'unreachable';
  }

  async #fetchFrom(
    peer: string,
    file: WalFile,
    {
      database: { systemIdentifier, segmentBytes },
      destination,
      signal,
    }: {
      readonly database: Database;
      readonly destination: string;
      readonly signal: AbortSignal;
    },
  ): Promise<PeerAnswer> {
    const name = renderWalFile(file);
    const answer = await this.#client.openArchived(peer, { file: name, systemIdentifier }, signal);
    if (typeof answer === 'string') return answer;
    const path = `${destination}.stored`;
    try {
      const stored = parseStoredFile(answer.stored);
      if (stored === null || renderWalFile(stored.file) !== name) {
        throw new OperatingError('refused', 'OtherFile', `it gave ${answer.stored}`);
      }
      await pipeline(answer.stream, createWriteStream(path, { mode: 0o600 }), { signal });
      const flaw = await expand({ path, stored, destination, segmentBytes });
      if (flaw !== null) throw new OperatingError('transient', 'FileCorrupt', flaw);
      return 'fetched';
    } catch (error) {
      answer.stream.destroy();
      const fields = { peer, file: name, error: messageOf(error) };
      if (!signal.aborted) this.#log.warn('A file of a peer’s archive could not be used', fields);
      return 'unreachable';
    } finally {
      await rm(path, { force: true });
    }
  }
}

function holds(
  { ranges, histories }: ArchiveHoldings,
  file: WalFile,
  { segmentBytes }: Database,
): boolean {
  const segment = parseSegment(renderWalFile(file), segmentBytes);
  if (segment !== null) return contains(ranges, segment);
  return file.kind === 'history' && file.timeline in histories;
}
