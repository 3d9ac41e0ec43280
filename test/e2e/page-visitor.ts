/** Somebody with the link of `pgswarm page`: logs in as the page does, and watches its stream. */
import { expect } from 'chai';
import { type Overview, type OverviewChange } from '../../src/core/overview';

/** What browsers run. */
interface PageScript {
  readonly applyChange: (before: Overview | null, change: OverviewChange) => Overview;
}

const PATIENCE_MS = 30_000;

export interface PageVisitor {
  /** Waits until the stream shows it. */
  shows(isShown: (overview: Overview) => boolean): Promise<void>;
  close(): void;
}

export async function openPage(link: string): Promise<PageVisitor> {
  const { origin, hash } = new URL(link);
  const token = new URLSearchParams(hash.slice(1)).get('token') ?? '';
  expect((await fetch(origin)).status, 'without a login').to.equal(401);
  const form = {
    method: 'POST',
    body: new URLSearchParams({ token }),
    redirect: 'manual',
  } as const;
  const cookie = (await fetch(`${origin}/login`, form)).headers.get('set-cookie') ?? '';
  const gone = new AbortController();
  const stream = await fetch(`${origin}/events`, { headers: { cookie }, signal: gone.signal });
  expect(stream.status, 'with a login').to.equal(200);
  const { applyChange } = (await import('../../src/page/stream.mjs')) as unknown as PageScript;
  let shown: Overview | null = null;
  const changes = changesIn(stream.body!);
  return {
    shows: async (isShown) => {
      const deadline = setTimeout(() => gone.abort(), PATIENCE_MS);
      try {
        for (;;) {
          if (shown !== null && isShown(shown)) return;
          const next = await changes.next();
          if (next.done === true) throw new Error('the stream has ended');
          shown = applyChange(shown, next.value);
        }
      } finally {
        clearTimeout(deadline);
      }
    },
    close: () => gone.abort(),
  };
}

async function* changesIn(body: ReadableStream<Uint8Array>): AsyncGenerator<OverviewChange> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    const events = text.split('\n\n');
    text = events.pop() ?? '';
    for (const event of events) {
      // `event: trouble` is for people.
      const data = /^data: (.*)$/.exec(event)?.[1];
      if (data !== undefined) yield JSON.parse(data) as OverviewChange;
    }
  }
}
