import type pg from "pg";
import { inject, onTestFinished } from "vitest";
import { cloneTemplate, type TestDatabase } from "./template.ts";

export type { TestDatabase };

/** Clones the template. Call in `beforeAll`, `drop()` in `afterAll`. */
export function createTestDatabase(): Promise<TestDatabase> {
  return cloneTemplate({
    adminUrl: inject("adminUrl"),
    ownerUrl: inject("ownerUrl"),
    apiUrl: inject("apiUrl"),
  });
}

/** A client in a transaction that is rolled back when the test ends; `role` as the API would set it. */
export async function rolledBack(
  db: TestDatabase,
  options: { role?: string; userId?: string } = {},
): Promise<pg.PoolClient> {
  const client = await db.pool.connect();
  onTestFinished(async () => {
    await client.query("rollback");
    client.release();
  });
  await client.query("begin");
  if (options.userId)
    await client.query("select set_config('bookpost.user_id', $1, true)", [options.userId]);
  if (options.role) await client.query(`set local role ${options.role}`);
  return client;
}
