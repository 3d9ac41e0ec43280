/**
 * Every process of one PostgreSQL. Neither parentage nor the process group finds them all: backends
 * outlive a killed postmaster as orphans, and each makes itself the leader of a session of its own
 * (miscinit.c, `InitPostmasterChild`). But all of them, and what they start, work in the data
 * directory (postmaster.c, `ChangeToDataDir`).
 */
import { readdirSync, readlinkSync, realpathSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const ROUND_MS = 2;
/** A process in uninterruptible sleep (a hung disk) dies only when its system call returns. */
const ROUND_MAX_MS = 500;
const ROUND_GROWTH = 1.1;

/** Process ids of all processes whose working directory is the data directory. */
export function processesIn(dataDirectory: string): readonly number[] {
  let path: string;
  try {
    path = realpathSync(dataDirectory);
  } catch {
    return [];
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && workingDirectory(pid) === path);
}

/**
 * Kills them all and returns when the last one is gone. The postmaster goes first, so that it
 * starts no more of them; round after round, because one may just have been forked.
 */
export async function killProcessesIn(
  dataDirectory: string,
  postmasterPid: number | null,
): Promise<void> {
  if (postmasterPid !== null) kill(postmasterPid);
  // Without a bound: while one is left it may acknowledge, and nothing else must be believed.
  for (let roundMs = ROUND_MS; ; roundMs = Math.min(roundMs * ROUND_GROWTH, ROUND_MAX_MS)) {
    const pids = processesIn(dataDirectory);
    if (pids.length === 0) return;
    pids.forEach(kill);
    await sleep(roundMs);
  }
}

function workingDirectory(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${String(pid)}/cwd`);
  } catch {
    // Gone, a zombie, or somebody else's.
    return null;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}
