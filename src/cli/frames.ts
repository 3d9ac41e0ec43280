/**
 * Docker sends standard output and standard error over one connection, in frames: one byte for the
 * stream, three of padding, four for the length (Docker API v1.41, `ContainerAttach`).
 */

export type FrameStream = 'stdout' | 'stderr';

const HEADER_BYTES = 8;
const STDERR = 2;

/** Takes the bytes as they arrive and calls back with the content of each frame, or a part of it. */
export function readFrames(
  found: (stream: FrameStream, bytes: Buffer) => void,
): (chunk: Buffer) => void {
  let header = Buffer.alloc(0);
  let left = 0;
  let stream: FrameStream = 'stdout';
  return (chunk) => {
    let rest = chunk;
    while (rest.length > 0) {
      if (left > 0) {
        found(stream, rest.subarray(0, left));
        const taken = Math.min(left, rest.length);
        left -= taken;
        rest = rest.subarray(taken);
        continue;
      }
      const missing = HEADER_BYTES - header.length;
      header = Buffer.concat([header, rest.subarray(0, missing)]);
      rest = rest.subarray(missing);
      if (header.length < HEADER_BYTES) return;
      stream = header[0] === STDERR ? 'stderr' : 'stdout';
      left = header.readUInt32BE(4);
      header = Buffer.alloc(0);
    }
  };
}
