/** A server that the user has named. */
import { nearest } from '../core/nearest';
import { type ServerSpec, type Spec } from '../core/spec';
import { refusal } from './exit';

/** Refuses a name that the cluster does not have, with those that it has. */
export function serverNamed({ cluster, servers }: Spec, name: string): ServerSpec {
  const server = servers.find((each) => each.name === name);
  if (server !== undefined) return server;
  const names = servers.map((each) => each.name);
  const meant = nearest(name, names);
  const question = meant === null ? '' : ` Did you mean ${meant}?`;
  const sentence = `The cluster ${cluster} has no server ${name}.${question} It has: ${names.join(', ')}.`;
  throw refusal('UnknownServer', sentence);
}
