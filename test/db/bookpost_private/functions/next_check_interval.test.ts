import { expect, test } from "vitest";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();

test("for every outcome, status and count the wait is a real one: not null, not negative, at most a day", async () => {
  const { rows } = await db.pool.query(
    `select o.outcome, s.status, u as unchanged_count, f as failure_count, i.wait::text
     from bookpost_private.lookup_outcomes o
     cross join bookpost.parcel_statuses s
     cross join unnest(array[0, 1, 12, 100, 2147483647]) u
     cross join unnest(array[0, 1, 2, 20, 21, 2147483647]) f
     cross join lateral (select bookpost_private.next_check_interval(o.outcome, s.status, u, f) as wait) i
     where i.wait is null or i.wait < '0' or i.wait > '1 day'`,
  );
  expect(rows).toEqual([]);
});

test("longer silence never means a sooner look, nor do more failures", async () => {
  const { rows } = await db.pool.query(
    `select o.outcome, s.status, n
     from bookpost_private.lookup_outcomes o
     cross join bookpost.parcel_statuses s
     cross join generate_series(1, 60) n
     where bookpost_private.next_check_interval(o.outcome, s.status, n, n)
       < bookpost_private.next_check_interval(o.outcome, s.status, n - 1, n - 1)
       and n > 1`,
  );
  expect(rows).toEqual([]);
});
