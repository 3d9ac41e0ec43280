/** Which repository the operator follows, and how: from its environment. */
import { parseDuration } from '../quantities';

export interface GitSettings {
  /** As Git takes it: an URL, `user@host:path`, or the path of a repository on the manager. */
  readonly repository: string;
  readonly branch: string;
  /** Folder or file in the repository; empty: all of it. */
  readonly path: string;
  readonly pollMs: number;
  /** Files with secrets; null: none is needed. */
  readonly tokenFile: string | null;
  readonly sshKeyFile: string | null;
  readonly knownHostsFile: string | null;
  readonly webhook: WebhookSettings | null;
  /** Where the fate of a commit is posted; `{commit}` in it stands for the commit's id. */
  readonly statusUrl: string | null;
  /** A file with a header for that, `Authorization: Bearer …`. */
  readonly statusHeaderFile: string | null;
}

export interface WebhookSettings {
  readonly port: number;
  readonly secretFile: string;
}

export type Parsed =
  | { readonly kind: 'none' }
  | { readonly kind: 'settings'; readonly settings: GitSettings }
  | { readonly kind: 'problem'; readonly message: string };

type Environment = Readonly<Record<string, string | undefined>>;

export const WEBHOOK_PORT = 7703;
const POLL_MS = 30_000;
/** Whoever wants to know sooner has the webhook. */
const POLL_MIN_MS = 1_000;

/** `PGSWARM_GIT_…`; `none` when no repository is named. */
export function parseGitSettings(environment: Environment): Parsed {
  const read = (name: string): string | null => {
    const value = environment[`PGSWARM_GIT_${name}`]?.trim() ?? '';
    return value === '' ? null : value;
  };
  const repository = read('REPOSITORY');
  if (repository === null) return { kind: 'none' };
  const poll = parseDuration(read('POLL') ?? `${POLL_MS / 1000}s`);
  if (poll.kind === 'problem') {
    return { kind: 'problem', message: `PGSWARM_GIT_POLL: ${poll.message}: ${poll.hint}` };
  }
  const settings: GitSettings = {
    repository,
    branch: read('BRANCH') ?? 'main',
    path: (read('PATH') ?? '').replace(/^(\.?\/)+|^\.$|\/+$/g, ''),
    pollMs: Math.max(poll.value, POLL_MIN_MS),
    tokenFile: read('TOKEN_FILE'),
    sshKeyFile: read('SSH_KEY_FILE'),
    knownHostsFile: read('KNOWN_HOSTS_FILE'),
    webhook: webhookOf(read('WEBHOOK_SECRET_FILE'), read('WEBHOOK_PORT')),
    statusUrl: read('STATUS_URL'),
    statusHeaderFile: read('STATUS_HEADER_FILE'),
  };
  const message = problemOf(settings);
  return message === null ? { kind: 'settings', settings } : { kind: 'problem', message };
}

const webhookOf = (secretFile: string | null, port: string | null): GitSettings['webhook'] =>
  secretFile === null ? null : { secretFile, port: Number(port ?? WEBHOOK_PORT) };

const problemOf = (settings: GitSettings): string | null =>
  repositoryProblem(settings.repository) ??
  branchProblem(settings.branch) ??
  pathProblem(settings.path) ??
  portProblem(settings.webhook) ??
  statusProblem(settings.statusUrl) ??
  userProblem(settings) ??
  keyProblem(settings) ??
  plainProblem(settings);

const URL_FORM = /^(?<scheme>https?|ssh|git|file):\/\/(?:(?<user>[^/@]*)@)?[^/@\s]*\/\S+$/;
/** `git@host:path`; what begins with `-` would be an option. */
const SCP_FORM = /^(?:[\w.-]+@)?[\w][\w.-]*:(?!\/\/|:)\S+$/;

/** Over SSH, in either way of writing it. */
export const isSsh = (repository: string): boolean =>
  repository.startsWith('ssh://') ||
  (!repository.startsWith('/') && !URL_FORM.test(repository) && SCP_FORM.test(repository));

function repositoryProblem(repository: string): string | null {
  const url = URL_FORM.exec(repository);
  if (url?.groups?.['user']?.includes(':') === true) {
    return 'PGSWARM_GIT_REPOSITORY has a password in it: everybody who may look at the service sees it; put it into a secret and name its file in PGSWARM_GIT_TOKEN_FILE';
  }
  if (url !== null || repository.startsWith('/') || SCP_FORM.test(repository)) return null;
  // What stands before an @ may be a password, and this goes into logs and conditions.
  const shown = JSON.stringify(repository.replace(/\/\/.*@/, '//…@'));
  return `PGSWARM_GIT_REPOSITORY: ${shown} is not a repository; write https://…, ssh://…, git://…, git@host:path, or an absolute path`;
}

/** Without a password a user over HTTP is a token: `https://ghp_…@github.com/…`. */
const userProblem = ({ repository, tokenFile }: GitSettings): string | null =>
  tokenFile === null && /^https?:\/\/[^/]*@/.test(repository)
    ? 'PGSWARM_GIT_REPOSITORY has a user in it, but there is no PGSWARM_GIT_TOKEN_FILE: if it is a token, everybody who may look at the service or a cluster sees it; put it into a secret'
    : null;

const LOOPBACK = /^http:\/\/(?:[^/@]*@)?(?:localhost|127(?:\.\d+){3}|\[::1\])(?::\d+)?\//;

/** The header with the token is sent with every request, and everybody on the way can read it. */
const plainProblem = ({ repository, tokenFile }: GitSettings): string | null =>
  tokenFile !== null && repository.startsWith('http:') && !LOOPBACK.test(repository)
    ? 'PGSWARM_GIT_REPOSITORY is an http:// address: everybody on the way could read the token of PGSWARM_GIT_TOKEN_FILE; write https://, or take the token away if the repository needs none'
    : null;

/** A part of what git-check-ref-format(1) forbids: enough that it is a name and nothing else. */
function branchProblem(branch: string): string | null {
  const isName = /^[\w][\w./+#@-]*$/.test(branch) && !/\.\.|\/\/|@\{|\/$|\.$/.test(branch);
  return isName ? null : `PGSWARM_GIT_BRANCH: ${JSON.stringify(branch)} is not a branch's name`;
}

const pathProblem = (path: string): string | null =>
  path.split('/').includes('..')
    ? `PGSWARM_GIT_PATH: ${JSON.stringify(path)} leads out of the repository`
    : null;

const portProblem = (webhook: WebhookSettings | null): string | null =>
  webhook === null || (Number.isInteger(webhook.port) && webhook.port > 0 && webhook.port < 65_536)
    ? null
    : 'PGSWARM_GIT_WEBHOOK_PORT must be a port, 1 to 65535';

const statusProblem = (url: string | null): string | null =>
  url === null || /^https?:\/\/[^/\s]+\/?\S*$/.test(url)
    ? null
    : 'PGSWARM_GIT_STATUS_URL must be an http:// or https:// address';

function keyProblem({
  repository,
  tokenFile,
  sshKeyFile,
  knownHostsFile,
}: GitSettings): string | null {
  if (isSsh(repository) && (sshKeyFile === null || knownHostsFile === null)) {
    return 'over SSH both PGSWARM_GIT_SSH_KEY_FILE and PGSWARM_GIT_KNOWN_HOSTS_FILE are needed: who the server is must be known, too';
  }
  if (tokenFile !== null && !/^https?:/.test(repository)) {
    return 'PGSWARM_GIT_TOKEN_FILE is for https:// only';
  }
  const isPlain = [sshKeyFile, knownHostsFile].every((path) => /^[\w./-]*$/.test(path ?? ''));
  return isPlain
    ? null
    : 'PGSWARM_GIT_SSH_KEY_FILE and PGSWARM_GIT_KNOWN_HOSTS_FILE: only letters, digits and ._/- may be in the paths';
}
