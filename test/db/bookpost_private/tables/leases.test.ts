import { expect, test } from "vitest";
import { rolledBack } from "../../../helpers/database.ts";
import { permitFor } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

const COPY = `insert into bookpost_private.leases
  select ($1::uuid), gen_random_uuid(), batch_id, api_code, generation, is_probe, worker_id, started_at, call_at, lease_until, calls
  from bookpost_private.leases`;

test("a parcel cannot have two leases", async () => {
  const client = await rolledBack(db);
  const { code } = await makeApi(client);
  const { parcelId } = await trackBook(client, code);
  await permitFor(client, parcelId);
  expect(await tryOut(client, COPY, [parcelId])).toMatchObject({
    code: "23505",
    constraint: "leases_pkey",
  });
});

test("two parcels cannot share one lookup id", async () => {
  const client = await rolledBack(db);
  const { code } = await makeApi(client);
  const { parcelId } = await trackBook(client, code);
  const other = await trackBook(client, code);
  await permitFor(client, parcelId);
  expect(
    await tryOut(client, COPY.replace("gen_random_uuid()", "lookup_id"), [other.parcelId]),
  ).toMatchObject({ code: "23505", constraint: "leases_lookup_id_is_unique" });
});

test("a lease cannot end before it starts", async () => {
  const client = await rolledBack(db);
  const { code } = await makeApi(client);
  const { parcelId } = await trackBook(client, code);
  await permitFor(client, parcelId);
  expect(
    await tryOut(client, "update bookpost_private.leases set lease_until = started_at"),
  ).toMatchObject({ constraint: "leases_ends_after_it_starts" });
});
