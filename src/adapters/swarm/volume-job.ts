/**
 * A program of its own: removes the volumes that are its arguments on the Docker whose socket it
 * has. The container that has just been removed may keep them for a moment.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '../../core/errors';
import { openDocker, type Docker } from './docker';
import { hasCode } from './errors';

const ATTEMPTS_MAX = 30;
const RETRY_AFTER_MS = 1_000;

async function removeVolume(docker: Docker, name: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await docker.delete(`/volumes/${encodeURIComponent(name)}`);
      return;
    } catch (error) {
      if (hasCode(error, 'NotFound')) return;
      if (attempt === ATTEMPTS_MAX) throw error;
      await pause(RETRY_AFTER_MS);
    }
  }
}

async function main(names: readonly string[]): Promise<void> {
  const docker = openDocker();
  for (const name of names) await removeVolume(docker, name);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
});
