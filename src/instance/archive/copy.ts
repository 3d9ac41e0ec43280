/**
 * Files copied chunk by chunk, hashed and perhaps filtered on the way. The memory that this takes
 * does not depend on the length of the files, and is used again for the next one.
 */
import { createHash } from 'node:crypto';
import { type FileHandle } from 'node:fs/promises';
import { FilterProcess, type Filter } from './filters';

/** Large enough for the calls not to count, small enough for the event loop not to wait for one. */
const CHUNK_BYTES = 1024 * 1024;
/** What the widest burst needs; the rest is given back. */
const SPARES_MAX = 4;

export interface Digest {
  /** SHA-256, in hexadecimal digits. */
  readonly sha256: string;
  readonly bytes: number;
}

export interface Copying {
  readonly from: FileHandle;
  readonly to: FileHandle;
  /** Null: as it is. */
  readonly filter: Filter | null;
}

/** Digest of what a file contains. */
export async function digestOf(file: FileHandle): Promise<Digest> {
  const digest = new Digesting();
  for await (const chunk of chunksOf(file)) digest.update(chunk);
  return digest.result;
}

/** Copies; says what was read. */
export async function copyDigestingInput(copying: Copying): Promise<Digest> {
  const digest = new Digesting();
  await copy(copying, (chunk) => digest.update(chunk), ignore);
  return digest.result;
}

/** Copies; says what was written. */
export async function copyDigestingOutput(copying: Copying): Promise<Digest> {
  const digest = new Digesting();
  await copy(copying, ignore, (chunk) => digest.update(chunk));
  return digest.result;
}

type Look = (chunk: Buffer) => void;
const ignore: Look = () => undefined;

class Digesting {
  readonly #hash = createHash('sha256');
  #bytes = 0;

  update(chunk: Buffer): void {
    this.#hash.update(chunk);
    this.#bytes += chunk.length;
  }

  get result(): Digest {
    return { sha256: this.#hash.digest('hex'), bytes: this.#bytes };
  }
}

async function copy({ from, to, filter }: Copying, onRead: Look, onWrite: Look): Promise<void> {
  if (filter === null) {
    for await (const chunk of chunksOf(from)) {
      const written = writeWhole(to, chunk);
      onRead(chunk);
      onWrite(chunk);
      await written;
    }
    return;
  }
  const process = new FilterProcess(filter);
  const endingIt = (error: unknown): never => {
    process.kill();
    throw error;
  };
  // Both are waited for in any case: whoever called this closes the files next.
  const [fed, drained] = await Promise.allSettled([
    feed(process, from, onRead).catch(endingIt),
    drain(process, to, onWrite).catch(endingIt),
  ]);
  if (fed.status === 'rejected') throw fed.reason;
  if (drained.status === 'rejected') throw drained.reason;
  await process.done();
}

async function feed(process: FilterProcess, from: FileHandle, onRead: Look): Promise<void> {
  for await (const chunk of chunksOf(from)) {
    const written = process.write(chunk);
    onRead(chunk);
    await written;
  }
  process.endInput();
}

async function drain(process: FilterProcess, to: FileHandle, onWrite: Look): Promise<void> {
  for await (const chunk of process.output as AsyncIterable<Buffer>) {
    const written = writeWhole(to, chunk);
    onWrite(chunk);
    await written;
  }
}

/** write(2) may take a part only, most likely when the volume is about to be full. */
async function writeWhole(to: FileHandle, chunk: Buffer): Promise<void> {
  for (let offset = 0; offset < chunk.length;) {
    offset += (await to.write(chunk, offset)).bytesWritten;
  }
}

const spares: Buffer[] = [];

/**
 * The chunks of a file, from its beginning. While one of them is worked on the next one is read: a
 * chunk is valid until the next is asked for.
 */
async function* chunksOf(file: FileHandle): AsyncGenerator<Buffer> {
  let [ready, next] = [takeSpare(), takeSpare()];
  let position = 0;
  const read = (into: Buffer): Promise<number> => {
    const bytes = file.read(into, 0, CHUNK_BYTES, position).then(({ bytesRead }) => bytesRead);
    // Its failure is met when the chunk is asked for, however long the work on the last one takes.
    bytes.catch(() => undefined);
    return bytes;
  };
  let reading = read(ready);
  try {
    for (;;) {
      const bytes = await reading;
      if (bytes === 0) return;
      position += bytes;
      reading = read(next);
      yield ready.subarray(0, bytes);
      [ready, next] = [next, ready];
    }
  } finally {
    // Nobody may use the memory, or close the file, while it is still being read into.
    await reading.catch(() => undefined);
    spares.push(ready, next);
    spares.length = Math.min(spares.length, SPARES_MAX);
  }
}

const takeSpare = (): Buffer => spares.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
