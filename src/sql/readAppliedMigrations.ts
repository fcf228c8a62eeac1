import type { Queryable } from "../db/withTransaction.ts";

export interface AppliedMigration {
  readonly filename: string;
  readonly hash: string;
}

/** What the database says it has, in order; empty before the first migration. */
export async function readAppliedMigrations(db: Queryable): Promise<AppliedMigration[]> {
  const { rows: found } = await db.query<{ found: boolean }>(
    "select to_regclass('graphile_migrate.migrations') is not null as found",
  );
  if (!found[0]?.found) return [];
  const { rows } = await db.query<AppliedMigration>(
    "select filename, hash from graphile_migrate.migrations order by filename",
  );
  return rows;
}
