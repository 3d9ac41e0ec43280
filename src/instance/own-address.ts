/** Where the other servers find this one. */
import { networkInterfaces } from 'node:os';
import { isIn } from '../core/subnet';

/** This container's address in the cluster's network; null where it has none in there. */
export function ownAddressIn(subnet: string): string | null {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return own.find(({ address }) => isIn(subnet, address))?.address ?? null;
}
