import { expect, test } from "vitest";
import type { Message } from "../../../src/notifications/message.ts";
import { beginDelivery } from "../../../src/sql/beginDelivery.ts";
import { one } from "../../helpers/one.ts";
import { openClients } from "../../helpers/openClient.ts";
import { refusalOf } from "../../helpers/refusal.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { untilItWaits } from "../../helpers/untilItWaits.ts";

const db = testDatabase();

const REQUEST = "select bookpost.request_phone_verification($1) as id";

async function addPerson(phoneNumber: string): Promise<string> {
  await db.pool.query(
    "update bookpost_private.channels set is_configured = true where channel = 'sms'",
  );
  const sql = "insert into bookpost.users (phone_number) values ($1) returning id";
  return (await one<{ id: string }>(db.pool, sql, [phoneNumber])).id;
}

test("of two people who ask at once for a number's last code of the day, one gets it", async () => {
  const phone = "+447400123456";
  for (let i = 0; i < 9; i++) await db.pool.query(REQUEST, [await addPerson(phone)]);
  const [ann, ben] = [await addPerson(phone), await addPerson(phone)];
  const [first, second] = await openClients(db.url, 2);
  if (!first || !second) throw new Error("there are not two");
  await first.query("begin");
  await first.query(REQUEST, [ann]);
  const refused = refusalOf(second.query(REQUEST, [ben]));
  await untilItWaits(db.pool, second, refused);
  await first.query("commit");
  expect(await refused).toMatchObject({ code: "BP409" });
});

test("a number that is changed while its code goes out is not proved by it, nor is the new one", async () => {
  const [hers, victims] = ["+447400200001", "+447400300002"];
  const person = await addPerson(victims);
  const { id } = await one<{ id: string }>(db.pool, REQUEST, [person]);
  const [worker, app] = await openClients(db.url, 2);
  if (!worker || !app) throw new Error("there are not two");
  // The worker is made to wait for the row in the middle of it, after it has read the person.
  await app.query("begin");
  await app.query(
    "select from bookpost_private.phone_verifications where user_id = $1 for update",
    [person],
  );
  const begun = beginDelivery(worker, id, "worker");
  await untilItWaits(db.pool, worker, begun);
  await app.query("update bookpost.users set phone_number = $2 where id = $1", [person, hers]);
  await app.query("commit");
  const order = await begun;
  if (order.verdict !== "send") throw new Error(`it was not sent: ${order.reason}`);
  const { person: addressee, code } = order.message as Message;
  expect(addressee?.phoneNumber).toBe(victims);
  // Even whoever reads it on the wrong phone proves nothing by it.
  const sql = "select bookpost.verify_phone_number($1, $2) as is_right";
  expect(await one(db.pool, sql, [person, code])).toEqual({ is_right: false });
});
