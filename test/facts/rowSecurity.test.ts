import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { openClient } from "../helpers/openClient.ts";
import { makeStockQueue, type StockQueue } from "../helpers/stock/queue.ts";
import { startStockWorker } from "../helpers/stock/startStockWorker.ts";
import { uniqueName } from "../helpers/uniqueName.ts";
import { until } from "../helpers/until.ts";

// The queue's tables have row security on and no policy: their rows are there for their owner only.

/** The queue's address for a login that may do everything to the queue's tables but does not own them. */
async function grantEverything(queue: StockQueue): Promise<string> {
  const name = uniqueName("worker");
  const admin = new pg.Client(queue.adminUrl);
  await admin.connect();
  onTestFinished(async () => {
    await admin.query(`drop owned by ${name}; drop role ${name}`);
    await admin.end();
  });
  await admin.query(`
    create role ${name} login password 'test';
    grant all on schema graphile_worker to ${name};
    grant all on all tables in schema graphile_worker to ${name};
    grant all on all sequences in schema graphile_worker to ${name};
    grant all on all functions in schema graphile_worker to ${name};
  `);
  const url = new URL(queue.url);
  url.username = name;
  url.password = "test";
  return url.href;
}

const REFUSAL = "new row violates row-level security policy for table";

test("a login with every grant that does not own the queue counts no job in it", async () => {
  const queue = await makeStockQueue();
  const stranger = await openClient(await grantEverything(queue));
  await queue.addJob("quick");
  const count = "select count(*)::int as jobs from graphile_worker._private_jobs";
  expect((await stranger.query(count)).rows).toEqual([{ jobs: 0 }]);
  expect((await queue.pool.query(count)).rows).toEqual([{ jobs: 1 }]);
});

test("the worker of such a login does no job and prints no error: its polls fail unheard, as events", async () => {
  const queue = await makeStockQueue();
  const blind = await startStockWorker(await grantEverything(queue));
  const jobId = await queue.addJob("quick");
  for (let polls = 0; polls < 3; polls += 1) {
    const { error } = await blind.untilTold("worker:getJob:error", { since: blind.events.length });
    expect(error).toContain(`${REFUSAL} "_private_tasks"`);
  }
  expect(blind.isAlive()).toBe(true);
  expect(blind.output()).toContain("Worker connected and looking for jobs...");
  expect(blind.output()).not.toMatch(/error|warn|violates/i);
  expect(await queue.job(jobId)).toMatchObject({ attempts: 0, is_available: true });

  await startStockWorker(queue.url);
  await until("the owner's worker does it", async () => (await queue.job(jobId)) === null);
});

test("with a cron line that is new the worker of such a login prints an error, of the cron alone", async () => {
  const queue = await makeStockQueue();
  const blind = await startStockWorker(await grantEverything(queue), {
    worker: { crontab: "* * * * * quick" },
  });
  await blind.untilTold("worker:getJob:error");
  await until("it prints the error", async () =>
    blind.output().includes(`${REFUSAL} "_private_known_crontabs"`),
  );
  expect(blind.output()).not.toContain("_private_tasks");
});
