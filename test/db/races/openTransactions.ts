import type pg from "pg";
import { expect } from "vitest";
import { acquireLookups } from "../../../src/sql/acquireLookups.ts";
import { recordLookups } from "../../../src/sql/recordLookups.ts";
import type { TestDatabase } from "../../helpers/database.ts";
import { withoutWaiting } from "../../helpers/endsOrWaits.ts";
import { permitFor } from "../../helpers/lookUp.ts";
import { makeApi } from "../../helpers/makeApi.ts";
import { openClient } from "../../helpers/openClient.ts";
import { found } from "../../helpers/reports.ts";
import { type TrackedBook, trackBook } from "../../helpers/trackBook.ts";

/** Two parcels, and an app in the middle of a transaction in which it has asked for a look at the first. */
async function oneHeldOneFree(
  db: TestDatabase,
): Promise<{ held: TrackedBook; free: TrackedBook; openApp: () => Promise<pg.Client> }> {
  const { code } = await makeApi(db.pool);
  const held = await trackBook(db.pool, code);
  const free = await trackBook(db.pool, code);
  return {
    held,
    free,
    async openApp() {
      const app = await openClient(db.url);
      await app.query("begin");
      await app.query("select bookpost.refresh_book($1)", [held.bookId]);
      return app;
    },
  };
}

/** Permits are asked for while an app has one of the parcels: fails where the asker waits for it. */
export async function askBesideApp(db: TestDatabase): Promise<void> {
  const { held, free, openApp } = await oneHeldOneFree(db);
  const app = await openApp();
  const us = await openClient(db.url);
  const asked = acquireLookups(us, [held.parcelId, free.parcelId], "worker");
  const verdicts = await withoutWaiting(db.pool, us, asked);
  expect(verdicts.map(({ verdict }) => verdict)).toEqual(["busy", "permit"]);
  await app.query("rollback");
}

/** Lookups are recorded while an app has one of the parcels: fails where the recorder waits for it, or loses it. */
export async function recordBesideApp(db: TestDatabase): Promise<void> {
  const { held, free, openApp } = await oneHeldOneFree(db);
  const a = await permitFor(db.pool, held.parcelId);
  const b = await permitFor(db.pool, free.parcelId);
  const app = await openApp();
  const us = await openClient(db.url);
  const recorded = recordLookups(us, [found(a), found(b)], "worker");
  const ends = await withoutWaiting(db.pool, us, recorded);
  expect(new Map(ends.map(({ lookupId, outcome }) => [lookupId, outcome]))).toEqual(
    new Map([
      [a, "busy"],
      [b, "updated"],
    ]),
  );
  await app.query("rollback");
  // Nothing of it was written, so it can be sent again.
  expect(await recordLookups(us, [found(a)], "worker")).toMatchObject([{ outcome: "updated" }]);
}
