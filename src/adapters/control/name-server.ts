import { Resolver } from 'node:dns/promises';

/** Addresses of a host name; an empty list when nothing is found. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/**
 * Asks the name server itself, and rejects when it does not know the name. The system's resolver
 * (`lookup`) occupies a thread while it waits, and with several names that hang no file could be
 * read. A new resolver each time: one that lived long was seen never to answer again, so nobody
 * should wait for an answer without a bound of his own.
 */
export async function askNameServer(host: string, timeoutMs: number): Promise<readonly string[]> {
  return await new Resolver({ timeout: timeoutMs, tries: 1 }).resolve4(host);
}
