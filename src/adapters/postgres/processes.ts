/**
 * Every process of one PostgreSQL. Neither parentage nor the process group finds them all: backends
 * outlive a killed postmaster as orphans, and each makes itself the leader of a session of its own
 * (miscinit.c, `InitPostmasterChild`). But all of them, and what they start, work in the data
 * directory (postmaster.c, `ChangeToDataDir`).
 */
import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const ROUND_MS = 2;
/** A process in uninterruptible sleep (a hung disk) dies only when its system call returns. */
const ROUND_MAX_MS = 500;
const ROUND_GROWTH = 1.1;
/** `/proc/<pid>/stat` behind the name, which may hold anything: state, parent, group, session, terminal. */
const TERMINAL_FIELD = 4;
const NO_TERMINAL = '0';

/** Process ids of all processes that belong to the PostgreSQL in this data directory. */
export function processesIn(dataDirectory: string): readonly number[] {
  const path = realPath(dataDirectory);
  return path === null ? [] : [...workersIn(path)];
}

/** One by one: who is killed at once does not compete with the search for the others. */
function* workersIn(path: string): Generator<number> {
  for (const name of readdirSync('/proc')) {
    const pid = /^\d+$/.test(name) ? Number(name) : process.pid;
    if (pid !== process.pid && worksIn(pid, path)) yield pid;
  }
}

/**
 * Kills them all and returns when the last one is gone. The postmaster goes first, so that it
 * starts no more of them; round after round, because one may just have been forked. The first round
 * is over when this function has handed back its promise.
 */
export async function killProcessesIn(dataDirectory: string): Promise<void> {
  const path = realPath(dataDirectory);
  if (path === null) return;
  killPostmaster(path);
  // Without a bound: while one is left it may acknowledge, and nothing else must be believed.
  for (let roundMs = ROUND_MS; ; roundMs = Math.min(roundMs * ROUND_GROWTH, ROUND_MAX_MS)) {
    let found = 0;
    for (const pid of workersIn(path)) {
      kill(pid);
      found += 1;
    }
    if (found === 0) return;
    await sleep(roundMs);
  }
}

/** The number in its lock file may be that of any other process by now. */
function killPostmaster(path: string): void {
  const pid = Number.parseInt(textOf(join(path, 'postmaster.pid')) ?? '', 10);
  if (pid > 0 && pid !== process.pid && worksIn(pid, path)) kill(pid);
}

/**
 * Asked right before the signal: a process id is not given to another process within microseconds.
 * A person's shell in the directory is spared.
 */
function worksIn(pid: number, path: string): boolean {
  const entry = `/proc/${String(pid)}`;
  if (targetOf(`${entry}/cwd`) !== path) return false;
  return !hasTerminal(entry) || isPostgres(entry);
}

/** PostgreSQL is started without one, and so is everything that it starts. */
function hasTerminal(entry: string): boolean {
  const stat = textOf(`${entry}/stat`);
  if (stat === null) return false;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[TERMINAL_FIELD] !== NO_TERMINAL;
}

/** Somebody may have started the server, or its single-user mode, by hand. */
function isPostgres(entry: string): boolean {
  return basename(targetOf(`${entry}/exe`) ?? '').startsWith('postgres');
}

function realPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

/** Null when the process is gone, a zombie, or somebody else's. */
function targetOf(link: string): string | null {
  try {
    return readlinkSync(link);
  } catch {
    return null;
  }
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
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
