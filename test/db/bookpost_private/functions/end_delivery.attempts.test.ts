import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import { beginDelivery } from "../../../../src/sql/beginDelivery.ts";
import { endDelivery } from "../../../../src/sql/endDelivery.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { one } from "../../../helpers/one.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();

/** A test message by email, to be sent now; the id. */
async function message(client: ClientBase, channel = "email"): Promise<string> {
  const { id: person } = await one<{ id: string }>(
    client,
    `insert into bookpost.users (email, phone_number, phone_verified_at, is_sms_wanted)
     values ('ann@example.org', '+442079460123', now(), true) returning id`,
  );
  const { id } = await one<{ id: string }>(
    client,
    "insert into bookpost_private.deliveries (user_id, channel, kind) values ($1, $2, 'test') returning id",
    [person, channel],
  );
  return id;
}

const rowOf = (client: ClientBase, id: string) =>
  one(
    client,
    "select state, attempt_count, failure_count, is_doubtful from bookpost_private.deliveries where id = $1",
    [id],
  );

async function begin(client: ClientBase, id: string): Promise<number> {
  const order = await beginDelivery(client, id, "worker");
  if (order.verdict !== "send") throw new Error(`it is not to be sent: ${order.reason}`);
  return order.attempt;
}

test("what an attempt tells counts only while it is the last, and once", async () => {
  const client = await rolledBack(db);
  const id = await message(client);
  const first = await begin(client, id);
  // Its worker was taken for dead.
  const second = await begin(client, id);
  for (const outcome of ["refused", "sent", "unavailable"])
    expect(await endDelivery(client, id, first, { outcome }), outcome).toBe(null);
  expect(await rowOf(client, id)).toMatchObject({ state: "sending", attempt_count: 2 });
  expect(await endDelivery(client, id, second, { outcome: "sent" })).toBe("sent");
  expect(await endDelivery(client, id, second, { outcome: "refused" })).toBe(null);
  expect(await rowOf(client, id)).toMatchObject({ state: "sent", attempt_count: 2 });
});

test.each([
  ["unanswered", true],
  ["unavailable", false],
  ["deferred", false],
])(
  "an email or a text message that was %s is doubtful: %s, and stays so when it is sent",
  async (outcome, isDoubtful) => {
    const client = await rolledBack(db);
    for (const channel of ["email", "sms"]) {
      const id = await message(client, channel);
      const attempt = await begin(client, id);
      expect(await endDelivery(client, id, attempt, { outcome })).toBe("queued");
      await client.query("delete from bookpost_private.routes");
      await client.query("update bookpost_private.deliveries set due_at = now()");
      await endDelivery(client, id, await begin(client, id), { outcome: "sent" });
      expect(await rowOf(client, id)).toMatchObject({
        state: "sent",
        failure_count: 1,
        is_doubtful: isDoubtful,
      });
    }
  },
);
