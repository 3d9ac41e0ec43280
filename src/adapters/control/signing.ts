/**
 * Every message between an instance and an operator is signed with the cluster's control key, and
 * every answer with the same key over the question's nonce: neither can be forged, and an old
 * answer cannot be played again. (Overlay encryption is not available on every kernel.)
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

export const CLUSTER_HEADER = 'x-pgswarm-cluster';
export const NONCE_HEADER = 'x-pgswarm-nonce';
export const SIGNATURE_HEADER = 'x-pgswarm-signature';
/** The signed words of an answer whose body is a file. They name its hash, which is its seal. */
export const ANSWER_HEADER = 'x-pgswarm-answer';

const sign = (key: Buffer, parts: readonly string[]): string =>
  createHmac('sha256', key).update(parts.join('\n')).digest('hex');

export interface SignedRequest {
  readonly method: string;
  readonly path: string;
  readonly nonce: string;
  readonly body: string;
}

export const signRequest = (key: Buffer, request: SignedRequest): string =>
  sign(key, ['request', request.method, request.path, request.nonce, request.body]);

export const signAnswer = (key: Buffer, nonce: string, status: number, body: string): string =>
  sign(key, ['answer', nonce, String(status), body]);

/** Compares in constant time. */
export function isSignature(expected: string, received: string | undefined): boolean {
  if (received?.length !== expected.length) return false;
  return timingSafeEqual(Buffer.from(expected), Buffer.from(received));
}
