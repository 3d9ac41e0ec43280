/**
 * What an instance answers to its peers: a promise, when no leader answers the primary; files of its
 * WAL archive, and of its backups.
 *
 * A question that was recorded and is played again is answered again: the signature says who has
 * written it, not when. It can do no more than delay a failover, by one lease at most: whoever
 * answers a roll call promises nothing, and nobody promises to a primary of an earlier term. It
 * cannot lengthen the life of a primary either: an answer is signed for the nonce of one question,
 * and counts from when that was asked.
 */
import { type Server } from 'node:http';
import { type Readable } from 'node:stream';
import { type StoredList } from '../../core/backup/stored-list';
import { OperatingError } from '../../core/errors';
import { type ArchiveHoldings, type PromiseAnswer, type PromiseRequest } from '../../core/protocol';
import { type Log } from '../log';
import { answerOf, parseBody, refusalOf, type Answer, type FileAnswer } from './json-http';
import { createSignedServer, type GenuineRequest } from './signed-server';

export const PROMISE_PATH = '/v1/promise';
export const ARCHIVE_PATH = '/v1/archive';
export const ARCHIVED_FILE_PATH = '/v1/archive/file';
export const BACKUPS_PATH = '/v1/backups';
export const BACKUP_FILES_PATH = '/v1/backups/files';
export const BACKUP_FILE_PATH = '/v1/backups/file';
/** Answer of a server to which the question is not addressed: its address was another's before. */
export const MISDIRECTED = 421;

export interface PeerPorts {
  readonly cluster: string;
  readonly server: string;
  /** The cluster's control key. */
  readonly key: Buffer;
  /**
   * Decides and remembers in one turn of the event loop: between the two nothing may happen that
   * the promise forbids.
   */
  readonly onPromise: (request: PromiseRequest) => PromiseAnswer;
  readonly archive: ArchivePort;
  readonly backups: BackupsPort;
  readonly log: Log;
}

/** The own backups, for peers that copy them. An unknown one is refused by throwing. */
export interface BackupsPort {
  /** Ids, oldest first; empty when they are of another database. */
  ids(systemIdentifier: string): readonly string[];
  files(id: string): Promise<StoredList>;
  openFile(
    id: string,
    path: string,
  ): Promise<{ readonly bytes: number; readonly stream: Readable } | null>;
}

/** The own archive, for peers that repair theirs or restore from it. */
export interface ArchivePort {
  /** null while there is none: no data directory yet, or a volume that cannot be used. */
  holdings(): ArchiveHoldings | null;
  /** null when it is not there. `systemIdentifier`: of the database that it belongs to. */
  open(file: string, systemIdentifier: string): Promise<ArchivedFile | null>;
}

export interface ArchivedFile {
  /** The name under which it is kept; it tells hash and compression. */
  readonly stored: string;
  readonly bytes: number;
  readonly stream: Readable;
}

/** Not listening yet; PEER_PORT is its place, on all addresses. */
export function createPeerServer(ports: PeerPorts): Server {
  return createSignedServer({
    keyOf: (cluster) => Promise.resolve(cluster === ports.cluster ? ports.key : null),
    answer: (request) => answerPeer(ports, request),
    who: 'instance manager',
    log: ports.log,
  });
}

async function answerPeer(
  { server, onPromise, archive, backups }: PeerPorts,
  { path, body }: GenuineRequest,
): Promise<Answer | FileAnswer> {
  const question = (parseBody(body) ?? {}) as Readonly<Record<string, unknown>>;
  const { to } = question;
  if (!isText(to)) throw incomplete('A question to a peer says whom it is for, in `to`.');
  if (to !== server) {
    return refusalOf(MISDIRECTED, 'OtherServer', `This is ${server}, not ${to}.`);
  }
  switch (path) {
    case PROMISE_PATH:
      return answerOf(onPromise(promiseRequest(question)));
    case ARCHIVE_PATH:
      return answerOf(archive.holdings());
    case ARCHIVED_FILE_PATH:
      return await answerWithFile(archive, question);
    case BACKUPS_PATH:
      return answerOf(backups.ids(textOf(question, 'systemIdentifier')));
    case BACKUP_FILES_PATH:
      return answerOf(await backups.files(textOf(question, 'id')));
    case BACKUP_FILE_PATH:
      return await answerWithBackupFile(backups, textOf(question, 'id'), textOf(question, 'path'));
    default:
      return refusalOf(404, 'UnknownQuestion', `The instance manager knows no ${path}.`);
  }
}

async function answerWithFile(
  archive: ArchivePort,
  question: Readonly<Record<string, unknown>>,
): Promise<Answer | FileAnswer> {
  const file = textOf(question, 'file');
  const found = await archive.open(file, textOf(question, 'systemIdentifier'));
  if (found === null) return refusalOf(404, 'NotArchived', `${file} is not in this archive.`);
  const { stored, bytes, stream } = found;
  return { ...answerOf({ stored }), content: { bytes, stream } };
}

async function answerWithBackupFile(
  backups: BackupsPort,
  id: string,
  path: string,
): Promise<Answer | FileAnswer> {
  const content = await backups.openFile(id, path);
  if (content === null) return refusalOf(404, 'FileUnknown', `${path} is no file of backup ${id}.`);
  return { ...answerOf({ path }), content };
}

function textOf(question: Readonly<Record<string, unknown>>, name: string): string {
  const value = question[name];
  if (isText(value)) return value;
  throw incomplete(`This question needs ${name}.`);
}

function promiseRequest({
  cluster,
  from,
  to,
  term,
  forMs,
}: Readonly<Record<string, unknown>>): PromiseRequest {
  if (isText(cluster) && isText(from) && isText(to) && isNumber(term) && isNumber(forMs)) {
    return { cluster, from, to, term, forMs };
  }
  throw incomplete('The question for a promise needs cluster, from, term and forMs.');
}

const incomplete = (text: string): OperatingError =>
  new OperatingError('refused', 'QuestionIncomplete', text);

const isText = (value: unknown): value is string => typeof value === 'string';
const isNumber = (value: unknown): value is number => typeof value === 'number';
