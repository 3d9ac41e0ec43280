/**
 * Where an instance is asked for a promise by a primary that no leader answers.
 *
 * A question that was recorded and is played again is answered again: the signature says who has
 * written it, not when. It can do no more than delay a failover, by one lease at most: whoever
 * answers a roll call promises nothing, and nobody promises to a primary of an earlier term. It
 * cannot lengthen the life of a primary either: an answer is signed for the nonce of one question,
 * and counts from when that was asked.
 */
import { type Server } from 'node:http';
import { OperatingError } from '../../core/errors';
import { type PromiseAnswer, type PromiseRequest } from '../../core/protocol';
import { type Log } from '../log';
import { answerOf, parseBody, refusalOf, type Answer } from './json-http';
import { createSignedServer, type GenuineRequest } from './signed-server';

export const PROMISE_PATH = '/v1/promise';
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
  readonly log: Log;
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

function answerPeer({ server, onPromise }: PeerPorts, { path, body }: GenuineRequest): Answer {
  if (path !== PROMISE_PATH) {
    return refusalOf(404, 'UnknownQuestion', `The instance manager knows no ${path}.`);
  }
  const request = parseRequest(body);
  if (request.to !== server) {
    return refusalOf(MISDIRECTED, 'OtherServer', `This is ${server}, not ${request.to}.`);
  }
  return answerOf(onPromise(request));
}

function parseRequest(body: string): PromiseRequest {
  const value = parseBody(body) as Partial<Record<keyof PromiseRequest, unknown>> | null;
  const { cluster, from, to, term, forMs } = value ?? {};
  if (isText(cluster) && isText(from) && isText(to) && isNumber(term) && isNumber(forMs)) {
    return { cluster, from, to, term, forMs };
  }
  const text = 'The question for a promise needs cluster, from, to, term and forMs.';
  throw new OperatingError('refused', 'QuestionIncomplete', text);
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isNumber = (value: unknown): value is number => typeof value === 'number';
