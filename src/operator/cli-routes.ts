/** What the CLI may ask the leader. */
import { type Route } from '../adapters/control/routes';
import { OperatingError } from '../core/errors';
import { type Keyring } from './keyring';
import { type Operator } from './operator';

/** What a client needs to log in as the owner of the cluster's database. */
export interface Credentials {
  readonly owner: string;
  readonly database: string;
  readonly password: string;
}

export const cliRoutes = (operator: Operator, keyring: Keyring): readonly Route[] => [
  { method: 'GET', path: '/v1/clusters', answer: () => operator.clusters() },
  {
    method: 'GET',
    path: '/v1/clusters/:cluster',
    answer: ({ cluster = '' }) => operator.answer(cluster),
  },
  {
    method: 'GET',
    path: '/v1/clusters/:cluster/credentials',
    answer: ({ cluster = '' }) => credentials(operator, keyring, cluster),
  },
];

function credentials(operator: Operator, keyring: Keyring, cluster: string): Credentials {
  const { spec, uid } = operator.controller(cluster);
  const secrets = uid === null ? null : keyring.secrets(cluster, uid);
  if (spec === null || secrets === null) {
    const message = `the cluster ${cluster} has no credentials yet; it is still being created`;
    throw new OperatingError('refused', 'NoCredentials', message);
  }
  const { owner, database } = spec.value.spec.postgres;
  return { owner, database, password: secrets.owner };
}
