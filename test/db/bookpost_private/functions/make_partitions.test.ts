import { randomUUID } from "node:crypto";
import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import { makePartitions } from "../../../../src/sql/makePartitions.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { one } from "../../../helpers/one.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();

/** Partitions of all ledgers, with those that lack protection listed apart. */
function partitions(client: ClientBase) {
  return one<{ count: number; bare: string[] | null }>(
    client,
    `select count(*)::integer as count,
       array_agg(c.relname) filter (where not c.relrowsecurity or not c.relforcerowsecurity) as bare
     from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where c.relnamespace = 'bookpost_private'::regnamespace and c.relkind = 'r'`,
  );
}

const LOOK = `insert into bookpost_private.lookups
  (id, parcel_id, batch_id, api_code, generation, is_probe, worker_id, started_at, finished_at, outcome, calls)
  values ($1, $1, $1, 'ups', 1, false, 'w', now(), now() + $2::interval, 'updated', 1)`;

test("made twice they are made once, and every one is protected", async () => {
  const client = await rolledBack(db);
  const before = await partitions(client);
  expect(before.bare).toBeNull();
  await makePartitions(client);
  expect(await partitions(client)).toEqual(before);
  await client.query("select bookpost_private.make_partitions(5)");
  expect(await partitions(client)).toEqual({ count: before.count + 9, bare: null });
});

test("a row of this month lies in this month's partition", async () => {
  const client = await rolledBack(db);
  await client.query(LOOK, [randomUUID(), "0"]);
  expect(
    await one(
      client,
      "select tableoid::regclass::text ~ to_char(now() at time zone 'UTC', 'YYYY_MM') as fits from bookpost_private.lookups",
    ),
  ).toEqual({ fits: true });
});

test("rows that fell outside while nobody made partitions move into theirs, and none is lost", async () => {
  const client = await rolledBack(db);
  for (const ahead of ["100 days", "110 days", "130 days", "-400 days"])
    await client.query(LOOK, [randomUUID(), ahead]);
  await client.query("select bookpost_private.make_partitions(6)");
  expect(
    await one(
      client,
      `select count(*)::integer as rows, count(*) filter (where tableoid = 'bookpost_private.lookups_default'::regclass)::integer as outside
       from bookpost_private.lookups`,
    ),
  ).toEqual({ rows: 4, outside: 1 });
});

test("months are those of UTC, whatever the session's zone", async () => {
  const client = await rolledBack(db);
  await client.query("set local time zone 'Pacific/Kiritimati'");
  await client.query("select bookpost_private.make_partitions(8)");
  await client.query("set local time zone 'UTC'");
  const { rows } = await client.query<{ bound: string }>(
    `select pg_get_expr(c.relpartbound, c.oid) as bound from pg_class c
     where c.relname ~ '^lookups_[0-9]' and c.relispartition and c.relkind = 'r'`,
  );
  for (const { bound } of rows)
    expect(bound).toMatch(
      /FROM \('\d{4}-\d\d-01 00:00:00\+00'\) TO \('\d{4}-\d\d-01 00:00:00\+00'\)/,
    );
});
