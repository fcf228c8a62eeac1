import { expect, test } from "vitest";
import { dispatch } from "../../../src/sql/dispatch.ts";
import { testThatAllIsQuiet } from "../../helpers/allIsQuiet.ts";
import { jobsOf } from "../../helpers/jobsOf.ts";
import { makeApi } from "../../helpers/makeApi.ts";
import { openClient, openClients } from "../../helpers/openClient.ts";
import { dueParcels } from "../../helpers/permits.ts";
import { refusalOf } from "../../helpers/refusal.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { untilItWaits } from "../../helpers/untilItWaits.ts";

const db = testDatabase();

test("a second dispatch waits for the first and finds what fell due meanwhile; a third has nothing to do", async () => {
  const { code } = await makeApi(db.pool);
  const early = await dueParcels(db.pool, code, 3);
  const first = await openClient(db.url);
  const second = await openClient(db.url);
  const third = await openClient(db.url);
  await first.query("begin");
  await dispatch(first);

  const late = await dueParcels(db.pool, code, 2);
  const waiting = dispatch(second);
  await untilItWaits(db.pool, second, waiting);
  expect(await dispatch(third)).toEqual([]);
  await first.query("commit");

  expect((await waiting).find(({ apiCode }) => apiCode === code)?.dispatched).toBe(2);
  expect(await jobsOf(db.pool, ...early, ...late)).toHaveLength(5);
});

test("one that gives up waiting leaves its place to the next", async () => {
  const first = await openClient(db.url);
  const second = await openClient(db.url);
  const third = await openClient(db.url);
  await first.query("begin");
  await dispatch(first);
  await second.query("set lock_timeout = '100ms'");
  expect(await refusalOf(dispatch(second))).toMatchObject({ code: "55P03" });
  await second.query("set lock_timeout = 0; set statement_timeout = '100ms'");
  expect(await refusalOf(dispatch(second))).toMatchObject({ code: "57014" });

  const waiting = dispatch(third);
  await untilItWaits(db.pool, third, waiting);
  await first.query("rollback");
  expect((await waiting).length).toBeGreaterThan(0);
  const { rows } = await db.pool.query(
    "select pid from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())",
  );
  expect(rows).toEqual([]);
});

test("one that dies half-way leaves nothing, and the next does it all", async () => {
  const { code } = await makeApi(db.pool);
  const parcelIds = await dueParcels(db.pool, code, 4);
  const dying = await openClient(db.url);
  await dying.query("begin");
  await dispatch(dying);
  const { processID } = dying as unknown as { processID: number };
  const ended = new Promise((resolve) => dying.once("end", resolve));
  await db.pool.query("select pg_terminate_backend($1)", [processID]);
  await ended;
  expect(await jobsOf(db.pool, ...parcelIds)).toHaveLength(0);
  await dispatch(db.pool);
  expect(await jobsOf(db.pool, ...parcelIds)).toHaveLength(4);
});

test("ten at once queue each due parcel once", async () => {
  const { code } = await makeApi(db.pool);
  const parcelIds = await dueParcels(db.pool, code, 50);
  const clients = await openClients(db.url, 10);
  const ends = await Promise.all(clients.map((client) => dispatch(client)));
  const counts = ends.flat().filter(({ apiCode }) => apiCode === code);
  expect(counts.reduce((sum, { dispatched }) => sum + dispatched, 0)).toBe(50);
  expect(await jobsOf(db.pool, ...parcelIds)).toHaveLength(50);
});

testThatAllIsQuiet(db);
