import pg from "pg";
import { onTestFinished } from "vitest";
import type { TestDatabase } from "./database.ts";

export type ApiRole = "bookpost_visitor" | "bookpost_member" | "bookpost_operator";

/** A connection through the API's own login; with `role` in a transaction, as the API does for each request. */
export async function apiClient(
  db: TestDatabase,
  options: { readonly role?: ApiRole; readonly userId?: string } = {},
): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: db.apiUrl });
  onTestFinished(() => client.end());
  await client.connect();
  await client.query("begin");
  if (options.userId)
    await client.query("select set_config('bookpost.user_id', $1, true)", [options.userId]);
  if (options.role) await client.query(`set local role ${options.role}`);
  return client;
}
