/** The roles and the database that a cluster is made with. */
import { REPLICATION_ROLE } from '../../core/names';
import { type LocalConnection } from './local-connection';
import { isVerifierOf, scramVerifier } from './scram';
import { DATABASE_OWNER, MAY_EXECUTE, quoteName, REPLICATION_FUNCTIONS, ROLE } from './sql';

const TIMEOUT_MS = 30_000;

export interface RolesWanted {
  readonly owner: string;
  readonly database: string;
  readonly passwords: { readonly replication: string; readonly owner: string };
}

interface RoleRow {
  readonly rolpassword: string | null;
  readonly rolcanlogin: boolean;
  readonly rolreplication: boolean;
}

/** Makes what is missing and corrects what differs; writes nothing when all is right. */
export async function ensureRoles(connection: LocalConnection, wanted: RolesWanted): Promise<void> {
  const { owner, database, passwords } = wanted;
  await ensureRole(connection, {
    name: REPLICATION_ROLE,
    options: 'login replication',
    isRight: (role) => role.rolcanlogin && role.rolreplication,
    password: passwords.replication,
  });
  await ensureReplicationRights(connection);
  await ensureRole(connection, {
    name: owner,
    options: 'login',
    isRight: (role) => role.rolcanlogin,
    password: passwords.owner,
  });
  await ensureDatabase(connection, database, owner);
}

interface RoleWanted {
  readonly name: string;
  readonly options: string;
  readonly isRight: (role: RoleRow) => boolean;
  readonly password: string;
}

async function ensureRole(connection: LocalConnection, wanted: RoleWanted): Promise<void> {
  const [role] = await connection.query<RoleRow>(ROLE, {
    values: [wanted.name],
    timeoutMs: TIMEOUT_MS,
  });
  const hasPassword = isVerifierOf(role?.rolpassword ?? null, wanted.password);
  if (role !== undefined && wanted.isRight(role) && hasPassword) return;
  const verb = role === undefined ? 'create' : 'alter';
  const password = hasPassword ? '' : ` password '${scramVerifier(wanted.password)}'`;
  await run(connection, `${verb} role ${quoteName(wanted.name)} ${wanted.options}${password}`);
}

async function ensureReplicationRights(connection: LocalConnection): Promise<void> {
  for (const name of REPLICATION_FUNCTIONS) {
    const [row] = await connection.query<{ granted: boolean }>(MAY_EXECUTE, {
      values: [REPLICATION_ROLE, name, 'execute'],
      timeoutMs: TIMEOUT_MS,
    });
    if (row?.granted === true) continue;
    await run(connection, `grant execute on function ${name} to ${quoteName(REPLICATION_ROLE)}`);
  }
}

/** Only a missing database is made: who owns an existing one is the user's affair. */
async function ensureDatabase(
  connection: LocalConnection,
  database: string,
  owner: string,
): Promise<void> {
  const [row] = await connection.query(DATABASE_OWNER, {
    values: [database],
    timeoutMs: TIMEOUT_MS,
  });
  if (row !== undefined) return;
  await run(connection, `create database ${quoteName(database)} owner ${quoteName(owner)}`);
}

async function run(connection: LocalConnection, statement: string): Promise<void> {
  await connection.query(statement, { timeoutMs: TIMEOUT_MS });
}
