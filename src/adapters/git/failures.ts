/** What git complains about, as an error of ours: what it is, and what to do. */
import { OperatingError } from '../../core/errors';

interface Known {
  readonly pattern: RegExp;
  readonly code: string;
  /** What to do. */
  readonly hint: string;
}

/** In this order: a server that refuses is often said to be unreachable, too. */
const KNOWN: readonly Known[] = [
  {
    pattern: /host key verification failed|remote host identification has changed/i,
    code: 'GitHostUnknown',
    hint: 'the host key in PGSWARM_GIT_KNOWN_HOSTS_FILE must be that of the server: ssh-keyscan HOST',
  },
  {
    pattern:
      /authentication failed|could not read (username|password)|permission denied|access denied|invalid (username|credentials)|returned error: 40[13]|not allowed to push|protected branch|pre-receive hook declined|access denied or repository not exported/i,
    code: 'GitDenied',
    hint: 'check the token or the key, and what it may do in this repository',
  },
  {
    pattern: /couldn't find remote ref|remote branch .* not found/i,
    code: 'GitBranchMissing',
    hint: 'check PGSWARM_GIT_BRANCH',
  },
  {
    pattern:
      /repository .*not found|does not appear to be a git repository|no such (repository|project)|returned error: (404|410)|unable to update url base|redirect|repository not exported/i,
    code: 'GitRepositoryMissing',
    hint: 'was it moved? Then change PGSWARM_GIT_REPOSITORY',
  },
  {
    pattern:
      /\[rejected\]|non-fast-forward|fetch first|failed to update ref|cannot lock ref|stale info/i,
    code: 'GitOutrun',
    hint: 'somebody else has pushed; it is done again on top of that',
  },
  {
    pattern:
      /could not resolve|unable to (access|connect|look up)|connection (refused|timed out|reset|closed)|could not read from remote|timed out|early eof|hung up|no route to host|network is unreachable|rpc failed|returned error: 5\d\d/i,
    code: 'GitUnreachable',
    hint: 'it is tried again; the clusters go on',
  },
];

export function gitFailure(command: string, complaint: string): OperatingError {
  const known = KNOWN.find(({ pattern }) => pattern.test(complaint));
  const words = lastWords(complaint);
  const hint = known === undefined ? '' : ` (${known.hint})`;
  const code = known?.code ?? 'GitFailed';
  return new OperatingError('transient', code, `git ${command}: ${words}${hint}`);
}

/**
 * After anything but a push: whether the copy of the repository may be broken, and should be made anew.
 * Nobody outruns a fetch: a ref that cannot be locked then was left behind by one that was killed.
 */
export const isLocalFault = (error: unknown): boolean =>
  error instanceof OperatingError && ['GitFailed', 'GitOutrun'].includes(error.code);

/** On one line, without what git prefixes and advises. */
function lastWords(complaint: string): string {
  const lines = complaint
    .split(/[\r\n]+/)
    .map((line) => line.replace(/^(remote|fatal|error|hint): */, '').trim())
    .filter((line) => line !== '' && !/^(warning|hint):/.test(line));
  return lines.slice(-4).join('; ').slice(0, 500);
}
