import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Queryable } from "../db/withTransaction.ts";
import { readAppliedMigrations } from "../sql/readAppliedMigrations.ts";

const COMMITTED = join(import.meta.dirname, "../../migrations/committed");

/** How a database stands to this version's migrations, by file number ("000007.sql"). */
export interface MigrationState {
  readonly applied: readonly string[];
  /** This version has them, the database not yet. */
  readonly pending: readonly string[];
  /** The database has them in another form, or this version does not know them. */
  readonly strange: readonly string[];
}

/** Compares; changes nothing. A database that was never migrated has all of them pending. */
export async function migrationState(db: Queryable): Promise<MigrationState> {
  const known = new Map<string, string>();
  for (const name of (await readdir(COMMITTED)).filter((file) => file.endsWith(".sql")).sort()) {
    const text = await readFile(join(COMMITTED, name), "utf8");
    known.set(`${name.slice(0, 6)}.sql`, /^--! Hash: (.+)$/m.exec(text)?.[1] ?? "");
  }
  const applied = await readAppliedMigrations(db);
  const names = new Set(applied.map(({ filename }) => filename));
  return {
    applied: [...names],
    pending: [...known.keys()].filter((name) => !names.has(name)),
    strange: applied
      .filter(({ filename, hash }) => known.get(filename) !== hash)
      .map(({ filename }) => filename),
  };
}
