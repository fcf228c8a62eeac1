import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { openLine } from "../helpers/stock/openLine.ts";
import { makeStockQueue } from "../helpers/stock/queue.ts";
import { startStockWorker } from "../helpers/stock/startStockWorker.ts";
import { until } from "../helpers/until.ts";

// A link of which both ends stay open while nothing gets through.

/** So often does the stock worker ask for jobs here. */
const POLL_MS = 100;
/** Chosen: many times over what a worker that noticed anything would have needed. */
const POLLS_MISSED = 30;

test("a worker whose links are dead asks for nothing, reports nothing and lives on, until they are destroyed", async () => {
  const queue = await makeStockQueue();
  const line = await openLine(queue.url);
  const worker = await startStockWorker(line.address, { tickMs: POLL_MS });
  await worker.untilTold("worker:getJob:empty");
  line.blackhole();
  const jobId = await queue.addJob("quick");
  const before = worker.events.length;
  const ticks = () => worker.events.slice(before).filter(({ name }) => name === "tick").length;
  await until("its own clock has gone on", async () => ticks() >= POLLS_MISSED);

  const told = worker.events.slice(before).map(({ name }) => name);
  // It may have begun one request, and that has no end.
  expect(told.filter((name) => name === "worker:getJob:start").length).toBeLessThanOrEqual(1);
  expect(new Set(told).difference(new Set(["tick", "worker:getJob:start"]))).toEqual(new Set());
  expect(worker.isAlive()).toBe(true);
  expect(await queue.job(jobId)).toMatchObject({ attempts: 0, is_available: true });

  line.cut();
  await until("the job is done", async () => (await queue.job(jobId)) === null);
});

/** A pool of one connection, the link of which is dead; a later connection would be well. */
async function poolOverADeadLink() {
  const queue = await makeStockQueue();
  const line = await openLine(queue.url);
  const pool = new pg.Pool({ connectionString: line.address, max: 1, query_timeout: 200 });
  pool.on("error", () => {});
  onTestFinished(() => {
    line.cut();
    return pool.end();
  });
  await pool.query("select 1");
  line.blackhole();
  return pool;
}

/** Asks with a client of the pool's and gives it back: to be used again, or to be destroyed when it did not answer. */
async function ask(pool: pg.Pool, afterwards: "reuse" | "destroy"): Promise<string> {
  const client = await pool.connect();
  const answer = await client.query("select 1").then(
    () => "answered",
    (error: Error) => error.message,
  );
  client.release(afterwards === "destroy" && answer !== "answered");
  return answer;
}

test("query_timeout alone does not heal a pool: the dead client is handed out again", async () => {
  const pool = await poolOverADeadLink();
  for (let round = 0; round < 3; round += 1)
    expect(await ask(pool, "reuse")).toBe("Query read timeout");
  expect(pool.totalCount).toBe(1);
});

test("a pool whose client is destroyed on a timeout is well at the next query", async () => {
  const pool = await poolOverADeadLink();
  expect(await ask(pool, "destroy")).toBe("Query read timeout");
  expect(await ask(pool, "destroy")).toBe("answered");
});
