import type pg from "pg";
import { expect } from "vitest";
import { recordLookups } from "../../../src/sql/recordLookups.ts";
import { releaseLookups } from "../../../src/sql/releaseLookups.ts";
import { ageCircuit } from "../../helpers/ageing.ts";
import type { TestDatabase } from "../../helpers/database.ts";
import { lookUp, permitFor } from "../../helpers/lookUp.ts";
import { type ApiLimits, makeApi, type TestApi } from "../../helpers/makeApi.ts";
import { openClient } from "../../helpers/openClient.ts";
import { failed, found } from "../../helpers/reports.ts";
import { trackBook } from "../../helpers/trackBook.ts";
import { untilItWaits } from "../../helpers/untilItWaits.ts";

/** Two APIs in the order of their codes, which is the order of their locks; made, and so stored, the other way round. */
export async function twoApis(
  db: TestDatabase,
  limits: ApiLimits = {},
): Promise<[TestApi, TestApi]> {
  for (;;) {
    const [b, a] = [await makeApi(db.pool, limits), await makeApi(db.pool, limits)];
    if (a.code < b.code) return [a, b];
  }
}

/** Someone who has an API's budget locked until he rolls back. */
export async function holdBudget(db: TestDatabase, apiCode: string): Promise<pg.Client> {
  const holder = await openClient(db.url);
  await holder.query("begin");
  await holder.query("select from bookpost_private.budgets where api_code = $1 for update", [
    apiCode,
  ]);
  return holder;
}

const call = (kind: string) => ({ kind, http_status: 200, age_ms: 1, duration_ms: 1 });

/** Permits of two APIs are given back while a batch of both is recorded. Fails on a deadlock (40P01). */
export async function giveBackWhileRecorded(db: TestDatabase): Promise<void> {
  const [a, b] = await twoApis(db, { failure_threshold: 1 });
  const early = await permitFor(db.pool, (await trackBook(db.pool, a.code)).parcelId);
  const spoiler = await trackBook(db.pool, a.code);
  await lookUp(db.pool, spoiler.parcelId, (id) => failed(id, "unavailable"));
  await ageCircuit(db.pool, a.code, "31 minutes");
  const probe = await permitFor(db.pool, (await trackBook(db.pool, a.code)).parcelId);
  const unused = await permitFor(db.pool, (await trackBook(db.pool, b.code)).parcelId);
  const costly = await permitFor(db.pool, (await trackBook(db.pool, b.code)).parcelId);

  const holder = await holdBudget(db, b.code);
  const recorder = await openClient(db.url);
  const releaser = await openClient(db.url);
  const recorded = recordLookups(
    recorder,
    [failed(early, "unavailable"), found(costly, { calls: [call("token"), call("lookup")] })],
    "worker",
  );
  await untilItWaits(db.pool, recorder, recorded);
  const released = releaseLookups(releaser, [probe, unused], "late");
  await untilItWaits(db.pool, releaser, released);
  await holder.query("rollback");
  expect(await recorded).toHaveLength(2);
  expect(await released).toBe(2);
}
