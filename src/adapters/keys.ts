/**
 * All keys and passwords of an installation are derived from one root key, so that nothing secret
 * has to be stored anywhere else: HKDF (RFC 5869) with the cluster's uid as salt. A cluster that is
 * made anew under an old name gets other keys.
 */
import { createHash, hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { messageOf, OperatingError } from '../core/errors';
import { ROOT_KEY_FILE, type SecretPurpose } from '../core/names';

const KEY_BYTES = 32;
const PASSWORD_BYTES = 16;
const FINGERPRINT_DIGITS = 8;

export type ClusterSecrets = Readonly<Record<SecretPurpose, string>>;

/** The values of a cluster's secrets, as they are in the files of its containers. */
export function deriveSecrets(rootKey: Buffer, cluster: string, uid: string): ClusterSecrets {
  const derive = (purpose: SecretPurpose, bytes: number): string =>
    hkdf(rootKey, uid, `pgswarm/${cluster}/${purpose}`, bytes).toString('hex');
  return {
    control: derive('control', KEY_BYTES),
    replication: derive('replication', PASSWORD_BYTES),
    owner: derive('owner', PASSWORD_BYTES),
  };
}

/** Signs what one operator passes on to another one. */
export function deriveOperatorKey(rootKey: Buffer): Buffer {
  return hkdf(rootKey, '', 'pgswarm/*/operators', KEY_BYTES);
}

/**
 * Whoever has it may look at the web page. With another `salt` it is another one: that is how it is
 * taken back.
 */
export function derivePageToken(rootKey: Buffer, salt: string): string {
  return hkdf(rootKey, salt, 'pgswarm/*/page', PASSWORD_BYTES).toString('hex');
}

/** A control key as it is used for signing. */
export const controlKey = (secrets: ClusterSecrets): Buffer => Buffer.from(secrets.control, 'hex');

/** Tells one value from another without giving either away; part of a secret's name. */
export function fingerprint(value: string): string {
  return createHash('sha256')
    .update(`fingerprint${value}`)
    .digest('hex')
    .slice(0, FINGERPRINT_DIGITS);
}

export function fingerprints(secrets: ClusterSecrets): ClusterSecrets {
  return {
    control: fingerprint(secrets.control),
    replication: fingerprint(secrets.replication),
    owner: fingerprint(secrets.owner),
  };
}

/** null when Swarm has not mounted the root key (yet). */
export function readRootKey(file: string = ROOT_KEY_FILE): Buffer | null {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    const message = `The root key in ${file} cannot be read: ${messageOf(error)}.`;
    throw new OperatingError('fatal', 'RootKeyUnreadable', message, error);
  }
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  const message = `The root key in ${file} is not 64 hexadecimal digits: another secret is mounted there.`;
  throw new OperatingError('fatal', 'RootKeyBroken', message);
}

function hkdf(key: Buffer, salt: string, info: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, info, bytes));
}
