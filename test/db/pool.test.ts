import type pg from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { createPool, type PoolPurpose } from "../../src/db/pool.ts";
import { withTransaction } from "../../src/db/withTransaction.ts";
import { startFaultline } from "../harness/faultline.ts";
import { one } from "../helpers/one.ts";
import { testDatabase } from "../helpers/testDatabase.ts";
import { until } from "../helpers/until.ts";

const db = testDatabase();

/** A pool of one purpose, closed when the test ends. */
function poolOf(purpose: PoolPurpose, options: { url?: string; max?: number } = {}): pg.Pool {
  const pool = createPool(options.url ?? db.url, purpose, { max: options.max ?? 1 });
  onTestFinished(() => pool.end());
  return pool;
}

const backendOf = async (db: pg.Pool | pg.ClientBase) =>
  (await one<{ pid: number }>(db as pg.Pool, "select pg_backend_pid() as pid")).pid;

/** In milliseconds; 0: no limit. */
type Limits = [statement: number, lock: number];

test.each<[PoolPurpose, ...Limits]>([
  ["queue", 5_000, 2_000],
  ["worker", 5_000, 2_000],
  ["housekeeping", 20_000, 5_000],
  ["heartbeat", 2_000, 1_000],
  ["api", 15_000, 5_000],
  ["cli", 60_000, 5_000],
  ["migrate", 60_000, 30_000],
])(
  "a connection of the %s pool is named so, and its limits are in force",
  async (purpose, statement, lock) => {
    const { rows } = await poolOf(purpose).query<{ name: string; setting: string }>(
      `select name, setting from pg_settings
     where name in ('application_name', 'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'TimeZone')`,
    );
    expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual({
      application_name: `bookpost ${purpose}`,
      statement_timeout: String(statement),
      lock_timeout: String(lock),
      idle_in_transaction_session_timeout: "15000",
      TimeZone: "UTC",
    });
  },
);

describe("a connection on which nothing comes back any more", () => {
  type Finally = (work: () => Promise<void>) => void;

  /** A pool of one connection, open, on which everything vanishes from now on; the next one will be well. */
  async function silenced(finish: Finally) {
    const line = await startFaultline(db.url);
    // The shortest patience of all.
    const pool = createPool(line.url(db.url), "heartbeat");
    finish(() => pool.end().finally(() => line.close()));
    const pid = await backendOf(pool);
    line.add({ type: "blackhole" }).remove();
    return { pool, pid };
  }

  test.concurrent.for<[string, (pool: pg.Pool) => Promise<unknown>]>([
    ["a statement of the pool's own", (pool) => pool.query("select 1")],
    [
      "a statement with a callback",
      (pool) =>
        new Promise((resolve, reject) => {
          pool.query("select 1", (error, result) => (error ? reject(error) : resolve(result)));
        }),
    ],
    [
      "a client's statement, when it is put back as if it were well",
      async (pool) => {
        const client = await pool.connect();
        try {
          return await client.query("select 1");
        } finally {
          client.release();
        }
      },
    ],
    [
      "a client's statement with a callback",
      async (pool) => {
        const client = await pool.connect();
        const { promise, resolve, reject } = Promise.withResolvers<unknown>();
        client.query("select 1", (error, result) => (error ? reject(error) : resolve(result)));
        return promise.finally(() => client.release());
      },
    ],
    ["a transaction", (pool) => withTransaction(pool, (client) => client.query("select 1"))],
  ])("fails in time and is not used again: %s", async ([_, ask], { onTestFinished: finish }) => {
    const { pool, pid } = await silenced(finish);
    await expect(ask(pool)).rejects.toThrow("Query read timeout");
    expect(await backendOf(pool)).not.toBe(pid);
  });

  test.concurrent("lets nobody wait a second time: what is asked of it next fails at once", async ({
    onTestFinished: finish,
  }) => {
    const { pool } = await silenced(finish);
    const client = await pool.connect();
    try {
      await expect(client.query("select 1")).rejects.toThrow("Query read timeout");
      await expect(client.query("rollback")).rejects.toThrow(/Connection terminated|not queryable/);
    } finally {
      client.release();
    }
  });
});

describe("a client of the queue's pool whose connection is lost", () => {
  async function lostClient() {
    const pool = poolOf("queue", { max: 2 });
    const client = await pool.connect();
    onTestFinished(() => client.release());
    const lost = new Promise<void>((resolve) => client.once("end", () => resolve()));
    await db.pool.query("select pg_terminate_backend($1)", [await backendOf(client)]);
    await lost;
    return client;
  }

  test.each([
    ["the end of a job", { name: "complete_job/graphile_worker", text: "select 1 as one" }],
    ["the failure of a job", { name: "fail_job/graphile_worker", text: "select 1 as one" }],
    ["a job given back", { name: "return_jobs/graphile_worker", text: "select 1 as one" }],
    [
      "its tasks' numbers",
      {
        text: "select 1 as one from graphile_worker._private_tasks as tasks right join (values (1)) on true",
      },
    ],
  ])("is asked once more on another: %s", async (_, statement) => {
    const client = await lostClient();
    expect((await client.query(statement)).rows).toEqual([{ one: 1 }]);
  });

  test("is not asked once more for what may be done once only", async () => {
    const client = await lostClient();
    await expect(client.query({ name: "get_job/x", text: "select 1" })).rejects.toThrow();
  });

  test("says at once what another connection would not change", async () => {
    const client = await poolOf("queue").connect();
    onTestFinished(() => client.release());
    await expect(
      client.query({ name: "complete_job/x", text: "select 1 / 0" }),
    ).rejects.toMatchObject({ code: "22012" });
  });
});

test("the queue's pool waits for a database that is away for a moment, and another pool says so at once", async () => {
  const line = await startFaultline(db.url);
  onTestFinished(() => line.close());
  await line.down();
  const waiting = poolOf("queue", { url: line.url(db.url) }).connect();
  // Before the line is up again.
  await expect(poolOf("worker", { url: line.url(db.url) }).connect()).rejects.toMatchObject({
    code: "ECONNREFUSED",
  });
  await line.up();
  const client = await waiting;
  onTestFinished(() => client.release());
  expect((await client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
});

test("a pool that cannot connect says so within its time, and works once it can", async () => {
  const line = await startFaultline(db.url);
  onTestFinished(() => line.close());
  const silence = line.add({ type: "blackhole" });
  const pool = poolOf("heartbeat", { url: line.url(db.url) });
  await expect(pool.query("select 1")).rejects.toThrow("timeout");
  silence.remove();
  expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
});

test("a statement that is merely refused costs no connection", async () => {
  const pool = poolOf("worker");
  const pid = await backendOf(pool);
  await expect(
    withTransaction(pool, (client) => client.query("select from no_such_table")),
  ).rejects.toThrow("no_such_table");
  const client = await pool.connect();
  await expect(client.query("select 1 / 0")).rejects.toThrow("division by zero");
  client.release();
  expect(await backendOf(pool)).toBe(pid);
});

test("a connection whose plan an altered column has made stale is not put back", async () => {
  const pool = poolOf("worker");
  await db.pool.query("create table changing (a integer)");
  const ask = { name: "ask", text: "select * from changing" };
  await pool.query(ask);
  const pid = await backendOf(pool);
  await db.pool.query("alter table changing add b integer");
  const client = await pool.connect();
  await expect(client.query(ask)).rejects.toMatchObject({ code: "0A000" });
  client.release();
  expect((await pool.query(ask)).fields).toHaveLength(2);
  expect(await backendOf(pool)).not.toBe(pid);
});

test("connections that the server ends, one idle and one in hand, do not end the process", async () => {
  const errors: string[] = [];
  const pool = createPool(db.url, "worker", {
    max: 2,
    onError: (error) => errors.push(error.message),
  });
  onTestFinished(() => pool.end());
  const inHand = await pool.connect();
  const idle = await pool.connect();
  const pids = [await backendOf(inHand), await backendOf(idle)];
  idle.release();
  const lost = new Promise((resolve) => inHand.once("end", () => resolve(null)));
  await db.pool.query("select pg_terminate_backend(unnest($1::integer[]))", [pids]);
  await lost;
  await until("the pool has thrown the idle one away", async () => pool.totalCount === 1);
  expect(errors.length).toBeGreaterThanOrEqual(2);
  inHand.release();
  expect(pids).not.toContain(await backendOf(pool));
});

test("what takes too long, or waits for a lock for too long, is broken off by the server, and the connection stays", async () => {
  const client = await poolOf("heartbeat").connect();
  onTestFinished(() => client.release());
  const holder = await db.pool.connect();
  onTestFinished(() => holder.release());
  const pid = await backendOf(client);
  await holder.query("begin; lock table bookpost_private.workers in access exclusive mode");
  await expect(client.query("select from bookpost_private.workers")).rejects.toMatchObject({
    code: "55P03",
  });
  await holder.query("rollback");
  await expect(client.query("select pg_sleep(60)")).rejects.toMatchObject({ code: "57014" });
  expect(await backendOf(client)).toBe(pid);
});
