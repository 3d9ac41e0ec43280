/** One line per piece of work on stderr, so that stdout stays clean for `lab env` and friends. */

/** Prints what is being done, and how long it took once it is done. */
export async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startedMs = performance.now();
  note(`${what} …`);
  const value = await work();
  note(`${what} … ${seconds(performance.now() - startedMs)}`);
  return value;
}

/** Prints one line. */
export function note(line: string): void {
  process.stderr.write(`  ${line}\n`);
}

/** A duration as people read it. */
export function seconds(durationMs: number): string {
  const value = durationMs / 1000;
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} s`;
}
