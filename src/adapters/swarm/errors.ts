/**
 * What Docker's errors mean. The daemon passes Swarm's gRPC errors on as text with status 500, so
 * that the status alone does not say enough: first match in the table wins.
 */
import { messageOf, OperatingError, type ErrorKind } from '../../core/errors';

interface ErrorRule {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly status?: number;
  readonly message?: RegExp;
  readonly errno?: readonly string[];
  /** What the user can do; empty when nothing. */
  readonly remedy: string;
}

const RULES: readonly ErrorRule[] = [
  {
    code: 'DockerForbidden',
    kind: 'refused',
    errno: ['EACCES', 'EPERM'],
    remedy:
      'This user may not use the socket: add it to the group `docker` and log in again, or use sudo.',
  },
  {
    code: 'DockerUnreachable',
    kind: 'transient',
    errno: ['ENOENT', 'ECONNREFUSED'],
    remedy: 'Is the Docker daemon running, and do DOCKER_HOST or `docker context show` name it?',
  },
  {
    code: 'DockerUnreachable',
    kind: 'transient',
    errno: ['ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT'],
    remedy: 'Is the host in DOCKER_HOST right, and can it be reached from here?',
  },
  {
    code: 'DockerConnectionLost',
    kind: 'transient',
    errno: ['ECONNRESET', 'EPIPE'],
    remedy: '',
  },
  {
    code: 'DockerTimeout',
    kind: 'transient',
    errno: ['ABORT_ERR', 'AbortError', 'TimeoutError'],
    remedy: 'Swarm does not answer for up to 20 s while its managers elect a leader.',
  },
  {
    code: 'SwarmInactive',
    kind: 'refused',
    status: 503,
    message: /swarm init|not part of a swarm/i,
    remedy: 'Run `docker swarm init` first, or use a Docker that is part of a Swarm.',
  },
  {
    code: 'NotManager',
    kind: 'refused',
    status: 503,
    message: /not a swarm manager/i,
    remedy: 'Use a manager (`docker node ls` there), or run `docker node promote` for this node.',
  },
  { code: 'StaleVersion', kind: 'stale', message: /update out of sequence/, remedy: '' },
  {
    code: 'SwarmWithoutLeader',
    kind: 'transient',
    message: /does not have a leader|no leader|lost leadership|context deadline|DeadlineExceeded/i,
    remedy: 'More than half of the managers must be up; it passes when they are.',
  },
  { code: 'AlreadyExists', kind: 'stale', status: 409, remedy: '' },
  { code: 'AlreadyExists', kind: 'stale', message: /AlreadyExists/, remedy: '' },
  { code: 'NotFound', kind: 'stale', status: 404, remedy: '' },
  {
    code: 'StillInUse',
    kind: 'transient',
    message: /is in use by|has active endpoints/,
    remedy: '',
  },
  { code: 'BadRequest', kind: 'refused', status: 400, remedy: '' },
  { code: 'DockerForbidden', kind: 'refused', status: 401, remedy: '' },
  { code: 'DockerForbidden', kind: 'refused', status: 403, remedy: '' },
  { code: 'SwarmError', kind: 'transient', message: /rpc error/, remedy: '' },
];

/** Not in the table: trying again is the safer guess, and the controller bounds it. */
const UNKNOWN: ErrorRule = { code: 'DockerError', kind: 'transient', remedy: '' };

/** Translates what docker-modem threw while `attempt` was tried on the daemon at `address`. */
export function dockerError(error: unknown, attempt: string, address: string): OperatingError {
  if (error instanceof OperatingError) return error;
  const facts = factsOf(error);
  const rule = RULES.find((each) => applies(each, facts)) ?? UNKNOWN;
  const sentence = `${attempt} at ${address}: ${facts.message}${/[.?!]$/.test(facts.message) ? '' : '.'}`;
  const text = rule.remedy === '' ? sentence : `${sentence} ${rule.remedy}`;
  return new OperatingError(rule.kind, rule.code, text, error);
}

/** Whether an error is an operating error of this code. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof OperatingError && error.code === code;
}

interface ErrorFacts {
  readonly status: number | null;
  readonly errno: string | null;
  readonly message: string;
}

/** docker-modem puts the status into a field and Docker's own sentence into `json.message`. */
function factsOf(error: unknown): ErrorFacts {
  const fields = (typeof error === 'object' && error !== null ? error : {}) as {
    statusCode?: number;
    code?: unknown;
    name?: string;
    json?: { message?: string } | null;
  };
  return {
    status: fields.statusCode ?? null,
    errno: typeof fields.code === 'string' ? fields.code : (fields.name ?? null),
    message: (fields.json?.message ?? messageOf(error)).trim(),
  };
}

function applies(rule: ErrorRule, facts: ErrorFacts): boolean {
  if (rule.status !== undefined && rule.status !== facts.status) return false;
  if (rule.errno !== undefined && !rule.errno.includes(facts.errno ?? '')) return false;
  return rule.message === undefined || rule.message.test(facts.message);
}
