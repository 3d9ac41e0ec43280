import { expect } from 'chai';
import { dockerError } from '../../src/adapters/swarm/errors';
import { type ErrorKind } from '../../src/core/errors';

interface Row {
  readonly thrown: object;
  readonly kind: ErrorKind;
  readonly code: string;
  readonly says?: RegExp;
}

/** As docker-modem throws them; the sentences are Docker 20.10's and 26.1's own. */
const http = (statusCode: number, message: string): object =>
  Object.assign(new Error(`(HTTP code ${statusCode}) unexpected - ${message} `), {
    statusCode,
    json: { message },
  });
const errno = (code: string): object => Object.assign(new Error(`connect ${code}`), { code });

const rows: readonly Row[] = [
  {
    thrown: http(500, 'rpc error: code = Unknown desc = update out of sequence'),
    kind: 'stale',
    code: 'StaleVersion',
  },
  {
    thrown: http(500, 'rpc error: code = DeadlineExceeded desc = context deadline exceeded'),
    kind: 'transient',
    code: 'SwarmWithoutLeader',
  },
  {
    thrown: http(
      503,
      "The swarm does not have a leader. It's possible that too few managers are online.",
    ),
    kind: 'transient',
    code: 'SwarmWithoutLeader',
  },
  {
    thrown: http(500, 'rpc error: code = Unavailable desc = connection closed'),
    kind: 'transient',
    code: 'SwarmError',
  },
  {
    thrown: http(
      503,
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    ),
    kind: 'refused',
    code: 'SwarmInactive',
    says: /Run `docker swarm init` first/,
  },
  {
    thrown: http(
      503,
      "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.",
    ),
    kind: 'refused',
    code: 'NotManager',
    says: /docker node promote/,
  },
  { thrown: http(404, 'config x not found'), kind: 'stale', code: 'NotFound' },
  {
    thrown: http(409, 'rpc error: code = AlreadyExists desc = config a.b already exists'),
    kind: 'stale',
    code: 'AlreadyExists',
  },
  {
    thrown: http(
      400,
      'rpc error: code = FailedPrecondition desc = network x is in use by service y',
    ),
    kind: 'transient',
    code: 'StillInUse',
  },
  {
    thrown: http(
      400,
      'rpc error: code = InvalidArgument desc = only updates to Labels are allowed',
    ),
    kind: 'refused',
    code: 'BadRequest',
  },
  { thrown: errno('ENOENT'), kind: 'transient', code: 'DockerUnreachable', says: /daemon running/ },
  { thrown: errno('ECONNREFUSED'), kind: 'transient', code: 'DockerUnreachable' },
  {
    thrown: errno('EHOSTUNREACH'),
    kind: 'transient',
    code: 'DockerUnreachable',
    says: /DOCKER_HOST/,
  },
  { thrown: errno('EACCES'), kind: 'refused', code: 'DockerForbidden', says: /group `docker`/ },
  { thrown: errno('ECONNRESET'), kind: 'transient', code: 'DockerConnectionLost' },
  {
    thrown: new DOMException('The operation was aborted due to timeout', 'TimeoutError'),
    kind: 'transient',
    code: 'DockerTimeout',
  },
  { thrown: new Error('something new'), kind: 'transient', code: 'DockerError' },
];

describe('errors of Docker', () => {
  for (const { thrown, kind, code, says } of rows) {
    const message = (thrown as Error).message.slice(0, 70);
    it(`calls "${message}" ${kind} ${code}`, () => {
      const error = dockerError(thrown, 'Docker’s GET /configs', 'unix:///x.sock');
      expect({ kind: error.kind, code: error.code }).to.deep.equal({ kind, code });
      expect(error.message).to.match(/^Docker’s GET \/configs at unix:\/\/\/x\.sock: /);
      expect(error.message).to.match(says ?? /./);
      expect(error.cause).to.equal(thrown);
    });
  }
});
