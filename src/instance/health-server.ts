/** Health for load balancers and people, 200 or 503, and why as JSON; metrics for Prometheus. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { METRICS_PATH, sendMetrics } from '../adapters/metrics/metrics-server';
import { type Exposition } from '../adapters/metrics/exposition';
import { answering, answerOfError, urlOf } from '../adapters/control/json-http';
import { type Log } from '../adapters/log';
import { lsnBytes } from '../core/lsn';
import { type Report, type Task } from '../core/protocol';

export interface Health {
  /** The own report; it holds no secrets. */
  readonly report: Omit<Report, 'sequence'>;
  readonly task: Task | null;
  /** Since the last answer of a leader; null before the first. */
  readonly contactAgeMs: number | null;
  /** Since the heartbeat loop last came round. */
  readonly heartAgeMs: number;
  /** Until it may not accept writes any more; null when it needs no lease. */
  readonly leaseLeftMs: number | null;
}

export interface Verdict {
  readonly ok: boolean;
  readonly reason: string;
}

/** The heartbeat loop comes round at least this often, whether it is answered or not. */
const HEART_AGE_MAX_MS = 15_000;
const LAG_BYTES_PATTERN = /^\d+$/;

/** The instance manager lives, and PostgreSQL runs when it should. */
export function judgeHealth({ report, task, heartAgeMs }: Health): Verdict {
  if (heartAgeMs > HEART_AGE_MAX_MS) return no('the heartbeat loop is stuck');
  const shouldRun = task?.kind === 'primary' || task?.kind === 'standby';
  const { state } = report.postgres;
  if (!shouldRun || state === 'primary' || state === 'standby') return yes(`PostgreSQL: ${state}`);
  return no(`PostgreSQL should run as ${task.kind} and is ${state}`);
}

/** Primary by its own state and by its leader's word. */
export function judgePrimary({ report, task }: Health): Verdict {
  if (report.postgres.state !== 'primary') return no(`PostgreSQL: ${report.postgres.state}`);
  return task?.kind === 'primary' ? yes('primary') : no('not assigned to be primary');
}

/** A streaming standby, at most `lagBytesMax` behind what it has received. */
export function judgeReplica({ report }: Health, lagBytesMax: number | null): Verdict {
  const { postgres } = report;
  if (postgres.state !== 'standby') return no(`PostgreSQL: ${postgres.state}`);
  if (postgres.receiver?.status !== 'streaming') return no('standby, but not streaming');
  const { receivedLsn, replayedLsn } = postgres;
  const lagBytes = receivedLsn === null ? 0 : Number(lsnBytes(receivedLsn) - lsnBytes(replayedLsn));
  if (lagBytesMax === null || lagBytes <= lagBytesMax) return yes('streaming standby');
  return no(`${lagBytes} bytes behind, more than ${lagBytesMax}`);
}

/** Answers until it is closed. */
export async function serveHealth(
  port: number,
  health: () => Health,
  metrics: Pick<Exposition, 'text' | 'contentType'>,
  log: Log,
): Promise<Server> {
  const tell = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams } = urlOf(request);
    if (pathname === METRICS_PATH) {
      await sendMetrics(response, metrics);
      return;
    }
    const { status, body } = answer(pathname, searchParams, health());
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(`${JSON.stringify(body)}\n`);
  };
  const server = createServer(
    answering(log, tell, (error) => answerOfError(error, 'instance manager')),
  );
  server.listen(port);
  await once(server, 'listening');
  return server;
}

function answer(
  path: string,
  query: URLSearchParams,
  health: Health,
): { readonly status: number; readonly body: unknown } {
  switch (path) {
    case '/healthz':
      return judged(judgeHealth(health), health);
    case '/primary':
      return judged(judgePrimary(health), health);
    case '/replica': {
      const lag = query.get('lag');
      if (lag !== null && !LAG_BYTES_PATTERN.test(lag)) {
        return { status: 400, body: { reason: 'lag is a number of bytes' } };
      }
      return judged(judgeReplica(health, lag === null ? null : Number(lag)), health);
    }
    case '/status':
      return { status: 200, body: health.report };
    default: {
      const reason = `there is /healthz, /primary, /replica, /status, ${METRICS_PATH}`;
      return { status: 404, body: { reason } };
    }
  }
}

function judged(
  { ok, reason }: Verdict,
  { report, contactAgeMs }: Health,
): {
  readonly status: number;
  readonly body: unknown;
} {
  const { cluster, server, postgres, problem } = report;
  const body = { ok, reason, cluster, server, state: postgres.state, contactAgeMs, problem };
  return { status: ok ? 200 : 503, body };
}

const yes = (reason: string): Verdict => ({ ok: true, reason });
const no = (reason: string): Verdict => ({ ok: false, reason });
