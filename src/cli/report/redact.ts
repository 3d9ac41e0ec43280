/** Takes what is secret out of what leaves the house: by the names of fields, and by how it is written. */

export const HIDDEN = '[hidden]';

/** Fields and parameters whose value is nobody's business; `passfile` is a path, and stays. */
const SECRET_NAME =
  /pass(?:word|phrase|wd)|secret(?!name|id|s?$)|radiussecrets|token|(?:control|root|private)_?key|conninfo/i;

const NAMES = String.raw`passw(?:or)?d|passphrase(?:_command)?|pass|secrets?|token|(?:secret|access|api|account|encryption|private)[_-]?(?:access[_-]?)?key`;
/** In JSON within JSON the quotes are escaped. */
const EQUALS = String.raw`\\?["']?\s*[=:]\s*`;
/** Doubled quotes: primary_conninfo = 'password=''x'''. The last is bare, or was cut off. */
const VALUES = [
  String.raw`''[^']+''`,
  String.raw`'(?:[^'\\]|\\.|'')*'`,
  String.raw`\\"(?:[^"\\]|\\(?!"))*\\"`,
  String.raw`"(?:[^"\\]|\\.)*"`,
  String.raw`["']?[^\s,;&"'}\\]+`,
].join('|');

/** In text: the part before the secret stays, as `$1`. */
const SECRET_TEXT: readonly (readonly [RegExp, string])[] = [
  // libpq, LDAP, environment: password=x, PGPASSWORD: "x", ldapbindpasswd='x', AWS_SECRET_ACCESS_KEY=x
  [new RegExp(`(\\b\\w*(?:${NAMES})${EQUALS})(?:${VALUES})`, 'gi'), `$1${HIDDEN}`],
  // SQL: PASSWORD 'x'
  [/(\bpassword\s+)(?:E?'(?:[^']|'')*')/gi, `$1${HIDDEN}`],
  // postgres://user:x@host, http://user:x@proxy; over HTTP, a user without a password is a token
  [/(\b[a-z][a-z+.-]*:\/\/[^\s:/@]*:)[^\s/"']+(?=@)/gi, `$1${HIDDEN}`],
  [/(\bhttps?:\/\/)[^\s:/@"']+(?=@)/gi, `$1${HIDDEN}`],
  [/(\bauthorization\\?["']?\s*[=:]\s*\\?["']?\w+\s+)[^\s"'\\]+/gi, `$1${HIDDEN}`],
  [/\b(?:gh[a-z]_|github_pat_|glpat-)[\w-]{16,}/g, HIDDEN],
  [/SCRAM-SHA-256\$[^\s"']+/g, HIDDEN],
  [/\bmd5[0-9a-f]{32}\b/g, HIDDEN],
  [/-----BEGIN ([A-Z ]*PRIVATE KEY)-----[\s\S]*?(?:-----END \1-----|$)/g, HIDDEN],
];

/** `known` are secrets that are known as such, wherever they stand. */
export function redactText(text: string, known: readonly string[]): string {
  const hidden = known
    .filter((secret) => secret !== '')
    .reduce((rest, secret) => rest.replaceAll(secret, HIDDEN), text);
  return SECRET_TEXT.reduce((rest, [pattern, by]) => rest.replaceAll(pattern, by), hidden);
}

/** The same value without what its fields' names, or its texts, give away. */
export function redactValue(value: unknown, known: readonly string[]): unknown {
  if (typeof value === 'string') return redactText(value, known);
  if (Array.isArray(value)) return value.map((each) => redactValue(each, known));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      name,
      isSecret(name, each) ? HIDDEN : redactValue(each, known),
    ]),
  );
}

/** A number or a list under such a name is a count, or has names of its own. */
const isSecret = (name: string, value: unknown): boolean =>
  typeof value === 'string' && SECRET_NAME.test(name);
