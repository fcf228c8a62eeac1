import { expect, test } from "vitest";
import type { Queryable } from "../../src/db/withTransaction.ts";
import { stuckThings, unexplainedParcels } from "../harness/judgeDatabase.ts";
import type { TestDatabase } from "./database.ts";

/** Fails where something is busy beyond its time, or a live parcel is not explained by exactly one row. */
export async function expectQuiet(db: Queryable): Promise<void> {
  expect(await stuckThings(db)).toEqual([]);
  expect(await unexplainedParcels(db)).toEqual([]);
}

/** Put last in a file: what its tests left behind is explained and moves. */
export function testThatAllIsQuiet(db: TestDatabase): void {
  test("at the end nothing is stuck and every live parcel has exactly one reason", async () => {
    await expectQuiet(db.pool);
  });
}
