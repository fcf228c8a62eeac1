import { expect, test } from "vitest";
import { ago } from "../../../helpers/ago.ts";
import { testThatAllIsQuiet } from "../../../helpers/allIsQuiet.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { found, scan } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

test("each unlisted code of each carrier is one row with its number of scans; listed codes are not there", async () => {
  const client = await rolledBack(db);
  const [one, two] = [await makeApi(client), await makeApi(client)];
  const unlisted = (hours: number, raw_code: string) =>
    scan(ago(hours), null, {
      raw_code,
      identity: `${hours} ${raw_code}`,
      is_code_listed: false,
      description: "Held",
    });
  const tell = async (code: string, events: Record<string, unknown>[]) =>
    lookUp(client, (await trackBook(client, code)).parcelId, (id) => found(id, { events }));
  await tell(one.code, [unlisted(9, "Z1"), unlisted(8, "Z1"), scan(ago(7), "in_transit")]);
  await tell(one.code, [unlisted(6, "Z1"), unlisted(5, "Z2"), scan(ago(4), null)]);
  await tell(two.code, [unlisted(9, "Z1")]);
  const { rows } = await client.query(
    "select carrier_code, raw_code, scans, description from bookpost_ops.unmapped_codes",
  );
  const sorted = rows.toSorted((a, b) =>
    `${a.carrier_code}${a.raw_code}`.localeCompare(`${b.carrier_code}${b.raw_code}`),
  );
  expect(sorted).toEqual(
    [
      { carrier_code: one.code, raw_code: "Z1", scans: 3, description: "Held" },
      { carrier_code: one.code, raw_code: "Z2", scans: 1, description: "Held" },
      { carrier_code: two.code, raw_code: "Z1", scans: 1, description: "Held" },
    ].toSorted((a, b) =>
      `${a.carrier_code}${a.raw_code}`.localeCompare(`${b.carrier_code}${b.raw_code}`),
    ),
  );
});

testThatAllIsQuiet(db);
