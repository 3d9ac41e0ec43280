/**
 * A process that is an instance manager's PostgreSQL and guard, and nothing else: the test that has
 * started it says what to do, and is told of every change.
 */
import { messageOf, OperatingError } from '../../../src/core/errors';
import { createLog } from '../../../src/adapters/log';
import { startGuard } from '../../../src/instance/guard';
import { LocalPostgres } from '../../../src/instance/local-postgres';
import { type Call, type Seen } from './bare-manager';

const [directory = '', binDirectory = '', port] = process.argv.slice(2);
const log = createLog({ component: 'bare-manager' });
const tell = (): void => void process.send?.({ seen: seen() });
const postgres = new LocalPostgres({
  shippedLsn: () => null,
  directory,
  binDirectory,
  address: { socketDirectory: directory, port: Number(port) },
  startTimeoutMs: 60_000,
  log,
  onChange: () => tell(),
});
const inspected = postgres.inspect();
const guard = startGuard({ directory, log, onEnd: tell, onReady: tell });

function seen(): Seen {
  return { report: postgres.report, mayWrite: postgres.mayWrite, isGuarded: guard.isAlive };
}

async function obey(call: Call): Promise<void> {
  await inspected;
  const nowMs = performance.now();
  switch (call.kind) {
    case 'start':
      await postgres.start(new AbortController().signal);
      break;
    case 'promote':
      await postgres.promote();
      break;
    case 'stop':
      await postgres.stop({ fastMs: call.fastMs, immediateMs: call.fastMs });
      break;
    case 'fence': {
      const { quitInMs, killInMs } = call;
      await postgres.fence({ quitAtMs: nowMs + quitInMs, killAtMs: nowMs + killInMs });
      break;
    }
    case 'hold':
      guard.hold(nowMs + call.inMs);
      break;
    case 'release':
      guard.release();
      break;
    case 'leave':
      guard.close();
  }
}

process.on('message', (message) => {
  const { id, call } = message as { readonly id: number; readonly call: Call };
  obey(call).then(
    () => process.send?.({ id, error: null }),
    (error: unknown) => {
      const code = error instanceof OperatingError ? error.code : 'Unexpected';
      process.send?.({ id, error: { code, message: messageOf(error) } });
    },
  );
});
