import { expect, test } from "vitest";
import { withTransaction } from "../../../src/db/withTransaction.ts";
import { startSandbox } from "../../../src/sandbox/server.ts";
import { ago } from "../../helpers/ago.ts";
import { createTestDatabase } from "../../helpers/database.ts";
import { one } from "../../helpers/one.ts";
import { trackBook } from "../../helpers/trackBook.ts";
import { until } from "../../helpers/until.ts";
import { startWorkerProcess } from "../../helpers/workerProcess.ts";
import { environmentOf, makeRoom } from "../kills/run.ts";
import { startReceivers } from "../receivers.ts";

const PARCELS = 2_000;

test("two thousand parcels that came home a week ago tell nobody, and one that moves now does", {
  timeout: 600_000,
}, async ({ onTestFinished }) => {
  const db = await createTestDatabase();
  onTestFinished(() => db.drop());
  const sandbox = await startSandbox();
  onTestFinished(() => sandbox.close());
  const receivers = await startReceivers();
  onTestFinished(() => receivers.close());
  await makeRoom(db);
  const worker = await startWorkerProcess(db, {
    ...environmentOf(sandbox),
    ...receivers.environment,
  });
  onTestFinished(async () => void (await worker.stop()));
  await until("email can be sent", async () => {
    const sql = "select is_configured from bookpost_private.channels where channel = 'email'";
    return (await one<{ is_configured: boolean }>(db.pool, sql)).is_configured;
  });
  const { secret } = await one<{ secret: string }>(
    db.pool,
    "select secret from bookpost.add_webhook($1)",
    [receivers.url],
  );
  receivers.trust(secret);
  const { id: owner } = await one<{ id: string }>(
    db.pool,
    "insert into bookpost.users (email) values ('emma@example.org') returning id",
  );

  for (let i = 0; i < PARCELS; i++) {
    const number = `LX${String(i).padStart(9, "0")}FR`;
    sandbox.script(number, {
      shown: 3,
      steps: [
        { stage: "in_transit", at: ago(24 * 9) },
        { stage: "out_for_delivery", at: ago(24 * 7 + 4) },
        { stage: "delivered", at: ago(24 * 7) },
      ],
    });
    // In one commit: its parcel may be looked up, and closed, before it is read back.
    await withTransaction(db.pool, (client) =>
      trackBook(client, i % 2 === 0 ? "ups" : "fedex", { number, owner }),
    );
  }
  await db.pool.query("select bookpost_private.wake_dispatch()");
  await until(
    "every parcel is known to be delivered",
    async () => {
      const sql = "select count(*)::integer as n from bookpost.parcels where status = 'delivered'";
      return (await one<{ n: number }>(db.pool, sql)).n === PARCELS;
    },
    480_000,
  );

  const fresh = "LX999999999FR";
  sandbox.script(fresh, { steps: [{ stage: "in_transit", at: ago(1) }] });
  await trackBook(db.pool, "ups", { number: fresh, owner, title: "Emma" });
  await db.pool.query("select bookpost_private.wake_dispatch()");
  await until("its news have arrived", async () => receivers.arrivals.length >= 2, 60_000);
  const { rows } = await db.pool.query(
    `select n.status, (select count(*)::integer from bookpost_private.deliveries) as messages from bookpost.notifications n`,
  );
  expect(rows).toEqual([{ status: "in_transit", messages: 2 }]);
  expect(receivers.arrivals.map(({ channel }) => channel).toSorted()).toEqual(["email", "webhook"]);
});
