/** What the CLI, the web page and webhooks may ask the leader. */
import { type Question, type Route } from '../adapters/control/routes';
import { OperatingError } from '../core/errors';
import { type Keyring } from './keyring';
import { type Operator } from './operator';
import { type PageAccess } from './page';

/** What a client needs to log in as the owner of the cluster's database. */
export interface Credentials {
  readonly owner: string;
  readonly database: string;
  readonly password: string;
}

/** `page`: null where the web page is not served. */
export const cliRoutes = (
  operator: Operator,
  keyring: Keyring,
  page: PageAccess | null,
): readonly Route[] => [
  { method: 'GET', path: '/v1/clusters', answer: () => operator.clusters() },
  {
    method: 'GET',
    path: '/v1/clusters/:cluster',
    answer: ({ cluster = '' }) => operator.answer(cluster),
  },
  {
    method: 'GET',
    path: '/v1/clusters/:cluster/history/:since',
    answer: ({ cluster = '', since = '' }) =>
      operator.controller(cluster).history(since === 'ever' ? '' : since),
  },
  {
    method: 'GET',
    path: '/v1/clusters/:cluster/credentials',
    answer: ({ cluster = '' }) => credentials(operator, keyring, cluster),
  },
  {
    method: 'GET',
    path: '/v1/overview/:cluster',
    answer: ({ cluster = '' }) => operator.overview(cluster),
  },
  { method: 'GET', path: '/v1/page', answer: () => page ?? refusePage() },
];

function refusePage(): never {
  const message =
    'the web page is not served; deploy it: docker stack deploy -c manifests/pgswarm.yaml -c manifests/page.yaml pgswarm';
  throw new OperatingError('refused', 'PageOff', message);
}

/** A webhook's question to the leader. */
export const PUSHED: Question = { method: 'POST', path: '/v1/git/look', body: null };

export const pushRoute = (look: () => void): Route => ({
  method: 'POST',
  path: PUSHED.path,
  answer: look,
});

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
