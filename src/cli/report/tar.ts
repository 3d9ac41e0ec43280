/** A tar archive of small files, as POSIX wants it ("ustar Interchange Format", in `pax`). */

export interface TarFile {
  /** With slashes; less than 100 bytes. */
  readonly path: string;
  readonly text: string;
}

const BLOCK = 512;
const NAME_BYTES_MAX = 99;

export function tarOf(files: readonly TarFile[], modifiedAt: Date): Buffer {
  const seconds = Math.floor(modifiedAt.getTime() / 1000);
  const parts = files.flatMap(({ path, text }) => {
    const content = Buffer.from(text);
    const padding = Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK);
    return [headerOf(path, content.length, seconds), content, padding];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

function headerOf(path: string, bytes: number, seconds: number): Buffer {
  if (Buffer.byteLength(path) > NAME_BYTES_MAX) throw new Error(`too long for a tar: ${path}`);
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, length: number): string =>
    `${value.toString(8).padStart(length - 1, '0')}\0`;
  header.write(path, 0);
  header.write(octal(0o600, 8), 100);
  header.write(octal(0, 8), 108);
  header.write(octal(0, 8), 116);
  header.write(octal(bytes, 12), 124);
  header.write(octal(seconds, 12), 136);
  // The checksum is computed over spaces in its own place.
  header.write(' '.repeat(8), 148);
  header.write('0', 156);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}
