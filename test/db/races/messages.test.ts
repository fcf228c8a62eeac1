import { expect, test } from "vitest";
import { beginDelivery } from "../../../src/sql/beginDelivery.ts";
import { endDelivery } from "../../../src/sql/endDelivery.ts";
import type { TestDatabase } from "../../helpers/database.ts";
import { lookUp } from "../../helpers/lookUp.ts";
import { makeApi } from "../../helpers/makeApi.ts";
import { makeUser } from "../../helpers/makeUser.ts";
import { openClient } from "../../helpers/openClient.ts";
import { found, scan } from "../../helpers/reports.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { trackBook } from "../../helpers/trackBook.ts";
import { untilItWaits } from "../../helpers/untilItWaits.ts";

const db = testDatabase();

/** A queued email to someone of its own. */
async function queuedEmail(pool: TestDatabase["pool"]): Promise<{ owner: string; id: string }> {
  const owner = await makeUser(pool);
  await pool.query("update bookpost.users set email = 'ann@example.com' where id = $1", [owner]);
  const { rows } = await pool.query<{ id: string }>(
    "insert into bookpost_private.deliveries (user_id, channel, kind) values ($1, 'email', 'test') returning id",
    [owner],
  );
  return { owner, id: rows[0]?.id ?? "" };
}

test("a message that is begun while its person is being deleted waits for that, and is gone", async () => {
  const { owner, id } = await queuedEmail(db.pool);
  const [app, worker] = [await openClient(db.url), await openClient(db.url)];
  await app.query("begin");
  await app.query("select from bookpost.users where id = $1 for update", [owner]);
  const begun = beginDelivery(worker, id, "worker");
  await untilItWaits(db.pool, worker, begun);
  await app.query("delete from bookpost.users where id = $1", [owner]);
  await app.query("commit");
  expect(await begun).toMatchObject({ verdict: "ended", reason: "gone" });
});

test("the end of a message whose person is being deleted waits for that, and changes nothing", async () => {
  const { owner, id } = await queuedEmail(db.pool);
  const [app, worker] = [await openClient(db.url), await openClient(db.url)];
  expect(await beginDelivery(worker, id, "worker")).toMatchObject({ verdict: "send" });
  await app.query("begin");
  await app.query("select from bookpost.users where id = $1 for update", [owner]);
  const ended = endDelivery(worker, id, 1, { outcome: "no_such_address" });
  await untilItWaits(db.pool, worker, ended);
  await app.query("delete from bookpost.users where id = $1", [owner]);
  await app.query("commit");
  expect(await ended).toBeNull();
});

test("an app that is deleting a webhook for long holds up no lookup, and nothing is queued for it", async () => {
  const api = await makeApi(db.pool);
  const { parcelId, bookId } = await trackBook(db.pool, api.code);
  const { rows } = await db.pool.query<{ endpoint_id: string }>(
    "select endpoint_id from bookpost.add_webhook('https://example.com/hook')",
  );
  const app = await openClient(db.url);
  await app.query("begin");
  await app.query("delete from bookpost.webhook_endpoints where id = $1", [rows[0]?.endpoint_id]);
  await lookUp(db.pool, parcelId, (id) =>
    found(id, { events: [scan(new Date().toISOString(), "in_transit")] }),
  );
  await app.query("commit");
  const { rows: told } = await db.pool.query(
    "select count(*)::integer as told from bookpost.notifications where book_id = $1",
    [bookId],
  );
  expect(told).toEqual([{ told: 1 }]);
});

test("of two workers that begin one message at once, both in turn, only the later one's end counts", async () => {
  const { id } = await queuedEmail(db.pool);
  const [first, second] = [await openClient(db.url), await openClient(db.url)];
  await first.query("begin");
  expect(await beginDelivery(first, id, "first")).toMatchObject({ attempt: 1 });
  const begun = beginDelivery(second, id, "second");
  await untilItWaits(db.pool, second, begun);
  await first.query("commit");
  expect(await begun).toMatchObject({ verdict: "send", attempt: 2 });
  expect(await endDelivery(first, id, 1, { outcome: "sent" })).toBeNull();
  expect(await endDelivery(second, id, 2, { outcome: "sent" })).toBe("sent");
});
