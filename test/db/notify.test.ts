import { expect, test } from "vitest";
import { testDatabase } from "../helpers/testDatabase.ts";

const db = testDatabase();

/** Each function of ours that notifies, with all that it does. */
async function notifying(): Promise<{ function: string; body: string }[]> {
  const { rows } = await db.pool.query<{ function: string; body: string }>(
    `select p.oid::regprocedure::text as function, btrim(p.prosrc) as body from pg_proc p
     where p.pronamespace::regnamespace::text like 'bookpost%' and p.prosrc ~* '\\m(pg_notify|notify)\\M'`,
  );
  return rows;
}

test("what notifies carries nothing: no text of a carrier's can get into a payload", async () => {
  expect(await notifying()).toEqual([
    {
      function: "bookpost_private.wake_listeners()",
      body: "select pg_catalog.pg_notify('bookpost:changed', '')",
    },
  ]);
});
