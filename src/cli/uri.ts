/** libpq connection URIs (PostgreSQL manual, 34.1.1.2 "Connection URIs"). */

export type SessionRole = 'rw' | 'ro';

export interface UriParts {
  readonly owner: string;
  /** null: libpq asks, or looks into its password file. */
  readonly password: string | null;
  readonly database: string;
  /** `address:port`, in the order in which they are tried. */
  readonly hosts: readonly string[];
  readonly role: SessionRole;
}

/** Dead servers answer nothing: libpq must not wait long for each. It takes 2 s at least. */
const CONNECT_TIMEOUT_S = 2;

/** What libpq asks of a server before it stays with it. */
export const SESSION_ATTRIBUTES: Readonly<Record<SessionRole, string>> = {
  rw: 'read-write',
  ro: 'prefer-standby',
};

export function connectionUri({ owner, password, database, hosts, role }: UriParts): string {
  const secret = password === null ? '' : `:${encode(password)}`;
  const query = `target_session_attrs=${SESSION_ATTRIBUTES[role]}&connect_timeout=${CONNECT_TIMEOUT_S}`;
  const places = hosts.map(bracketed).join(',');
  return `postgresql://${encode(owner)}${secret}@${places}/${encode(database)}?${query}`;
}

/** Everything but letters, digits and `-_.~`: a URI is also pasted into a shell. */
const encode = (text: string): string =>
  encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );

/** `fd00::1:5432` is an IPv6 address and a port: `[fd00::1]:5432`. */
function bracketed(host: string): string {
  const colon = host.lastIndexOf(':');
  const address = host.slice(0, colon);
  return address.includes(':') && !address.startsWith('[')
    ? `[${address}]${host.slice(colon)}`
    : host;
}
