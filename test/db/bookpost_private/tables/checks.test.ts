import { expect, test } from "vitest";
import { rolledBack } from "../../../helpers/database.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

test.each([
  [
    "neither a next look nor a reason",
    "next_check_at = null, pause_reason = null",
    "checks_next_look_or_reason",
  ],
  ["a next look and a reason", "pause_reason = 'quarantined'", "checks_next_look_or_reason"],
  [
    "a reason that is not in the list",
    "next_check_at = null, pause_reason = 'holiday'",
    "checks_pause_reason_is_known",
  ],
  ["a next look and nobody to ask", "api_code = null", "checks_due_needs_an_api"],
  ["an API that does not exist", "api_code = 'hermes'", "checks_api_code_fkey"],
  ["an outcome that is not in the list", "last_outcome = 'fine'", "checks_last_outcome_fkey"],
])("a check cannot have %s", async (_, change, constraint) => {
  const client = await rolledBack(db);
  await trackBook(client, "ups");
  expect(await tryOut(client, `update bookpost_private.checks set ${change}`)).toMatchObject({
    constraint,
  });
});

test("an API that still has parcels cannot be deleted from under them", async () => {
  const client = await rolledBack(db);
  await trackBook(client, "ups");
  expect(
    await tryOut(client, "delete from bookpost.carrier_apis where code = 'ups'"),
  ).toMatchObject({ code: expect.stringMatching(/^23/), constraint: "checks_api_code_fkey" });
});
