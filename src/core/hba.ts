/**
 * Lines of `pg_hba.conf` (manual: "The pg_hba.conf File"). A line that PostgreSQL cannot read
 * makes it refuse the whole file, and a weak one opens the database: both are found here.
 */
import { errorAt, quoted, warningAt, type Finding } from './findings';

const TYPES = ['local', 'host', 'hostssl', 'hostnossl', 'hostgssenc', 'hostnogssenc'];
const STRONG = ['scram-sha-256', 'reject', 'peer', 'gss', 'ldap', 'radius', 'pam', 'ident', 'cert'];

/** Methods that are never accepted, and why. */
const WEAK: Readonly<Record<string, string>> = {
  trust: 'lets in everybody who can reach the port, without a password',
  password: 'sends the password in clear text',
  md5: 'makes hashes that can be used like the password itself',
};

const SHAPE = 'write TYPE DATABASE USER ADDRESS METHOD: host app app 10.1.0.0/16 scram-sha-256';
const SCRAM = 'use scram-sha-256';

export function checkHba(path: string, lines: readonly (string | undefined)[]): Finding[] {
  return lines.flatMap((line, index) =>
    line === undefined ? [] : checkLine(`${path}[${index}]`, line),
  );
}

function checkLine(at: string, line: string): Finding[] {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(line) || line.trimEnd().endsWith('\\')) {
    const message = 'a line break, or a backslash at the end, would make this line more than one';
    return [errorAt(at, message, 'write each line as an item of its own')];
  }
  const words = wordsOf(line);
  if (words === null) return [errorAt(at, 'a quotation mark is not closed', 'add the missing "')];
  return checkWords(at, words);
}

/** The line's words with their quotation marks; a comment ends it. Null when a quote is open. */
function wordsOf(line: string): string[] | null {
  const words: string[] = [];
  let word = '';
  let isQuoted = false;
  for (const character of line) {
    if (character === '"') isQuoted = !isQuoted;
    if (character === '#' && !isQuoted) break;
    const isSpace = character === ' ' || character === '\t';
    if (!isSpace || isQuoted) word += character;
    else if (word !== '') {
      words.push(word);
      word = '';
    }
  }
  if (isQuoted) return null;
  return word === '' ? words : [...words, word];
}

function checkWords(at: string, words: readonly string[]): Finding[] {
  const [type, database, user, ...rest] = words;
  if (type === undefined) return [errorAt(at, 'there is no rule in this line', SHAPE)];
  if (type.startsWith('include')) {
    const message = 'a file that is not in the spec would differ from server to server';
    return [errorAt(at, message, 'write its lines here')];
  }
  if (!TYPES.includes(type)) {
    return [
      errorAt(at, `${quoted(type)} is not a type of connection`, `use one of ${TYPES.join(', ')}`),
    ];
  }
  if (database === undefined || user === undefined) {
    return [errorAt(at, 'the line is too short', SHAPE)];
  }
  if (/(^|,)[@+]?@/.test(database) || /(^|,)@/.test(user)) {
    const message = 'a name with @ is read from a file that is not in the spec';
    return [errorAt(at, message, 'write the names themselves, with commas between them')];
  }
  if (type === 'local') return checkMethod(at, type, rest);
  return checkAddress(at, type, rest);
}

function checkAddress(at: string, type: string, rest: readonly string[]): Finding[] {
  const [address, ...afterAddress] = rest;
  if (address === undefined) return [errorAt(at, 'the address and the method are missing', SHAPE)];
  const isBare = isIpv4(address) || isIpv6(address);
  const [mask, ...afterMask] = afterAddress;
  if (isBare && mask !== undefined && (isIpv4(mask) || isIpv6(mask))) {
    return checkMethod(at, type, afterMask);
  }
  if (isBare) {
    const message = `the address ${quoted(address)} has no prefix length`;
    return [
      errorAt(at, message, `write ${address}/${isIpv4(address) ? 32 : 128} for this one address`),
    ];
  }
  if (!isRange(address) && !isHost(address)) {
    const message = `${quoted(address)} is not an address`;
    return [errorAt(at, message, 'use all, samenet, a host name, or a range such as 10.1.0.0/16')];
  }
  return checkMethod(at, type, afterAddress);
}

function checkMethod(at: string, type: string, rest: readonly string[]): Finding[] {
  const [method, ...options] = rest;
  if (method === undefined) return [errorAt(at, 'the method is missing', SHAPE)];
  const weakness = Object.hasOwn(WEAK, method) ? WEAK[method] : undefined;
  if (weakness !== undefined) return [errorAt(at, `${method} ${weakness}`, SCRAM)];
  if (!STRONG.includes(method)) {
    return [errorAt(at, `${quoted(method)} is not a method of authentication`, SCRAM)];
  }
  if (method === 'peer' && type !== 'local') {
    return [errorAt(at, 'peer is for local connections only', SCRAM)];
  }
  const stray = options.find((option) => !/^[^=]+=./.test(option.replaceAll('"', '')));
  if (stray !== undefined) {
    return [errorAt(at, `${quoted(stray)} is not an option of the method`, 'write name=value')];
  }
  if (type !== 'hostssl' && method !== 'cert') return [];
  const message = 'this line never matches: TLS is not part of this version';
  return [warningAt(at, message, 'use host and scram-sha-256')];
}

const isOctet = (text: string): boolean => /^\d{1,3}$/.test(text) && Number(text) <= 255;

function isIpv4(text: string): boolean {
  const octets = text.split('.');
  return octets.length === 4 && octets.every(isOctet);
}

/** Groups of four digits, one `::` at most. Scopes and embedded IPv4 are not read. */
function isIpv6(text: string): boolean {
  const halves = text.split('::');
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return false;
  return halves.length === 2 ? groups.length < 8 : halves.length === 1 && groups.length === 8;
}

function isRange(text: string): boolean {
  const [address = '', prefix = '', ...more] = text.split('/');
  if (more.length > 0 || !/^\d{1,3}$/.test(prefix)) return false;
  return (isIpv4(address) && Number(prefix) <= 32) || (isIpv6(address) && Number(prefix) <= 128);
}

/** A name, a domain (`.example.com`), or one of the words all, samehost, samenet. */
const isHost = (text: string): boolean =>
  /^\.?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/.test(text) && !/^[\d.]+$/.test(text);
