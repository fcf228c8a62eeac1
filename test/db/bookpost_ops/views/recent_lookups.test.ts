import { expect, test } from "vitest";
import { testThatAllIsQuiet } from "../../../helpers/allIsQuiet.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { failed, found } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

test("the newest lookups come first, with their parcel, also after the parcel is deleted", async () => {
  const client = await rolledBack(db);
  const { code } = await makeApi(client);
  const { parcelId, number } = await trackBook(client, code);
  await lookUp(client, parcelId, (id) => found(id));
  await lookUp(client, parcelId, (id) => failed(id, "unavailable", { error_code: "TIMEOUT" }));
  const recent = async () =>
    (
      await client.query(
        "select outcome, error_code, tracking_number, calls from bookpost_ops.recent_lookups",
      )
    ).rows;
  expect(await recent()).toEqual([
    { outcome: "unavailable", error_code: "TIMEOUT", tracking_number: number, calls: 1 },
    { outcome: "updated", error_code: null, tracking_number: number, calls: 1 },
  ]);
  await client.query("delete from bookpost.parcels where id = $1", [parcelId]);
  expect(await recent()).toHaveLength(2);
});

testThatAllIsQuiet(db);
