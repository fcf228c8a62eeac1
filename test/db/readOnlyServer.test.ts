import { expect, onTestFinished, test } from "vitest";
import { createPool, type PoolPurpose } from "../../src/db/pool.ts";
import { testDatabase } from "../helpers/testDatabase.ts";

const db = testDatabase();

/** A connection that only listens, and one whose server takes no writes any more. */
async function connect(purpose: PoolPurpose) {
  const pool = createPool(db.url, purpose);
  onTestFinished(() => pool.end());
  const listening = await pool.connect();
  const refused = await pool.connect();
  await listening.query("listen nothing");
  await refused.query("set default_transaction_read_only = on");
  const writing = refused.query("create table marks (id integer)");
  return { pool, listening, refused, writing };
}

test("a worker's pool lets go of all connections to a server that takes no writes, also of one that only listens", async () => {
  const { pool, listening, refused, writing } = await connect("worker");
  // NOTE: not `once`, which an error ends, and one precedes the end of a broken session.
  const ended = new Promise((resolve) => listening.on("end", () => resolve(null)));
  await expect(writing).rejects.toMatchObject({ code: "25006" });
  await ended;
  listening.release();
  refused.release();
  const { rows } = await pool.query("show default_transaction_read_only");
  expect(rows).toEqual([{ default_transaction_read_only: "off" }]);
});

test("the API's pool lets go of that one only", async () => {
  const { pool, listening, refused, writing } = await connect("api");
  await expect(writing).rejects.toMatchObject({ code: "25006" });
  refused.release();
  expect((await listening.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  listening.release();
  expect(pool.totalCount).toBe(1);
});
