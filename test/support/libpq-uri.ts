/**
 * Reads a libpq connection URI with several hosts (manual: "Connection URIs"), which node-pg cannot:
 * it knows one host only, and no `target_session_attrs`.
 */

/** One of the servers that a URI names. */
export interface Host {
  readonly host: string;
  readonly port: number;
}

/** What `target_session_attrs` may ask for. */
export const SESSION_ATTRIBUTES = [
  'any',
  'read-write',
  'read-only',
  'primary',
  'standby',
  'prefer-standby',
] as const;
export type SessionAttributes = (typeof SESSION_ATTRIBUTES)[number];

export interface LibpqUri {
  readonly hosts: readonly Host[];
  readonly user: string | null;
  readonly password: string | null;
  readonly database: string | null;
  readonly targetSessionAttributes: SessionAttributes;
  /** Null when the URI names none, or asks to wait without end. */
  readonly connectTimeoutMs: number | null;
  /** Every parameter after the question mark. */
  readonly parameters: Readonly<Record<string, string>>;
}

const SHAPE =
  /^postgres(?:ql)?:\/\/(?:(?<user>[^:@/]*)(?::(?<password>[^@/]*))?@)?(?<hosts>[^/?]*)(?:\/(?<database>[^?]*))?(?:\?(?<query>.*))?$/s;
const HOST = /^(?:\[(?<address>[^\]]+)\]|(?<name>[^:[\]]*))(?::(?<port>\d*))?$/;
const PORT_DEFAULT = 5432;
const PORT_MAX = 65_535;

/** A URI's parts; a text that is none is an error which does not repeat it, for its password. */
export function parseLibpqUri(text: string): LibpqUri {
  const parts = SHAPE.exec(text.trim())?.groups;
  if (parts === undefined) throw new Error('not a libpq URI: postgresql://user@host/database');
  const parameters = parseParameters(parts['query'] ?? '');
  return {
    hosts: (parts['hosts'] ?? '').split(',').map(parseHost),
    user: decoded(parts['user']),
    password: decoded(parts['password']),
    database: decoded(parts['database']),
    targetSessionAttributes: parseAttributes(parameters['target_session_attrs'] ?? 'any'),
    connectTimeoutMs: parseTimeout(parameters['connect_timeout']),
    parameters,
  };
}

function parseHost(text: string): Host {
  const parts = HOST.exec(text)?.groups;
  const host = decodeURIComponent(parts?.['address'] ?? parts?.['name'] ?? '');
  const port = parts?.['port'] ? Number(parts['port']) : PORT_DEFAULT;
  if (host === '') throw new Error(`a libpq URI names its hosts, but one is "${text}"`);
  if (port < 1 || port > PORT_MAX) throw new Error(`${host} has no port ${port}`);
  return { host, port };
}

/** Not URLSearchParams: libpq does not read `+` as a space. */
function parseParameters(query: string): Readonly<Record<string, string>> {
  const pairs = query.split('&').filter((pair) => pair !== '');
  return Object.fromEntries(
    pairs.map((pair) => {
      const [name = '', ...value] = pair.split('=');
      return [decodeURIComponent(name), decodeURIComponent(value.join('='))];
    }),
  );
}

function parseAttributes(text: string): SessionAttributes {
  const known = SESSION_ATTRIBUTES.find((each) => each === text);
  if (known === undefined) throw new Error(`target_session_attrs=${text} is unknown to libpq`);
  return known;
}

function parseTimeout(text: string | undefined): number | null {
  const seconds = Number(text ?? 0);
  if (!Number.isInteger(seconds)) throw new Error(`connect_timeout=${text ?? ''} is no number`);
  return seconds > 0 ? seconds * 1000 : null;
}

const decoded = (text: string | undefined): string | null =>
  text === undefined || text === '' ? null : decodeURIComponent(text);
