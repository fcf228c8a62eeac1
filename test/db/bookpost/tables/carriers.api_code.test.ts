import { expect, test } from "vitest";
import { rolledBack } from "../../../helpers/database.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();
const CHECK =
  "select api_code, pause_reason, next_check_at <= clock_timestamp() as is_due from bookpost_private.checks where parcel_id = $1";

test("parcels under way follow when their carrier is asked through another API, or through none", async () => {
  const client = await rolledBack(db);
  const own = await makeApi(client);
  const aggregator = await makeApi(client);
  const { parcelId } = await trackBook(client, own.code);
  const askThrough = (code: string | null) =>
    client.query("update bookpost.carriers set api_code = $2 where code = $1", [own.code, code]);

  await askThrough(aggregator.code);
  expect(await one(client, CHECK, [parcelId])).toEqual({
    api_code: aggregator.code,
    pause_reason: null,
    is_due: true,
  });
  await askThrough(null);
  expect(await one(client, CHECK, [parcelId])).toEqual({
    api_code: null,
    pause_reason: "no_api",
    is_due: null,
  });
  await askThrough(own.code);
  expect(await one(client, CHECK, [parcelId])).toEqual({
    api_code: own.code,
    pause_reason: null,
    is_due: true,
  });
});
