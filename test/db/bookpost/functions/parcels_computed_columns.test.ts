import { expect, test } from "vitest";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { failed, found } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

const FRESHNESS = `select bookpost.parcels_last_looked_at(p) is not null as was_looked,
  bookpost.parcels_next_look_at(p) is not null as will_look, bookpost.parcels_did_last_look_work(p) as worked
  from bookpost.parcels p where id = $1`;

test("people see whether the carrier was asked, is asked again, and answered", async () => {
  const client = await rolledBack(db);
  const { code } = await makeApi(client);
  const { parcelId, bookId } = await trackBook(client, code);
  const freshness = () => one(client, FRESHNESS, [parcelId]);
  expect(await freshness()).toEqual({ was_looked: false, will_look: true, worked: null });
  await lookUp(client, parcelId, (id) => failed(id, "unavailable"));
  expect(await freshness()).toEqual({ was_looked: true, will_look: true, worked: false });
  await lookUp(client, parcelId, (id) => failed(id, "not_found"));
  expect(await freshness()).toEqual({ was_looked: true, will_look: true, worked: true });
  await client.query("select bookpost.stop_tracking($1)", [bookId]);
  expect(await freshness()).toEqual({ was_looked: true, will_look: false, worked: true });
});

test("the page is the one the carrier named, else the owner's link, else the carrier's usual one", async () => {
  const client = await rolledBack(db);
  const { code } = await makeApi(client);
  await client.query(
    "update bookpost.carriers set tracking_page = 'https://example.com/t/{number}' where code = $1",
    [code],
  );
  const { parcelId, number } = await trackBook(client, code);
  const page = () =>
    one(
      client,
      "select bookpost.parcels_tracking_page(p) as page from bookpost.parcels p where id = $1",
      [parcelId],
    );
  expect(await page()).toEqual({ page: `https://example.com/t/${number}` });
  await client.query(
    "select bookpost.track_book('A book', $1, $2, tracking_url => 'https://example.com/mine')",
    [code, number],
  );
  expect(await page()).toEqual({ page: "https://example.com/mine" });
  await lookUp(client, parcelId, (id) => found(id, { tracking_url: "https://example.com/theirs" }));
  expect(await page()).toEqual({ page: "https://example.com/theirs" });
});
