/**
 * The guard's own process: it kills every process of PostgreSQL when the deadline that it was given
 * passes, or when the instance manager ends. It needs nothing of the manager but the pipe, and does
 * next to nothing else, so that it is small and always on time.
 *
 * Its arguments are the data directory and the manager's process id. Orders come line by line:
 *
 *   hold <ns>   kill at this moment of CLOCK_MONOTONIC, the same in all processes of a machine
 *   release     there is nothing to guard
 *   here        the manager lives
 *   close       end, and leave PostgreSQL alone
 *
 * It says `ready` once it guards, and `killed <ms>`, with how late it was, when it had to kill.
 */
import { writeSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { killProcessesIn, processesIn } from '../adapters/postgres/processes';

const NS_PER_MS = 1_000_000;
/** A manager that says nothing for so many turns is hung. A freeze of both counts as one turn. */
const HUNG_TURNS = 10;
const HUNG_TURN_MS = 100;
/** A timer cannot be set for longer than 2^31 ms: it is set again. */
const TIMER_MAX_MS = 2 ** 30;

class GuardProcess {
  readonly #directory: string;
  readonly #managerPid: number;
  #deadlineNs: bigint | null = null;
  #timer: NodeJS.Timeout | undefined;
  #hasHeard = false;

  constructor(directory: string, managerPid: number) {
    this.#directory = directory;
    this.#managerPid = managerPid;
  }

  obey(order: string): void {
    this.#hasHeard = true;
    const [word, value] = order.split(' ');
    if (word === 'close') process.exit(0);
    if (word === 'release') this.#deadlineNs = null;
    if (word === 'hold' && value !== undefined) this.#deadlineNs = BigInt(value);
    this.#setTimer();
  }

  /** Nobody is left to move the deadline. */
  async orphaned(): Promise<void> {
    await killProcessesIn(this.#directory);
    process.exit(0);
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    if (this.#deadlineNs === null) return;
    const leftMs = Math.ceil(Number(this.#deadlineNs - process.hrtime.bigint()) / NS_PER_MS);
    // After a freeze the timer is late, and a deadline that was moved before may still be in the
    // pipe. Immediates run when the event loop has read what there is to read.
    const look = (): void => void setImmediate(() => void this.#look());
    this.#timer = setTimeout(look, Math.min(Math.max(leftMs, 0), TIMER_MAX_MS));
  }

  async #look(): Promise<void> {
    if (this.#deadlineNs === null) return;
    const lateNs = process.hrtime.bigint() - this.#deadlineNs;
    if (lateNs < 0n) {
      this.#setTimer();
      return;
    }
    this.#deadlineNs = null;
    this.#hasHeard = false;
    const gone = killProcessesIn(this.#directory);
    say(`killed ${Math.round(Number(lateNs) / NS_PER_MS)}`);
    if (!(await this.#managerAnswers())) this.#killManager();
    await gone;
  }

  async #managerAnswers(): Promise<boolean> {
    for (let turn = 0; turn < HUNG_TURNS; turn += 1) {
      await sleep(HUNG_TURN_MS);
      if (this.#hasHeard) return true;
    }
    return false;
  }

  /**
   * Its container ends with it and is started again. Its end ends the pipe, and with that, once
   * more, what it may have started in its last moment.
   */
  #killManager(): void {
    // While it is the parent, its process id is nobody else's.
    if (process.ppid !== this.#managerPid) return;
    process.kill(this.#managerPid, 'SIGKILL');
    complain('The instance manager hangs: PostgreSQL and the instance manager have been killed');
  }
}

function say(line: string): void {
  write(1, line);
}

/** In the shape of the program's own log. */
function complain(message: string): void {
  const timestamp = new Date().toISOString();
  write(2, JSON.stringify({ component: 'guard', level: 'error', message, timestamp }));
}

function write(descriptor: number, line: string): void {
  try {
    writeSync(descriptor, `${line}\n`);
  } catch {
    // Nobody listens any more; what must be done is done all the same.
  }
}

/** Where it is allowed, before everything else that waits for a processor. */
function hurry(): void {
  try {
    setPriority(constants.priority.PRIORITY_HIGHEST);
  } catch {
    // An ordinary user may not.
  }
}

function main(): void {
  const [directory = '', managerPid] = process.argv.slice(2);
  const guard = new GuardProcess(directory, Number(managerPid));
  hurry();
  // The first look takes longest, and must not be the one that counts.
  processesIn(directory);
  let rest = '';
  const read = (part: string): void => {
    const lines = (rest + part).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) guard.obey(line);
  };
  const end = (): void => void guard.orphaned();
  process.stdin.setEncoding('utf8').on('data', read).on('end', end).on('error', end);
  say('ready');
}

main();
