import type pg from "pg";
import { expect, test } from "vitest";
import { one } from "../helpers/one.ts";
import { openClients } from "../helpers/openClient.ts";
import { makeStockQueue } from "../helpers/stock/queue.ts";

// At READ COMMITTED, the default, a count that is read and then written loses what was counted between.

const CLIENTS = 20;
const ROUNDS = 10;

/** A count of failures and twenty clients. */
async function makeCount() {
  const { url, pool } = await makeStockQueue();
  await pool.query(
    "create table circuits (failure_count int not null); insert into circuits values (0)",
  );
  const read = async (client: pg.Client | pg.Pool) =>
    (await one<{ count: number }>(client, "select failure_count as count from circuits")).count;
  return { clients: await openClients(url, CLIENTS), read, total: () => read(pool) };
}

test("of 200 failures that 20 clients count by reading and then writing, 10 are recorded", async () => {
  const { clients, read, total } = await makeCount();
  for (let round = 0; round < ROUNDS; round += 1) {
    // All have read before any writes: the worst that may happen, every time.
    const counts = await Promise.all(clients.map(read));
    await Promise.all(
      clients.map((client, i) =>
        client.query("update circuits set failure_count = $1", [(counts[i] ?? 0) + 1]),
      ),
    );
  }
  expect(await total()).toBe(ROUNDS);
});

test("of 200 failures that 20 clients count in one statement each, 200 are recorded", async () => {
  const { clients, total } = await makeCount();
  for (let round = 0; round < ROUNDS; round += 1)
    await Promise.all(
      clients.map((client) =>
        client.query("update circuits set failure_count = failure_count + 1"),
      ),
    );
  expect(await total()).toBe(CLIENTS * ROUNDS);
});
