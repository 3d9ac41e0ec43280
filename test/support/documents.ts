/** Builders for what users write, so that a row of a test shows only what matters. */
import { type PostgresCluster, type Server } from '../../src/core/generated';

type SpecPart = PostgresCluster['spec'];

export const server = (name: string, hostname: string, port?: number): Server => ({
  name,
  node: { hostname },
  ...(port === undefined ? {} : { port }),
});

/** A sound cluster of two servers, with the fields of its spec replaced. */
export const document = (changes: Partial<SpecPart> = {}, name = 'orders'): PostgresCluster => ({
  apiVersion: 'pgswarm.dev/v1',
  kind: 'PostgresCluster',
  metadata: { name },
  spec: {
    postgres: { version: 17 },
    network: { subnet: '10.0.200.0/24' },
    primary: 'pg1',
    servers: [server('pg1', 'n1'), server('pg2', 'n2')],
    ...changes,
  },
});

/** The same with fields of `spec.postgres`. */
export const withPostgres = (changes: Partial<SpecPart['postgres']>): PostgresCluster =>
  document({ postgres: { version: 17, ...changes } });
