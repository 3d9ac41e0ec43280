/**
 * A process that is nothing but an instance manager. Its peers are on this machine, too: each is known
 * by an address of the test's, and reached at a port of its own.
 */
import { Resolver } from 'node:dns/promises';
import { Agent } from 'node:http';
import { createConnection } from 'node:net';
import { runInstance } from '../../../src/instance/main';

const peers = JSON.parse(process.env['PGSWARM_TEST_PEERS'] ?? '{}') as Record<string, number>;
const addressOf = (index: number): string => `127.77.0.${String(index + 1)}`;
const ports = Object.fromEntries(
  Object.values(peers).map((port, index) => [addressOf(index), port]),
);

Resolver.prototype.resolve4 = (async (name: string) => {
  const index = Object.keys(peers).indexOf(name);
  return await Promise.resolve(index < 0 ? [] : [addressOf(index)]);
}) as Resolver['resolve4'];

Agent.prototype.createConnection = (options) => {
  const { host, port } = options as { host: string; port: number };
  const peer = ports[host];
  return createConnection(peer === undefined ? { host, port } : { host: '127.0.0.1', port: peer });
};

void runInstance(process.env).then((code) => {
  process.exitCode = code;
});
