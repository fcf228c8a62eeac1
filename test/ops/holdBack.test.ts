import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { createPool, isQueuePool } from "../../src/db/pool.ts";
import { holdBack } from "../../src/ops/holdBack.ts";
import { testDatabase } from "../helpers/testDatabase.ts";

const db = testDatabase();

/** Of one connection, so that who asks first gets it first. */
function poolOf(purpose: "queue" | "worker"): pg.Pool {
  const pool = createPool(db.url, purpose, { max: 1 });
  onTestFinished(() => pool.end());
  return pool;
}

const connectByCallback = (pool: pg.Pool) =>
  new Promise<void>((resolve, reject) =>
    pool.connect((error, _client, release) => {
      release();
      error ? reject(error) : resolve();
    }),
  );

test("who asks by promise waits for the opening, who asks by callback does not", async () => {
  const pool = poolOf("queue");
  const { promise: opening, resolve: open } = Promise.withResolvers<void>();
  holdBack(pool, opening);
  let isThrough = false;
  const waiting = pool.connect().then((client) => {
    isThrough = true;
    client.release();
  });
  await connectByCallback(pool);
  expect(isThrough).toBe(false);
  open();
  await waiting;
  const client = await pool.connect();
  expect((await client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  client.release();
});

test("the queue's pool is known as ours; another of ours, or an app's own, is not it", () => {
  const ofAnApp = new pg.Pool({ connectionString: db.url });
  onTestFinished(() => ofAnApp.end());
  expect([poolOf("queue"), poolOf("worker"), ofAnApp].map(isQueuePool)).toEqual([
    true,
    false,
    false,
  ]);
});
