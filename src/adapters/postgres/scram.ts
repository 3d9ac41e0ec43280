/**
 * Password verifiers as PostgreSQL stores them in `pg_authid.rolpassword`
 * (`SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, RFC 5803; manual: "pg_authid").
 * Making them here keeps clear-text passwords out of every statement and so out of every log.
 *
 * Passwords are taken as ASCII: pgswarm derives its own as hexadecimal, for which the
 * normalisation of RFC 5802 (SASLprep) changes nothing.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';

/** PostgreSQL's default of `scram_iterations`. */
const ITERATIONS = 4096;
const SALT_BYTES = 16;
const KEY_BYTES = 32;

const FORM = /^SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/;

/** A new verifier of `password`. */
export function scramVerifier(
  password: string,
  salt: Buffer = randomBytes(SALT_BYTES),
  iterations: number = ITERATIONS,
): string {
  const salted = pbkdf2Sync(password, salt, iterations, KEY_BYTES, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest('base64');
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64');
  return `SCRAM-SHA-256$${String(iterations)}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}

/** Whether `stored` was made from `password`; false for anything that is not such a verifier. */
export function isVerifierOf(stored: string | null, password: string): boolean {
  const match = FORM.exec(stored ?? '');
  if (stored === null || match === null) return false;
  const [, iterations = '', salt = ''] = match;
  const expected = scramVerifier(password, Buffer.from(salt, 'base64'), Number(iterations));
  return (
    expected.length === stored.length && timingSafeEqual(Buffer.from(expected), Buffer.from(stored))
  );
}
