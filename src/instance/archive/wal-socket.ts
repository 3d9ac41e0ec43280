/**
 * The socket at which PostgreSQL's archive_command and restore_command ask, by way of
 * `wal-command.sh`. A question is one line, `<verb> <name> <path>`; the answer is one line,
 * `<exit status> <words>`: the words end up in PostgreSQL's log.
 */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { parseWalFile, type WalFile } from '../../core/archive/wal-files';
import { messageOf } from '../../core/errors';

export type WalVerb = 'archive' | 'restore' | 'recover';

export interface WalQuestion {
  /** `recover`: as `restore`, for a recovery that takes a file that is missing for the end. */
  readonly verb: WalVerb;
  readonly file: WalFile;
  /** Absolute: where the file is, or is wanted. */
  readonly path: string;
}

/**
 * `absent`: it is certain that there is no such file. `later`: it did not work now. `leave`: stop
 * asking, PostgreSQL is about to be stopped.
 */
export type WalAnswer =
  | { readonly kind: 'done' | 'absent' | 'leave' }
  | { readonly kind: 'later'; readonly because: string };

/** `signal` is aborted when nobody waits for the answer any more. */
export type AnswerWal = (question: WalQuestion, signal: AbortSignal) => Promise<WalAnswer>;

export const DONE: WalAnswer = { kind: 'done' };
export const ABSENT: WalAnswer = { kind: 'absent' };
export const LEAVE: WalAnswer = { kind: 'leave' };
export const later = (because: string): WalAnswer => ({ kind: 'later', because });

/**
 * PostgreSQL takes a status above 125 for the work of a signal: its archiver leaves at once instead
 * of trying three times with a second in between, and a recovery is broken off (pgarch.c,
 * xlogarchive.c). A standby that merely asks again must never get it: it would end.
 */
const BREAK_OFF = 130;

const STATUS: Readonly<Record<WalVerb, Readonly<Record<WalAnswer['kind'], number>>>> = {
  archive: { done: 0, absent: 1, later: 1, leave: BREAK_OFF },
  restore: { done: 0, absent: 1, later: 1, leave: 1 },
  recover: { done: 0, absent: 1, later: BREAK_OFF, leave: BREAK_OFF },
};

const QUESTION = /^(\S+) (\S+) (\/.+)$/;
const VERBS = Object.keys(STATUS) as WalVerb[];
/** Longer than the longest path. */
const LINE_MAX = 8192;

/** Listening on the socket, which only this user may use. */
export async function openWalSocket(path: string, answer: AnswerWal): Promise<Server> {
  const server = createServer((socket) => serve(socket, answer));
  // One that an earlier instance manager has left behind.
  await rm(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => resolve());
  });
  await chmod(path, 0o600);
  return server;
}

function serve(socket: Socket, answer: AnswerWal): void {
  const gone = new AbortController();
  let text = '';
  socket.setEncoding('utf8');
  // Whoever asked may have been killed; `close` follows.
  socket.on('error', () => undefined);
  socket.once('close', () => gone.abort());
  socket.on('data', (part: string) => {
    text += part;
    const end = text.indexOf('\n');
    if (end < 0 && text.length <= LINE_MAX) return;
    socket.removeAllListeners('data');
    // What may still come is of no interest, but that the client goes is.
    socket.resume();
    void answerLine(text.slice(0, end), answer, gone.signal).then((line) => socket.end(line));
  });
}

async function answerLine(line: string, answer: AnswerWal, gone: AbortSignal): Promise<string> {
  const question = parseQuestion(line);
  if (question === null) return `1 not understood: ${JSON.stringify(line)}\n`;
  try {
    return renderAnswer(question.verb, await answer(question, gone));
  } catch (error) {
    return renderAnswer(question.verb, later(messageOf(error)));
  }
}

/** Null when it is none; a name that is not one of PostgreSQL's WAL files is refused here. */
export function parseQuestion(line: string): WalQuestion | null {
  const [, verb, name = '', path = ''] = QUESTION.exec(line) ?? [];
  const known = VERBS.find((each) => each === verb);
  const file = parseWalFile(name);
  if (known === undefined || file === null) return null;
  return { verb: known, file, path };
}

export function renderAnswer(verb: WalVerb, answer: WalAnswer): string {
  const words = answer.kind === 'later' ? answer.because.replaceAll('\n', ' ') : '';
  return `${STATUS[verb][answer.kind]} ${words}\n`;
}
