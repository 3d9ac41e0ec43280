/** A process that answers PostgreSQL's archive and restore commands, and nothing else. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from 'winston';
import { type Compression } from '../../../src/core/archive/stored-files';
import { Archiver } from '../../../src/instance/archive/archiver';
import { ArchiveStore } from '../../../src/instance/archive/archive-store';
import { Restorer } from '../../../src/instance/archive/restorer';
import { openWalSocket } from '../../../src/instance/archive/wal-socket';
import { type HandsMessage, type HandsOptions } from './archive-hands';

const options = JSON.parse(process.argv[2] ?? '{}') as HandsOptions;
const { segmentBytes } = options;
let delayMs = 0;

const store = new ArchiveStore({
  ...{ volume: options.volume, systemIdentifier: 'test', segmentBytes },
  compression: options.compression as Compression,
  mayDiffer: () => false,
  onCorrupt: (_, because) => process.send?.({ corrupt: because }),
});
const archiver = new Archiver({
  store: {
    put: async (file, path) => {
      await sleep(delayMs);
      return await store.put(file, path);
    },
  },
  ...{ walDirectory: options.walDirectory, segmentBytes },
  log: createLogger({ silent: true }),
  onChange: () => undefined,
});
const restorer = new Restorer({
  store,
  ...{ spoolDirectory: options.spoolDirectory, segmentBytes },
  belongs: () => true,
  mayAskPeers: () => false,
  fetchFromPeer: async () => await Promise.resolve('absent'),
});

process.on('message', (message: HandsMessage) => {
  if (message.kind === 'stopping') archiver.stopping(message.isStopping);
  else delayMs = message.delayMs;
  process.send?.({ done: true });
});

void restorer
  .open()
  .then(
    async () =>
      await openWalSocket(options.socket, async (question, gone) =>
        question.verb === 'archive'
          ? await archiver.archive(question.file, question.path)
          : await restorer.restore(question, gone),
      ),
  )
  .then(() => process.send?.({ done: true }));
