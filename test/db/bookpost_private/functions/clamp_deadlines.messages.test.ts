import type { ClientBase } from "pg";
import { expect } from "vitest";
import { dispatch } from "../../../../src/sql/dispatch.ts";
import { one } from "../../../helpers/one.ts";
import {
  attempt,
  begin,
  bookFor,
  configureChannels,
  deliveryOf,
  makeRecipient,
} from "../../../helpers/recipients.ts";
import { setClockBack } from "../../../helpers/setClockBack.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { testRule } from "../../../helpers/testRule.ts";

// A clock that was ahead and is set right leaves messages and ways with deadlines that nobody meant.

const db = testDatabase();

const CLAMP = "bookpost_private.clamp_deadlines";

async function oneMessage(client: ClientBase): Promise<string> {
  await configureChannels(client, "email");
  const [delivery] = await (await bookFor(client, await makeRecipient(client))).tell("in_transit");
  return delivery?.id ?? "";
}

/** It is due so long from now, and so is its job. */
async function putOff(client: ClientBase, id: string, by: string): Promise<void> {
  await client.query(
    "select bookpost_private.put_off_delivery($1, clock_timestamp() + $2::interval)",
    [id, by],
  );
}

const jobWait = async (client: ClientBase, id: string) =>
  (
    await one<{ wait: number }>(
      client,
      `select extract(epoch from run_at - clock_timestamp())::double precision as wait
       from graphile_worker.jobs where key = 'delivery:' || $1`,
      [id],
    )
  ).wait;

testRule(
  db,
  "a message that is further away than any wait can be is due at once, and so is its job",
  async (client) => {
    const id = await oneMessage(client);
    await putOff(client, id, "10 years");
    await dispatch(client);
    expect((await deliveryOf(client, id)).wait).toBeLessThanOrEqual(0);
    expect(await jobWait(client, id)).toBeLessThanOrEqual(0);
    expect(await attempt(client, id)).toBe("sent");
  },
  {
    "its job stays where it was": {
      function: CLAMP,
      from: "perform bookpost_private.add_delivery_jobs(v_messages);",
      to: "",
    },
    "it waits": {
      function: CLAMP,
      from: "where w.state in ('queued', 'sending') and w.due_at > v_now + interval '30 hours'",
      to: "where false",
    },
  },
);

testRule(
  db,
  "the longest wait that is meant, a day and a fifth to the next attempt, is kept",
  async (client) => {
    const id = await oneMessage(client);
    await putOff(client, id, "28 hours 48 minutes");
    await dispatch(client);
    expect((await deliveryOf(client, id)).wait).toBeGreaterThan(28.7 * 3_600);
    expect(await jobWait(client, id)).toBeGreaterThan(28.7 * 3_600);
  },
  {
    "a day is the most": [
      {
        function: CLAMP,
        from: "where d.due_at > v_now + interval '30 hours'",
        to: "where d.due_at > v_now + interval '24 hours'",
      },
      {
        function: CLAMP,
        from: "and w.due_at > v_now + interval '30 hours'",
        to: "and w.due_at > v_now + interval '24 hours'",
      },
    ],
  },
);

for (const [wait, isHeld] of [
  ["10 years", false],
  ["24 hours", true],
] as const)
  testRule(
    db,
    `a way that is held for ${wait} ${isHeld ? "stays held" : "is free at once"}`,
    async (client) => {
      const id = await oneMessage(client);
      await client.query(
        "insert into bookpost_private.routes (route, not_before) values ('email', clock_timestamp() + $1::interval)",
        [wait],
      );
      await dispatch(client);
      expect((await begin(client, id)).verdict).toBe(isHeld ? "wait" : "send");
    },
  );

testRule(
  db,
  "after the clock was set back by a year a message that waits is sent, at its first dispatch",
  async (client) => {
    const id = await oneMessage(client);
    await attempt(client, id, "unavailable");
    await dispatch(client);
    await setClockBack(client, "1 year");
    // As if it had been written by the clock that was ahead.
    await client.query(
      "update bookpost_private.deliveries set due_at = due_at + interval '1 year', created_at = created_at + interval '1 year' where due_at < clock_timestamp() + interval '1 month'",
    );
    await client.query(
      "update bookpost_private.routes set not_before = not_before + interval '1 year' where not_before < clock_timestamp() + interval '1 month'",
    );
    await dispatch(client);
    expect(await attempt(client, id)).toBe("sent");
  },
);
