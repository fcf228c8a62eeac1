import { expect, test } from "vitest";
import { testDatabase } from "../helpers/testDatabase.ts";

const db = testDatabase();

test("nothing of ours notifies: no text of a carrier's can get into a payload", async () => {
  const { rows } = await db.pool.query(
    `select p.oid::regprocedure::text as function from pg_proc p
     where p.pronamespace::regnamespace::text like 'bookpost%' and p.prosrc ~* '\\m(pg_notify|notify)\\M'`,
  );
  expect(rows).toEqual([]);
});
