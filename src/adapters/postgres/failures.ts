/** PostgreSQL's words for what went wrong, as a reason and a sentence on which a human can act. */
import { messageOf, OperatingError } from '../../core/errors';

interface KnownFailure {
  readonly pattern: RegExp;
  readonly reason: string;
  readonly advice: string;
}

/** The first that matches. Messages are English: programs run with `LC_ALL=C.UTF-8`. */
const KNOWN: readonly KnownFailure[] = [
  {
    pattern: /shared memory segment/,
    reason: 'SharedMemoryRefused',
    advice: 'a container has 64 MB in /dev/shm unless it is given more; only postgres writes there',
  },
  {
    pattern: /replication slot "[^"]*" does not exist/,
    reason: 'SlotMissing',
    advice: 'the upstream makes it when it is primary and this server is in the spec',
  },
  {
    pattern: /requested WAL segment .* has already been removed/,
    reason: 'WalRemoved',
    advice:
      'the upstream does not have the WAL any more that this server needs: it is cloned again',
  },
  {
    pattern: /can no longer (get changes|access)|invalidat/,
    reason: 'SlotLost',
    advice: 'the upstream makes it anew when it is primary',
  },
  {
    pattern:
      /in this server's history|child of (this server's history|database system)|forked off|no more WAL on requested timeline|highest timeline .* is behind|does not contain minimum recovery point|unexpected (previous )?timeline ID/,
    reason: 'TimelineDiverged',
    advice: 'this server has WAL that the upstream never had: it is rewound, or cloned again',
  },
  {
    pattern: /could not (locate|find) (a valid|required|the database|redo)|WAL ends before/,
    reason: 'RecoveryImpossible',
    advice: 'WAL is missing in the data directory: a standby is cloned again',
  },
  {
    pattern: /could not load .*pg_hba\.conf/,
    reason: 'HbaRefused',
    advice: 'correct spec.postgres.hba',
  },
  {
    pattern: /No space left on device|disk full/i,
    reason: 'DataVolumeFull',
    advice: 'the volume is full: make room on its file system',
  },
  {
    pattern: /Address already in use/,
    reason: 'PortInUse',
    advice: 'another program listens on this port: stop it, or give the server another port',
  },
  {
    pattern: /password authentication failed|no password supplied/,
    reason: 'PasswordRefused',
    advice: 'the upstream has another password: its roles are set when it runs as primary',
  },
  {
    pattern: /no pg_hba\.conf entry|pg_hba\.conf rejects/,
    reason: 'AccessRefused',
    advice: 'the upstream does not admit this address: check spec.network.subnet',
  },
  {
    pattern: /could not translate host name|ENOTFOUND|EAI_AGAIN/,
    reason: 'UpstreamUnknown',
    advice: 'the name is not known on the network: check that the service of the upstream runs',
  },
  {
    pattern:
      /Connection refused|ECONNREFUSED|could not connect|timeout expired|ETIMEDOUT|No route to host|EHOSTUNREACH|timeout/i,
    reason: 'UpstreamUnreachable',
    advice: 'the upstream does not answer: check that it runs and that the network carries traffic',
  },
  {
    pattern:
      /unrecognized configuration parameter|invalid value for parameter|configuration file .* contains errors|syntax error in file/,
    reason: 'ParameterRefused',
    advice: 'correct spec.postgres.parameters',
  },
  {
    pattern: /recovery aborted because of insufficient parameter settings/,
    reason: 'ParameterTooLow',
    advice: 'the primary runs with a higher value: raise it in spec.postgres.parameters',
  },
  {
    pattern: /could not map anonymous shared memory|Cannot allocate memory|out of memory/i,
    reason: 'OutOfMemory',
    advice: 'lower shared_buffers, or give the machine more memory',
  },
  {
    pattern: /database files are incompatible|was initialized by PostgreSQL version/,
    reason: 'VersionMismatch',
    advice: 'the data directory is of another PostgreSQL version: use an image that has it',
  },
  {
    pattern: /has (invalid|wrong) (permissions|ownership)|Permission denied/,
    reason: 'PermissionDenied',
    advice: 'give the data volume to the user postgres, mode 0700',
  },
  {
    pattern: /Read-only file system|Input\/output error/,
    reason: 'VolumeBroken',
    advice: 'the disk reports errors: check the kernel log of the node',
  },
  {
    pattern: /ENOENT|spawn/,
    reason: 'ProgramsMissing',
    advice: 'PostgreSQL is not in the image: check PATH or PGSWARM_PG_BIN',
  },
];

export interface Attempt {
  /** What was tried, on what. */
  readonly attempted: string;
  /** Reason of a failure that is not in the table. */
  readonly otherwise: string;
}

/** An error with a reason and advice; one that has them already, and an abort, stay as they are. */
export function explainFailure(error: unknown, { attempted, otherwise }: Attempt): unknown {
  if (error instanceof Error && error.name === 'AbortError') return error;
  if (error instanceof OperatingError && error.code !== 'ProgramFailed') return error;
  const words = messageOf(error).trim();
  const known = KNOWN.find(({ pattern }) => pattern.test(words));
  const advice = known === undefined ? '' : ` (${known.advice})`;
  const message = `${attempted}: ${words}${advice}`;
  return new OperatingError('transient', known?.reason ?? otherwise, message, error);
}
