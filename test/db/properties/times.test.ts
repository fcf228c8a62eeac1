import { expect, test } from "vitest";
import type { CarrierTime, TrackingEvent } from "../../../src/carriers/carrier.ts";
import { timeFromIso } from "../../../src/carriers/carrierTime.ts";
import { timeInZone } from "../../../src/carriers/timeInZone.ts";
import { rolledBack } from "../../helpers/database.ts";
import { learn } from "../../helpers/learn.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { scanAt, tracking } from "../../helpers/trackings.ts";

// Every kind of time that carriers write, read for every kind of zone. The judge of wall clocks is Postgres, whose
// tables of zones are not those of the program.

const db = testDatabase();

const ZONES = [
  "America/New_York",
  "America/Toronto",
  "America/St_Johns",
  "Europe/London",
  "Europe/Amsterdam",
  "Australia/Sydney",
  // Its clocks move by half an hour.
  "Australia/Lord_Howe",
  "Asia/Kathmandu",
  // It left out 30 December 2011.
  "Pacific/Apia",
];

/** Wall clocks without a zone. */
const WALL_CLOCKS = [
  ...["2026-01-15T00:00:00", "2026-01-15T12:30:45", "2026-07-15T12:30:45", "2026-12-31T23:59:59"],
  ...["2024-02-29T10:00:00", "2000-01-01T00:00:00", "1970-01-01T00:00:00", "1970-06-15T12:00:00"],
  ...["2038-01-19T03:14:08", "2099-12-31T23:59:59", "2025-03-05 11:20", "2025-03-05T11:20"],
  // Spring in North America, in Newfoundland at two as well: 02:00 becomes 03:00.
  ...["2026-03-08T01:59:59", "2026-03-08T02:00:00", "2026-03-08T02:30:00", "2026-03-08T02:59:59"],
  ...["2026-03-08T03:00:00", "2027-03-14T02:30:00"],
  // Autumn there: 02:00 becomes 01:00.
  ...["2026-11-01T00:59:59", "2026-11-01T01:00:00", "2026-11-01T01:30:00", "2026-11-01T01:59:59"],
  ...["2026-11-01T02:00:00", "2027-11-07T01:30:00"],
  // Spring in Europe: London loses 01:00 to 02:00, Amsterdam 02:00 to 03:00.
  ...["2026-03-29T00:59:59", "2026-03-29T01:00:00", "2026-03-29T01:59:59", "2026-03-29T02:00:00"],
  ...["2026-03-29T02:59:59", "2026-03-29T03:00:00"],
  // Autumn in Europe.
  ...["2026-10-25T00:59:59", "2026-10-25T01:00:00", "2026-10-25T01:59:59", "2026-10-25T02:00:00"],
  ...["2026-10-25T02:59:59", "2026-10-25T03:00:00"],
  // Autumn and spring in Australia.
  ...["2026-04-05T01:45:00", "2026-04-05T02:00:00", "2026-04-05T02:30:00", "2026-04-05T03:00:00"],
  ...["2026-10-04T01:59:59", "2026-10-04T02:00:00", "2026-10-04T02:15:00", "2026-10-04T02:30:00"],
  ...["2026-10-04T03:00:00", "2011-12-30T12:00:00", "2011-12-29T12:00:00"],
];

/** What has an offset is an instant, wherever it was written. */
const INSTANTS: Readonly<Record<string, string>> = {
  "2026-11-01T01:30:00-04:00": "2026-11-01T05:30:00Z",
  "2026-11-01T01:30:00-05:00": "2026-11-01T06:30:00Z",
  "2026-03-08T02:30:00-05:00": "2026-03-08T07:30:00Z",
  "2026-01-15T10:00:00Z": "2026-01-15T10:00:00Z",
  "2026-01-15T10:00:00z": "2026-01-15T10:00:00Z",
  "2026-01-15T10:00:00.123456+0530": "2026-01-15T04:30:00Z",
  "2026-01-15T10:00:00+14": "2026-01-14T20:00:00Z",
  "2026-01-15 10:00:00 -3:30": "2026-01-15T13:30:00Z",
  "1970-01-01T00:00:00Z": "1970-01-01T00:00:00Z",
  "2024-02-29T23:59:59-12:00": "2024-03-01T11:59:59Z",
};

const DATES = ["2026-01-15", "2026-03-08", "2026-11-01", "2024-02-29", "1970-01-01", "2011-12-30"];

const NO_MOMENTS = [
  ...["0001-01-01T00:00:00", "1969-12-31T23:59:59", "2026-02-29", "2026-02-30T10:00:00"],
  ...["2026-13-01", "2026-01-15T24:00:00", "2026-01-15T10:60:00", "2026-01-15T10:00:60"],
  ...["15.01.2026", "1/15/2026", "20260115", "yesterday", ""],
];

const read = (text: string, zone: string) => timeInZone(timeFromIso(text), zone);

test.each(ZONES)(
  "in %s a wall clock is an instant where Postgres knows exactly one",
  async (zone) => {
    const client = await rolledBack(db);
    const { rows } = await client.query<{ wall: string; instants: string[] }>(
      `select w.wall, array(
       select to_char(c.instant at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
       from generate_series(-14 * 4, 14 * 4) quarter
       cross join lateral (select (w.wall::timestamp - quarter * interval '15 minutes') at time zone 'UTC' as instant) c
       where c.instant at time zone $2 = w.wall::timestamp
     ) as instants
     from unnest($1::text[]) with ordinality w (wall, n) order by w.n`,
      [WALL_CLOCKS, zone],
    );
    const judged = rows.map(({ wall, instants }) => [
      wall,
      instants.length === 1 ? instants[0] : null,
    ]);
    expect(WALL_CLOCKS.map((wall) => [wall, read(wall, zone)?.occurredAt])).toEqual(judged);
  },
);

test.each(ZONES)(
  "in %s an offset is believed, a date stays a date, and nonsense is nothing",
  (zone) => {
    for (const [text, occurredAt] of Object.entries(INSTANTS))
      expect(read(text, zone)).toMatchObject({ occurredAt, precision: "second", rawTime: text });
    for (const text of DATES)
      expect(read(text, zone)).toEqual({
        occurredAt: null,
        localTime: text,
        timeZone: null,
        precision: "date",
        rawTime: text,
      });
    for (const text of NO_MOMENTS)
      expect({ text, time: read(text, zone) }).toEqual({ text, time: null });
  },
);

test("without a zone a wall clock stays one, and the raw text stays beside it", () => {
  for (const text of WALL_CLOCKS)
    expect(timeFromIso(text)).toMatchObject({ occurredAt: null, timeZone: null, rawTime: text });
});

test("what is stored depends on no session's time zone", async () => {
  const client = await rolledBack(db);
  const times = [...WALL_CLOCKS, ...Object.keys(INSTANTS), ...DATES].flatMap((text) => [
    timeFromIso(text),
    ...ZONES.map((zone) => read(text, zone)),
  ]);
  const events = times
    .filter((time): time is CarrierTime => time !== null)
    .map((time, i): TrackingEvent => ({ ...scanAt(`${i}`, 0, "in_transit", "instant"), ...time }));
  expect(events.length).toBeGreaterThan(600);
  const answers = [[tracking(events), tracking(events.toReversed())]];
  const inUtc = await learn(client, answers);
  for (const zone of ["America/New_York", "Pacific/Kiritimati", "Asia/Kathmandu"]) {
    await client.query(`set local time zone '${zone}'`);
    expect(await learn(client, answers)).toEqual(inUtc);
  }
});
