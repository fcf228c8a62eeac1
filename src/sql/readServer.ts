import type { Queryable } from "../db/withTransaction.ts";

export interface ServerFacts {
  /** "18.4" */
  readonly version: string;
  readonly majorVersion: number;
  readonly login: string;
  readonly database: string;
  readonly isReplica: boolean;
  /** Roles of migrations/roles.sql that are not there. */
  readonly missingRoles: readonly string[];
  /** False: this login may not do the worker's work. */
  readonly isWorker: boolean;
}

/** Where we are logged in and what that login may do. Needs no schema of ours. */
export async function readServer(db: Queryable): Promise<ServerFacts> {
  const { rows } = await db.query<ServerFacts>(
    `select
      current_setting('server_version') as version,
      current_setting('server_version_num')::integer / 10000 as "majorVersion",
      session_user as login,
      current_database() as database,
      pg_is_in_recovery() as "isReplica",
      array(
        select r.name
        from unnest(array[
          'bookpost_visitor', 'bookpost_member', 'bookpost_operator', 'bookpost_worker', 'bookpost_authenticator'
        ]) with ordinality r (name, place)
        where to_regrole(r.name) is null
        order by r.place
      ) as "missingRoles",
      coalesce(pg_has_role(session_user, to_regrole('bookpost_worker'), 'usage'), false) as "isWorker"`,
  );
  return rows[0] as ServerFacts;
}
