/**
 * What an instance answers to its peers: a promise, when no leader answers the primary; files of its
 * WAL archive.
 *
 * A question that was recorded and is played again is answered again: the signature says who has
 * written it, not when. It can do no more than delay a failover, by one lease at most: whoever
 * answers a roll call promises nothing, and nobody promises to a primary of an earlier term. It
 * cannot lengthen the life of a primary either: an answer is signed for the nonce of one question,
 * and counts from when that was asked.
 */
import { type Server } from 'node:http';
import { type Readable } from 'node:stream';
import { OperatingError } from '../../core/errors';
import { type ArchiveHoldings, type PromiseAnswer, type PromiseRequest } from '../../core/protocol';
import { type Log } from '../log';
import { answerOf, parseBody, refusalOf, type Answer, type FileAnswer } from './json-http';
import { createSignedServer, type GenuineRequest } from './signed-server';

export const PROMISE_PATH = '/v1/promise';
export const ARCHIVE_PATH = '/v1/archive';
export const ARCHIVED_FILE_PATH = '/v1/archive/file';
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
  readonly log: Log;
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
  { server, onPromise, archive }: PeerPorts,
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
    default:
      return refusalOf(404, 'UnknownQuestion', `The instance manager knows no ${path}.`);
  }
}

async function answerWithFile(
  archive: ArchivePort,
  { file, systemIdentifier }: Readonly<Record<string, unknown>>,
): Promise<Answer | FileAnswer> {
  if (!isText(file) || !isText(systemIdentifier)) {
    throw incomplete('The question for an archived file needs file and systemIdentifier.');
  }
  const found = await archive.open(file, systemIdentifier);
  if (found === null) return refusalOf(404, 'NotArchived', `${file} is not in this archive.`);
  const { stored, bytes, stream } = found;
  return { ...answerOf({ stored }), content: { bytes, stream } };
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
