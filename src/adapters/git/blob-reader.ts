/** Takes the output of `git cat-file --batch` apart as it comes, and keeps no more than one blob. */

const HEADER = /^([0-9a-f]+) (?:(missing)|(\w+) (\d+))$/;

interface Blob {
  readonly id: string;
  /** Bytes to come, the line's end after the content included. */
  left: number;
  /** null: it is too large to be kept. */
  readonly parts: Buffer[] | null;
}

export class BlobReader {
  readonly #bytesMax: number;
  readonly #visit: (blob: string, content: Buffer | null) => void;
  #header = '';
  #blob: Blob | null = null;

  constructor(bytesMax: number, visit: (blob: string, content: Buffer | null) => void) {
    this.#bytesMax = bytesMax;
    this.#visit = visit;
  }

  push(part: Buffer): void {
    let rest = part;
    while (rest.length > 0) rest = this.#blob === null ? this.#head(rest) : this.#body(rest);
  }

  #head(part: Buffer): Buffer {
    const end = part.indexOf('\n');
    this.#header += part.toString('latin1', 0, end === -1 ? part.length : end);
    if (end === -1) return part.subarray(part.length);
    const match = HEADER.exec(this.#header);
    this.#header = '';
    const [, id = '', missing, , size] = match ?? [];
    if (missing !== undefined || size === undefined) this.#visit(id, null);
    else {
      const bytes = Number(size);
      this.#blob = { id, left: bytes + 1, parts: bytes > this.#bytesMax ? null : [] };
    }
    return part.subarray(end + 1);
  }

  #body(part: Buffer): Buffer {
    const blob = this.#blob;
    if (blob === null) return part;
    const taken = part.subarray(0, blob.left);
    // The stream's buffers are used again: what is kept is copied by concat at the end.
    blob.parts?.push(taken);
    blob.left -= taken.length;
    if (blob.left === 0) {
      this.#blob = null;
      const content = blob.parts === null ? null : Buffer.concat(blob.parts).subarray(0, -1);
      this.#visit(blob.id, content);
    }
    return part.subarray(taken.length);
  }
}
