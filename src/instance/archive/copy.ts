/**
 * Files copied chunk by chunk, hashed and perhaps filtered on the way. The memory that this takes
 * does not depend on the length of the files, and is used again for the next one.
 */
import { createHash } from 'node:crypto';
import { type FileHandle } from 'node:fs/promises';
import { FilterProcess, isRefusal, type Filter } from './filters';

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
  await copy(copying, (chunk) => digest.update(chunk));
  return digest.result;
}

/** Copies; says what was written. `to` must be open for reading, too. */
export async function copyDigestingOutput(copying: Copying): Promise<Digest> {
  if (copying.filter === null) return await copyDigestingInput(copying);
  await copy(copying, () => undefined);
  return await digestOf(copying.to);
}

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

type Look = (chunk: Buffer) => void;

async function copy({ from, to, filter }: Copying, onRead: Look): Promise<void> {
  if (filter === null) {
    for await (const chunk of chunksOf(from)) {
      const written = writeWhole(to, chunk);
      onRead(chunk);
      await written;
    }
    return;
  }
  const process = new FilterProcess(filter, to);
  try {
    for await (const chunk of chunksOf(from)) {
      const written = process.write(chunk);
      onRead(chunk);
      await written;
    }
    process.endInput();
    await process.done();
  } catch (error) {
    process.kill();
    if (isRefusal(error)) await demandWritable(to);
    throw error;
  }
}

/** A filter cannot tell by its status that a volume is full: the same write is tried here. */
async function demandWritable(to: FileHandle): Promise<void> {
  const chunk = takeSpare();
  await writeWhole(to, chunk).finally(() => spares.push(chunk));
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
