import fc from "fast-check";
import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import { rolledBack } from "../../../helpers/database.ts";
import { one } from "../../../helpers/one.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();

const LONDON = "Europe/London";

async function quietEnd(
  client: ClientBase,
  zone: string,
  from: string | null,
  until: string | null,
  at: string,
): Promise<string | null> {
  const { end } = await one<{ end: Date | null }>(
    client,
    `with person as (
       insert into bookpost.users (time_zone, quiet_from, quiet_until) values ($1, $2, $3) returning *
     )
     select bookpost_private.quiet_end(p, $4) as end from person p`,
    [zone, from, until, at],
  );
  return end?.toISOString().slice(0, 16) ?? null;
}

test.each([
  ["without quiet hours", null, null, "2026-11-20T23:00Z", null],
  ["a minute before them", "13:00", "15:00", "2026-11-20T12:59Z", null],
  ["at their begin", "13:00", "15:00", "2026-11-20T13:00Z", "2026-11-20T15:00"],
  ["in the last minute", "13:00", "15:00", "2026-11-20T14:59Z", "2026-11-20T15:00"],
  ["at their end", "13:00", "15:00", "2026-11-20T15:00Z", null],
  ["before those over midnight", "22:00", "07:00", "2026-11-20T21:59Z", null],
  ["in the evening", "22:00", "07:00", "2026-11-20T22:00Z", "2026-11-21T07:00"],
  ["at midnight", "22:00", "07:00", "2026-11-21T00:00Z", "2026-11-21T07:00"],
  ["in the morning", "22:00", "07:00", "2026-11-21T06:59Z", "2026-11-21T07:00"],
  ["when those over midnight end", "22:00", "07:00", "2026-11-21T07:00Z", null],
  ["up to midnight", "22:00", "00:00", "2026-11-20T23:30Z", "2026-11-21T00:00"],
  ["from midnight", "00:00", "07:00", "2026-11-21T00:00Z", "2026-11-21T07:00"],
  ["in summer", "22:00", "07:00", "2026-07-20T22:00Z", "2026-07-21T06:00"],
  [
    "in the night in which summer time begins",
    "22:00",
    "07:00",
    "2027-03-27T23:00Z",
    "2027-03-28T06:00",
  ],
  [
    "in the night in which summer time ends",
    "22:00",
    "07:00",
    "2027-10-30T22:00Z",
    "2027-10-31T07:00",
  ],
  [
    "before an end that the clock leaps over",
    "22:00",
    "01:30",
    "2027-03-28T00:45Z",
    "2027-03-28T01:30",
  ],
  ["after that leap", "22:00", "01:30", "2027-03-28T01:00Z", null],
])("%s", async (_, from, until, at, end) => {
  expect(await quietEnd(await rolledBack(db), LONDON, from, until, at)).toBe(end);
});

test.each([
  ["Pacific/Kiritimati", "2026-11-20T09:00Z", "2026-11-20T17:00"],
  ["America/New_York", "2026-11-20T09:00Z", "2026-11-20T12:00"],
  ["Asia/Kolkata", "2026-11-20T17:00Z", "2026-11-21T01:30"],
])("the hours are those of %s", async (zone, at, end) => {
  expect(await quietEnd(await rolledBack(db), zone, "22:00", "07:00", at)).toBe(end);
});

const ZONES = [
  LONDON,
  "Pacific/Kiritimati",
  "America/St_Johns",
  "Australia/Lord_Howe",
  "Pacific/Apia",
  "UTC",
];

test("whatever the zone and the hours: quiet exactly where her clock lies between them, and over within 25 hours", async () => {
  const client = await rolledBack(db);
  const minute = fc.integer({ min: 0, max: 1439 });
  const clock = (m: number) =>
    `${String(Math.floor(m / 60)).padStart(2, "0")}:${String(m % 60).padStart(2, "0")}`;
  const cases = fc
    .sample(
      fc.record({
        zone: fc.constantFrom(...ZONES),
        from: minute,
        until: minute,
        // Minutes: the years 2011 (Apia left a day out) to 2030.
        at: fc.integer({ min: 21_600_000, max: 31_560_000 }),
      }),
      2000,
    )
    .filter(({ from, until }) => from !== until);
  const { rows } = await client.query(
    `with cases as (
       select t.* from jsonb_to_recordset($1) t (zone text, quiet_from time, quiet_until time, at timestamptz)
     ),
     ends as (
       select c.*, (c.at at time zone c.zone)::time as clock, bookpost_private.quiet_end(
         jsonb_populate_record(null::bookpost.users,
           jsonb_build_object('time_zone', c.zone, 'quiet_from', c.quiet_from, 'quiet_until', c.quiet_until)), c.at) as quiet_until_at
       from cases c
     )
     select * from ends e
     where (e.quiet_until_at is not null) <> (
         (e.quiet_from < e.quiet_until and e.clock >= e.quiet_from and e.clock < e.quiet_until)
         or (e.quiet_from > e.quiet_until and not (e.clock >= e.quiet_until and e.clock < e.quiet_from))
       )
       or e.quiet_until_at > e.at + interval '25 hours'`,
    [
      JSON.stringify(
        cases.map(({ zone, from, until, at }) => ({
          zone,
          quiet_from: clock(from),
          quiet_until: clock(until),
          at: new Date(at * 60_000).toISOString(),
        })),
      ),
    ],
  );
  expect(rows).toEqual([]);
});
