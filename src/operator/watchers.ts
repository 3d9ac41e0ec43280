/** Instances that wait to be told something new, each with the digest of what it was told last. */
interface Watcher {
  readonly server: string;
  readonly digest: string;
  readonly resolve: () => void;
}

export class Watchers {
  readonly #waiting = new Set<Watcher>();

  /**
   * Resolves when the server is to be told something else, or when `signal` strikes; `onHangUp` is
   * called when that is because the connection was closed, and not because the time was over.
   */
  wait(
    { server, digest }: { readonly server: string; readonly digest: string },
    signal: AbortSignal,
    onHangUp: () => void,
  ): Promise<void> {
    return new Promise((resolve) => {
      const watcher: Watcher = { server, digest, resolve };
      this.#waiting.add(watcher);
      signal.addEventListener('abort', () => {
        const hasHungUp = (signal.reason as Error).name !== 'TimeoutError';
        if (this.#waiting.delete(watcher) && hasHungUp) onHangUp();
        resolve();
      });
    });
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** Answers those for whom there is something new; null: nothing is known of that server. */
  wake(digestFor: (server: string) => string | null): void {
    for (const watcher of this.#waiting) {
      const digest = digestFor(watcher.server);
      if (digest !== null && digest !== watcher.digest) this.#answer(watcher);
    }
  }

  /** Answers all of them: they ask whoever leads then. */
  release(): void {
    for (const watcher of this.#waiting) this.#answer(watcher);
  }

  #answer(watcher: Watcher): void {
    this.#waiting.delete(watcher);
    watcher.resolve();
  }
}
