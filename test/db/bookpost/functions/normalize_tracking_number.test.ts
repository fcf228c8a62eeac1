import { expect, test } from "vitest";
import { one } from "../../../helpers/one.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();

test.each([
  ["1z 999 aa1 01 2345 6784", "1Z999AA10123456784"],
  [" JD-0140-0000 \n", "JD01400000"],
  ["\t1Z999\r\n", "1Z999"],
  ["1Z999", "1Z999"],
  ["", ""],
  [null, null],
])("%j is stored as %j", async (written, stored) => {
  expect(
    await one(db.pool, "select bookpost.normalize_tracking_number($1) as stored", [written]),
  ).toEqual({ stored });
});

test("normalising twice changes nothing more", async () => {
  const { once, twice } = await one<{ once: string; twice: string }>(
    db.pool,
    `select bookpost.normalize_tracking_number(n) as once,
       bookpost.normalize_tracking_number(bookpost.normalize_tracking_number(n)) as twice
     from (values (' a-B c1 ')) v (n)`,
  );
  expect(twice).toBe(once);
});
