/** IPv4 subnets in CIDR notation, as overlay networks have them. */

export interface Subnet {
  /** First address as an unsigned 32-bit number. */
  readonly first: number;
  readonly prefix: number;
}

export type ParsedSubnet =
  | { readonly kind: 'subnet'; readonly subnet: Subnet }
  | { readonly kind: 'problem'; readonly message: string; readonly hint: string };

const HINT = 'write the first address and the prefix length: 10.0.200.0/24';
const FORM = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/;

export function parseSubnet(text: string): ParsedSubnet {
  const shown = JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
  const problem = (message: string, hint = HINT): ParsedSubnet => ({
    kind: 'problem',
    message,
    hint,
  });
  const match = FORM.exec(text);
  if (match === null) return problem(`${shown} is not an IPv4 subnet`);
  const octets = match.slice(1, 5);
  const prefix = Number(match[5]);
  if (octets.some((octet) => Number(octet) > 255 || String(Number(octet)) !== octet)) {
    return problem(`${shown} is not an IPv4 subnet: each part is a number from 0 to 255`);
  }
  if (prefix > 32) return problem(`${shown} is not an IPv4 subnet: the prefix is at most 32`);
  const address = octets.reduce((sum, octet) => sum * 256 + Number(octet), 0);
  const size = 2 ** (32 - prefix);
  const first = address - (address % size);
  if (first !== address) {
    const meant = formatSubnet({ first, prefix });
    return problem(`${shown} is an address inside a subnet, not the subnet`, `write ${meant}`);
  }
  return { kind: 'subnet', subnet: { first, prefix } };
}

export function formatSubnet({ first, prefix }: Subnet): string {
  const octets = [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256);
  return `${octets.join('.')}/${prefix}`;
}

/** Number of addresses, network and broadcast address included. */
export const sizeOf = ({ prefix }: Subnet): number => 2 ** (32 - prefix);

/** Two subnets overlap when one holds the first address of the other. */
export function overlaps(a: Subnet, b: Subnet): boolean {
  return a.first < b.first + sizeOf(b) && b.first < a.first + sizeOf(a);
}

/** Whether an IPv4 address is in a subnet that is well-formed. */
export function isIn(subnet: string, address: string): boolean {
  const [outer, inner] = [parseSubnet(subnet), parseSubnet(`${address}/32`)];
  if (outer.kind !== 'subnet' || inner.kind !== 'subnet') return false;
  return contains(outer.subnet, inner.subnet);
}

export const contains = (outer: Subnet, inner: Subnet): boolean =>
  outer.first <= inner.first && inner.first + sizeOf(inner) <= outer.first + sizeOf(outer);
