import { expect, test } from "vitest";
import type { Queryable } from "../../src/db/withTransaction.ts";
import type { TestDatabase } from "./database.ts";

/** Fails where something is busy beyond its time, or a live parcel is not explained by exactly one row. */
export async function expectQuiet(db: Queryable): Promise<void> {
  const { rows: stuck } = await db.query("select * from bookpost_ops.stuck");
  expect(stuck).toEqual([]);
  const { rows: unexplained } = await db.query(
    `select p.id, count(w.parcel_id)::integer as rows, min(w.reason) as reason
     from bookpost.parcels p left join bookpost_ops.why w on w.parcel_id = p.id
     where p.closed_at is null
     group by p.id having count(w.parcel_id) <> 1 or min(w.reason) is null`,
  );
  expect(unexplained).toEqual([]);
}

/** Put last in a file: what its tests left behind is explained and moves. */
export function testThatAllIsQuiet(db: TestDatabase): void {
  test("at the end nothing is stuck and every live parcel has exactly one reason", async () => {
    await expectQuiet(db.pool);
  });
}
