/**
 * How an operating error is to be met. `transient`: try again, with backoff. `stale`: the world
 * has moved, look again now. `refused`: will not work until the spec or the world changes.
 * `fatal`: stop.
 */
export type ErrorKind = 'transient' | 'stale' | 'refused' | 'fatal';

/** An effect that did not work. The message says what was attempted, on what, and what to do. */
export class OperatingError extends Error {
  readonly kind: ErrorKind;
  /** Short stable word: `DockerUnreachable`, `StaleRecord`, `ImageMissing`, … */
  readonly code: string;

  constructor(kind: ErrorKind, code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'OperatingError';
    this.kind = kind;
    this.code = code;
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
