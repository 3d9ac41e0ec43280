/** What instances are told in tests, unless a test is about it. */
import { type InstanceSettings, type Task } from '../../../src/core/protocol';

/** Small, and open to whoever has a password on this machine. */
export const settingsWith = (changes: Partial<InstanceSettings> = {}): InstanceSettings => ({
  parameters: { shared_buffers: '32MB', max_connections: '40' },
  hba: ['host all all 127.0.0.1/32 scram-sha-256'],
  subnet: '10.0.200.0/24',
  database: 'app',
  owner: 'app',
  archive: { compression: 'gzip', timeoutMs: 300_000 },
  retention: { keep: null, maxAgeMs: null },
  ...changes,
});

type PrimaryTask = Extract<Task, { kind: 'primary' }>;

/** Without a lease, and with nobody to wait for. */
export const primaryWith = (changes: Partial<PrimaryTask> = {}): PrimaryTask => ({
  kind: 'primary',
  slots: [],
  checkpointFor: null,
  contract: null,
  sync: null,
  restartFor: null,
  ...changes,
});
