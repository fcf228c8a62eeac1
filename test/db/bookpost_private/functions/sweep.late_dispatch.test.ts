import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import { dispatch } from "../../../../src/sql/dispatch.ts";
import { sweep } from "../../../../src/sql/sweep.ts";
import { dispatchedAgo } from "../../../helpers/dispatchedAgo.ts";
import { one } from "../../../helpers/one.ts";
import { openClient } from "../../../helpers/openClient.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { testRule } from "../../../helpers/testRule.ts";
import { untilItWaits } from "../../../helpers/untilItWaits.ts";

const db = testDatabase();

const SWEEP = "bookpost_private.sweep";

async function dispatchesAskedFor(client: ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ key: string }>(
    "select key from graphile_worker.jobs where task_identifier = 'dispatch' order by id",
  );
  return rows.map(({ key }) => key);
}

testRule(
  db,
  "a dispatch is asked for 65 seconds after the last one, once, and not before",
  async (client) => {
    // In one message, so that no second can pass in between.
    await client.query(
      `update bookpost_private.dispatch_clock set dispatched_at = clock_timestamp() - interval '63 seconds';
       select bookpost_private.sweep()`,
    );
    expect(await dispatchesAskedFor(client)).toEqual([]);
    await dispatchedAgo(client, "65 seconds");
    for (let i = 0; i < 3; i++) await sweep(client);
    expect(await dispatchesAskedFor(client)).toEqual(["dispatch:late"]);
  },
  {
    "a minute is enough": { function: SWEEP, from: "'65 seconds'", to: "'60 seconds'" },
    "nobody asks": { function: SWEEP, from: "'65 seconds'", to: "'66 minutes'" },
  },
);

testRule(
  db,
  "a last dispatch in the future, since the clock was set back, asks for one too",
  async (client) => {
    await dispatchedAgo(client, "-4 seconds");
    await sweep(client);
    expect(await dispatchesAskedFor(client)).toEqual([]);
    await dispatchedAgo(client, "-1 hour");
    await sweep(client);
    expect(await dispatchesAskedFor(client)).toEqual(["dispatch:late"]);
  },
  {
    "the future is as good as now": {
      function: SWEEP,
      from: "between v_now - interval '65 seconds' and v_now + interval '5 seconds'",
      to: ">= v_now - interval '65 seconds'",
    },
  },
);

testRule(
  db,
  "one that is running already, or waits to be tried again, is not asked for again",
  async (client) => {
    await dispatchedAgo(client, "2 minutes");
    await sweep(client);
    await client.query(
      "update graphile_worker._private_jobs set locked_by = 'a worker', locked_at = now(), attempts = 1 where key = 'dispatch:late'",
    );
    await sweep(client);
    expect(await dispatchesAskedFor(client)).toEqual(["dispatch:late"]);
  },
  {
    "nobody looks": {
      function: SWEEP,
      from: "where j.key = 'dispatch:late' and j.attempts < j.max_attempts",
      to: "where false",
    },
  },
);

testRule(
  db,
  "one that has failed for good does not stand in the way of the next",
  async (client) => {
    await dispatchedAgo(client, "2 minutes");
    await sweep(client);
    await client.query(
      "select graphile_worker.permanently_fail_jobs(array(select id from graphile_worker.jobs where key = 'dispatch:late'), 'x')",
    );
    await sweep(client);
    expect(
      await one(
        client,
        "select attempts::integer from graphile_worker.jobs where key = 'dispatch:late'",
      ),
    ).toEqual({ attempts: 0 });
  },
  {
    "any of that name is enough": {
      function: SWEEP,
      from: "where j.key = 'dispatch:late' and j.attempts < j.max_attempts",
      to: "where j.key = 'dispatch:late'",
    },
  },
);

testRule(
  db,
  "a dispatch by the database's clock makes the next one due in a minute",
  async (client) => {
    await dispatchedAgo(client, "2 minutes");
    await dispatch(client);
    await client.query("delete from graphile_worker._private_jobs");
    await sweep(client);
    expect(await dispatchesAskedFor(client)).toEqual([]);
  },
  {
    "dispatch does not say that it was": {
      function: "bookpost_private.dispatch",
      from: "set dispatched_at = v_now where v_is_clamped;",
      to: "set dispatched_at = dispatched_at;",
    },
  },
);

testRule(
  db,
  "a dispatch that is late is not followed by another",
  async (client) => {
    await dispatchedAgo(client, "2 minutes");
    await dispatch(client);
    expect(await dispatchesAskedFor(client)).toEqual([]);
  },
  { "it asks for itself": { function: SWEEP, from: "elsif not is_thorough and", to: "elsif" } },
);

test("of two sweepers at once both ask, and one job comes of it", async () => {
  await dispatchedAgo(db.pool, "2 minutes");
  const [first, second] = [await openClient(db.url), await openClient(db.url)];
  await first.query("begin");
  await sweep(first);
  const sweeping = sweep(second);
  await untilItWaits(db.pool, second, sweeping);
  await first.query("commit");
  await sweeping;
  expect(await dispatchesAskedFor(second)).toEqual(["dispatch:late"]);
});
