/**
 * A process that restores copies and nothing else, as an instance manager would: PostgreSQL does not
 * run as root, and a process can be killed. The test's side of it is `restorer.ts`.
 */
import { cp } from 'node:fs/promises';
import { createLog } from '../../../src/adapters/log';
import { messageOf, OperatingError } from '../../../src/core/errors';
import { runDrill } from '../../../src/instance/restore/drill';
import { clearScratch, openScratch } from '../../../src/instance/restore/scratch';
import {
  Throwaway,
  type RecoveryProgress,
  type ThrowawayOptions,
} from '../../../src/instance/restore/throwaway';
import { type Call, type Copy } from './restorer';

const log = createLog({ component: 'restorer' });
let throwaway: Throwaway | null = null;
let calling = new AbortController();

async function obey(call: Call): Promise<unknown> {
  switch (call.kind) {
    case 'recover': {
      calling = new AbortController();
      const options = await optionsOf(call.copy);
      await materialise(call.copy.backup, options.scratch.dataDirectory);
      throwaway = new Throwaway(options);
      const progress: RecoveryProgress[] = [];
      const onProgress = (seen: RecoveryProgress): void => void progress.push(seen);
      const recovery = await throwaway.recover({ ...call.order, onProgress }, calling.signal);
      return { recovery, progress };
    }
    case 'drill': {
      calling = new AbortController();
      const { backup } = call.copy;
      const options = {
        ...(await optionsOf(call.copy)),
        materialise: async (path: string) => await materialise(backup, path),
      };
      return await runDrill({ ...call.order, backup: 'b1' }, options, calling.signal);
    }
    case 'query':
      return await throwaway?.connection.query(call.text, { timeoutMs: 10_000 });
    case 'call off':
      calling.abort();
      return null;
    case 'remove':
      await throwaway?.remove();
      return null;
    case 'clear':
      await clearScratch(call.scratch);
      return null;
  }
}

async function optionsOf({ scratch, socket, binDirectory }: Copy): Promise<ThrowawayOptions> {
  return {
    scratch: await openScratch(scratch, 'copy'),
    socketDirectory: socket,
    binDirectory,
    log,
  };
}

async function materialise(backup: string, dataDirectory: string): Promise<void> {
  await cp(backup, dataDirectory, { recursive: true, verbatimSymlinks: true });
}

process.on('message', (message) => {
  const { id, call } = message as { readonly id: number; readonly call: Call };
  obey(call).then(
    (value) => process.send?.({ id, value }),
    (error: unknown) => {
      const code = error instanceof OperatingError ? error.code : 'Unexpected';
      process.send?.({ id, error: { code, message: messageOf(error) } });
    },
  );
});
process.send?.({ ready: true });
