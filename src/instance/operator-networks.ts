/** The networks on which this server meets the operators: what comes from there is not from outside. */
import { networkInterfaces } from 'node:os';
import { OperatorDirectory } from '../adapters/control/operator-directory';
import { OPERATOR_PORT } from '../core/names';
import { contains, formatSubnet, parseSubnet, type Subnet } from '../core/subnet';

/** In CIDR notation; none when the operators cannot be found now. */
export async function operatorNetworks(operators: string): Promise<readonly string[]> {
  const found = await new OperatorDirectory(operators, OPERATOR_PORT).endpoints();
  const addresses = found.flatMap(({ host }) => subnetOf(`${host}/32`));
  return ownNetworks()
    .filter((network) => addresses.some((address) => contains(network, address)))
    .map(formatSubnet);
}

function ownNetworks(): readonly Subnet[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .flatMap(({ cidr, family, netmask, address }) =>
      cidr === null || family !== 'IPv4' ? [] : subnetOf(networkOf(address, netmask, cidr)),
    );
}

/** `10.0.3.7/24` is an address in `10.0.3.0/24`. */
function networkOf(address: string, netmask: string, cidr: string): string {
  const mask = netmask.split('.').map(Number);
  const first = address.split('.').map((octet, index) => Number(octet) & (mask[index] ?? 0));
  return `${first.join('.')}/${cidr.split('/')[1] ?? ''}`;
}

function subnetOf(text: string): readonly Subnet[] {
  const parsed = parseSubnet(text);
  return parsed.kind === 'subnet' ? [parsed.subnet] : [];
}
