/**
 * Aborts with any of the signals, or as `AbortSignal.timeout` after so long. `AbortSignal.any` alone
 * is not enough: it holds a timeout weakly, and one that nobody listens to is collected as garbage
 * before it strikes (Node 20).
 */
export function timeLimit(milliseconds: number, ...signals: readonly AbortSignal[]): AbortSignal {
  const limit = AbortSignal.timeout(milliseconds);
  limit.addEventListener('abort', () => undefined);
  return AbortSignal.any([...signals, limit]);
}
