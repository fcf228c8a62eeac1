import type pg from "pg";
import { expect } from "vitest";
import { recordLookups } from "../../../src/sql/recordLookups.ts";
import { ago } from "../../helpers/ago.ts";
import { lookUp, permitFor } from "../../helpers/lookUp.ts";
import { makeApi } from "../../helpers/makeApi.ts";
import { parcelOf } from "../../helpers/parcelOf.ts";
import { found, scan } from "../../helpers/reports.ts";
import { tableDigests } from "../../helpers/tableDigests.ts";
import { trackBook } from "../../helpers/trackBook.ts";

// The shortest run of each promise, for the saboteurs: passes where the SQL is right.

const DELIVERED = { events: [scan(ago(1), "delivered")] };

/** A book goes, gets another number or is marked as cancelled while a lookup flies: the answer changes nothing. */
export async function changedWhileAsked(
  client: pg.ClientBase,
  how: "delete" | "correct" | "cancel",
): Promise<void> {
  const api = await makeApi(client);
  const { bookId, parcelId } = await trackBook(client, api.code, { appBookId: "b-1" });
  const lookupId = await permitFor(client, parcelId, api.workerId);
  if (how === "delete") await client.query("delete from bookpost.books where id = $1", [bookId]);
  if (how === "correct")
    await trackBook(client, api.code, { appBookId: "b-1", number: "CORRECTED1" });
  if (how === "cancel")
    await client.query("select bookpost.mark_book($1, 'cancelled', 'it was not sent')", [bookId]);
  const except = ["bookpost_private.workers"];
  const before = await tableDigests(client, { except });
  await recordLookups(client, [found(lookupId, DELIVERED)], api.workerId);
  expect(await tableDigests(client, { except })).toEqual(before);
}

/** A number's earlier life changes nothing; the new life counts at once, and so does a day that is said. */
export async function toldOfEarlierLife(client: pg.ClientBase): Promise<void> {
  const api = await makeApi(client);
  const day = 24;
  const { parcelId, number } = await trackBook(client, api.code, { appBookId: "b-1" });
  const answer = (events: Record<string, unknown>[]) =>
    lookUp(client, parcelId, (id) =>
      found(id, { events, status: "delivered", signed_by: "SOMEBODY ELSE" }),
    );
  const earlier = scan(ago(15 * day), "exception");
  await answer([earlier]);
  expect(await parcelOf(client, parcelId)).toMatchObject({ status: "pending", signed_by: null });
  await answer([earlier, scan(ago(1), null)]);
  expect((await parcelOf(client, parcelId)).status).toBe("unknown");
  await trackBook(client, api.code, {
    appBookId: "b-1",
    number,
    sentOn: ago(16 * day).slice(0, 10),
  });
  expect((await parcelOf(client, parcelId)).status).toBe("exception");
  await answer([earlier, scan(ago(13 * day), "in_transit")]);
  expect((await parcelOf(client, parcelId)).status).toBe("in_transit");
}
