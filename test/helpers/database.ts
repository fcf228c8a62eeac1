import type pg from "pg";
import { expect, inject, onTestFinished } from "vitest";
import { stuckThings } from "../harness/judgeDatabase.ts";
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

/**
 * A client in a transaction that is rolled back when the test ends; `role` as
 * the API would set it. Before that it is asked whether something is stuck,
 * unless the test leaves something so on purpose.
 */
export async function rolledBack(
  db: TestDatabase,
  options: { role?: string; userId?: string; leavesStuck?: boolean } = {},
): Promise<pg.PoolClient> {
  const client = await db.pool.connect();
  onTestFinished(async () => {
    // A test that ends with an error of the database's has no transaction left to ask in.
    const stuck = await client
      .query("reset role")
      .then(() => stuckThings(client))
      .catch(() => []);
    await client.query("rollback");
    client.release();
    // Workers are rows here, and rows keep no schedule.
    const things = stuck.filter(({ kind }) => kind !== "dispatch");
    if (!options.leavesStuck) expect(things, "something is stuck at the end").toEqual([]);
  });
  await client.query("begin");
  if (options.userId)
    await client.query("select set_config('bookpost.user_id', $1, true)", [options.userId]);
  if (options.role) await client.query(`set local role ${options.role}`);
  return client;
}
