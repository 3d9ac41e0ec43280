/**
 * Docker's events, as a hint to look again. Nothing depends on them: one may be lost, and after
 * every new connection the caller is told to look at everything.
 */
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { type Docker } from './docker';

export interface Changed {
  /** `service`, `node`, `network`, `secret`, `config`; `connection` when any of them may have. */
  readonly type: string;
  readonly name: string;
}

const RECONNECT_AFTER_MS = 1_000;
/** Only a manager has these; events of its own containers are not asked for. */
const FILTERS = { scope: ['swarm'], type: ['service', 'node', 'network', 'secret', 'config'] };

/** Calls back until the returned function is called. */
export function watchEvents(docker: Docker, changed: (what: Changed) => void): () => void {
  const stop = new AbortController();
  void follow(docker, changed, stop.signal);
  return () => stop.abort();
}

async function follow(
  docker: Docker,
  changed: (what: Changed) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const stream = await docker.stream('/events', { query: { filters: FILTERS }, signal });
      changed({ type: 'connection', name: docker.address });
      for await (const line of createInterface({ input: stream, signal })) {
        const what = parseEvent(line);
        if (what !== null) changed(what);
      }
    } catch {
      // Docker is restarting, or Swarm has no leader; calls that matter say so themselves.
    }
    await pause(RECONNECT_AFTER_MS, undefined, { signal }).catch(() => undefined);
  }
}

interface EventAnswer {
  readonly Type?: string;
  readonly Actor?: { readonly Attributes?: { readonly name?: string } };
}

function parseEvent(line: string): Changed | null {
  const event = JSON.parse(line) as EventAnswer;
  if (event.Type === undefined) return null;
  return { type: event.Type, name: event.Actor?.Attributes?.name ?? '' };
}
