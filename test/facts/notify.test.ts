import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { openClient } from "../helpers/openClient.ts";
import { makeStockQueue, type StockQueue } from "../helpers/stock/queue.ts";
import { startStockWorker } from "../helpers/stock/startStockWorker.ts";
import { uniqueName } from "../helpers/uniqueName.ts";
import { until } from "../helpers/until.ts";

// NOTIFY and LISTEN know no rights. Who may connect may send on every channel and read it.

/** A login with no rights of its own; gone when the test ends. */
async function strangerTo(queue: StockQueue): Promise<pg.Client> {
  const name = uniqueName("stranger");
  const admin = new pg.Client(queue.adminUrl);
  await admin.connect();
  onTestFinished(async () => {
    await admin.query(`drop role ${name}`);
    await admin.end();
  });
  await admin.query(`create role ${name} login password 'test'`);
  const url = new URL(queue.url);
  url.username = name;
  url.password = "test";
  const stranger = await openClient(url.href);
  await expect(stranger.query("select from graphile_worker._private_jobs")).rejects.toThrow(
    "permission denied for schema graphile_worker",
  );
  return stranger;
}

test("a login without any right ends every worker with one NOTIFY, with exit code 57", async () => {
  const queue = await makeStockQueue();
  const stranger = await strangerTo(queue);
  const workers = await Promise.all([startStockWorker(queue.url), startStockWorker(queue.url)]);
  await until("both listen", async () => {
    const { rows } = await queue.pool.query(
      "select from pg_stat_activity where datname = $1 and query like 'LISTEN %' and state = 'idle'",
      [queue.name],
    );
    return rows.length === workers.length;
  });
  await stranger.query(`notify "worker:migrate", '{"breaking":true}'`);
  for (const worker of workers) expect(await worker.ended).toEqual({ code: 57, signal: null });
});

test("a login without any right reads what is sent on graphile-worker's channel", async () => {
  const queue = await makeStockQueue();
  const stranger = await strangerTo(queue);
  const heard = new Promise<pg.Notification>((resolve) => stranger.on("notification", resolve));
  await stranger.query(`listen "jobs:insert"`);
  await queue.addJob("quick");
  const { channel, payload } = await heard;
  expect(channel).toBe("jobs:insert");
  expect(JSON.parse(payload ?? "")).toMatchObject({ count: 1 });
});
