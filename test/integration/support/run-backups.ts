/** A process of the user postgres that does with backups what its parent says. */
import { LocalConnection } from '../../../src/adapters/postgres/local-connection';
import { BackupCatalogue } from '../../../src/instance/backup/catalogue';
import { loadDump } from '../../../src/instance/backup/load-dump';
import { takeBackup } from '../../../src/instance/backup/take';
import { materialise } from '../../../src/instance/backup/unpack';
import { verifyBackup } from '../../../src/instance/backup/verify';
import { messageOf, OperatingError } from '../../../src/core/errors';
import { type BackupProcessOptions, type Order } from './backup-process';

const { archive, systemIdentifier, machine, dataDirectory, binDirectory } = JSON.parse(
  process.argv[2] ?? '',
) as BackupProcessOptions;

const controllers = new Map<number, AbortController>();
const say = (message: object): void => {
  process.send?.(message);
};

async function carryOut(
  order: Order,
  catalogue: BackupCatalogue,
  signal: AbortSignal,
): Promise<unknown> {
  switch (order.kind) {
    case 'list':
      return await catalogue.list();
    case 'remove':
      await catalogue.remove(order.id);
      return null;
    case 'verify':
      return await verifyBackup(order.id, { catalogue, binDirectory, signal });
    case 'load': {
      const { id: backup, database, replace = false } = order;
      const load = { id: '2026-11-21T18:00:00.000Z', backup, database, replace };
      const onProgress = (): void => undefined;
      await loadDump(load, { catalogue, machine, binDirectory, signal, onProgress });
      return null;
    }
    case 'materialise': {
      const { chain, release } = await catalogue.leaseChain(order.id);
      try {
        await catalogue.within('restore', order.id, async (scratch) => {
          await materialise(chain, order.destination, { binDirectory, signal, scratch });
        });
      } finally {
        release();
      }
      return null;
    }
    case 'take': {
      const { socketDirectory, port } = machine;
      const connection = new LocalConnection({ socketDirectory, port });
      const source = { cluster: 'orders', machine, binDirectory, dataDirectory, connection };
      try {
        return await takeBackup({
          order: order.order,
          source: { ...source, spec: { kind: 'PostgresCluster' } },
          catalogue,
          signal,
          onProgress: (progress) => say({ progress }),
        });
      } finally {
        connection.close();
      }
    }
  }
}

void BackupCatalogue.open({ volume: archive, systemIdentifier }).then((catalogue) => {
  process.on('message', (message: { call: number; order?: Order }) => {
    const { call, order } = message;
    if (order === undefined) {
      controllers.get(call)?.abort();
      return;
    }
    const controller = new AbortController();
    controllers.set(call, controller);
    carryOut(order, catalogue, controller.signal).then(
      (result) => say({ call, result }),
      (error: unknown) =>
        say({
          call,
          failure: {
            name: (error as Error).name,
            code: error instanceof OperatingError ? error.code : '',
            message: messageOf(error),
          },
        }),
    );
  });
  say({ ready: true });
});
