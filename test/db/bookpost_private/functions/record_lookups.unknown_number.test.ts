import { expect, test } from "vitest";
import { ageParcel } from "../../../helpers/ageing.ts";
import { ago } from "../../../helpers/ago.ts";
import { circuitOf } from "../../../helpers/circuitOf.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { checkOf, parcelOf } from "../../../helpers/parcelOf.ts";
import { failed, found, scan } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

const DAY = 86_400;

test("a number unknown for 40 days is pending, asked for ever more seldom, no carrier's fault, and listed after 30", async () => {
  const client = await rolledBack(db);
  const api = await makeApi(client);
  const { parcelId } = await trackBook(client, api.code);
  const waits: number[] = [];
  for (let passed = 0; passed < 40 * DAY; ) {
    await lookUp(client, parcelId, (id) => failed(id, "not_found"), api.workerId);
    expect((await parcelOf(client, parcelId)).status).toBe("pending");
    expect(await circuitOf(client, api.code)).toMatchObject({
      state: "closed",
      consecutive_failures: 0,
    });
    const { rows } = await client.query("select kind from bookpost_ops.needs_person");
    expect({ passed, rows }).toEqual({
      passed,
      rows: passed < 30 * DAY ? [] : [{ kind: "not_found" }],
    });
    const { wait } = await checkOf(client, parcelId);
    waits.push(wait);
    passed += wait;
    await ageParcel(client, parcelId, `${wait} seconds`);
  }
  // A tenth either way is jitter, so one wait may be nine elevenths of the one before it and no less.
  const shorter = waits.filter((wait, i) => wait < ((waits[i - 1] ?? 0) * 9) / 11 - 1);
  expect(shorter).toEqual([]);
  expect(waits[0]).toBeLessThan(0.25 * DAY);
  for (const wait of waits.slice(-20)) {
    expect(wait).toBeGreaterThan(0.8 * DAY);
    expect(wait).toBeLessThan(1.2 * DAY);
  }
  // Known at last, it is like any other.
  await lookUp(
    client,
    parcelId,
    (id) => found(id, { events: [scan(ago(1), "in_transit")] }),
    api.workerId,
  );
  expect((await parcelOf(client, parcelId)).status).toBe("in_transit");
  expect((await client.query("select kind from bookpost_ops.needs_person")).rows).toEqual([]);
});
