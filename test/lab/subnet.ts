/** Picks the address range of a lab's network: the same for the same name, unless it is taken. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { docker, type Docker } from './docker';

// Outside 10.0.0.0/8, where Swarm and the examples take the addresses of overlay networks.
const pools = ['172.30', '172.29', '192.168'];
const rangesPerPool = 256;

/** Free /24 ranges as `a.b.c`, the preferred one for this name first. */
export async function freeRanges(daemon: Docker, name: string): Promise<string[]> {
  const taken = [...(await dockerSubnets(daemon)), ...(await routedSubnets())];
  const first = createHash('sha256').update(name).digest()[0] ?? 0;
  const candidates = pools.flatMap((pool) =>
    Array.from({ length: rangesPerPool }, (_, i) => `${pool}.${(first + i) % rangesPerPool}`),
  );
  return candidates.filter(
    (range) => !taken.some((other) => overlaps(parse(`${range}.0/24`), other)),
  );
}

interface Subnet {
  readonly address: number;
  readonly bits: number;
}

async function dockerSubnets(daemon: Docker): Promise<Subnet[]> {
  const ids = (await docker(daemon, ['network', 'ls', '--quiet'])).split('\n').filter(Boolean);
  if (ids.length === 0) return [];
  const format = '{{range .IPAM.Config}}{{.Subnet}} {{end}}';
  const listed = await docker(daemon, ['network', 'inspect', '--format', format, ...ids]);
  return listed.split(/\s+/).filter(isIpv4Subnet).map(parse);
}

async function routedSubnets(): Promise<Subnet[]> {
  // Little-endian hexadecimal destination and mask; absent on other systems than Linux.
  const text = await readFile('/proc/net/route', 'utf8').catch(() => '');
  const rows = text
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t'));
  return rows.flatMap(([, destination, , , , , , mask]) => {
    if (destination === undefined || mask === undefined || mask === '00000000') return [];
    const bits = reversed(mask)
      .toString(2)
      .split('')
      .filter((bit) => bit === '1').length;
    return [{ address: reversed(destination), bits }];
  });
}

function reversed(littleEndianHex: string): number {
  return Buffer.from(littleEndianHex, 'hex').readUInt32LE();
}

function isIpv4Subnet(text: string): boolean {
  return /^\d+\.\d+\.\d+\.\d+\/\d+$/.test(text);
}

function parse(text: string): Subnet {
  const [address = '', bits = '32'] = text.split('/');
  return {
    address: Buffer.from(address.split('.').map(Number)).readUInt32BE(),
    bits: Number(bits),
  };
}

function overlaps(left: Subnet, right: Subnet): boolean {
  const size = 2 ** (32 - Math.min(left.bits, right.bits));
  return Math.floor(left.address / size) === Math.floor(right.address / size);
}
