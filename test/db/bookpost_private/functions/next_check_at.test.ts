import { describe, expect, test } from "vitest";
import type { Queryable } from "../../../../src/db/withTransaction.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { one } from "../../../helpers/one.ts";
import { refusalOf } from "../../../helpers/refusal.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();

const HOUR = 60;
const DAY = 24 * HOUR;

interface Look {
  readonly api?: string;
  readonly outcome?: string;
  readonly status?: string;
  /** A Tuesday is 2026-03-03, a Sunday 2026-03-08; five hours behind Greenwich. */
  readonly at?: string;
  /** Days without news; null: there never was any. */
  readonly silentDays?: number | null;
  readonly unchanged?: number;
  readonly failures?: number;
  /** Its day, or its first and last. */
  readonly estimate?: string | readonly [string, string];
  readonly offset?: string | null;
}

/** Minutes until the next look, by that jitter. */
async function waitAfter(look: Look, jitter: number | null, client: Queryable = db.pool) {
  const [from, until] =
    typeof look.estimate === "string" ? [look.estimate, look.estimate] : (look.estimate ?? []);
  const { wait } = await one<{ wait: number }>(
    client,
    `select extract(epoch from bookpost_private.next_check_at(
       $1, $2, $3, l.at, l.at - make_interval(secs => $5::double precision * 86400), $6, $7,
       $8::date, $9::date + time '23:59:59', $10::interval, $11
     ) - l.at)::double precision / 60 as wait
     from (select $4::timestamptz as at) l`,
    [
      look.api ?? "ups",
      look.outcome ?? "unchanged",
      look.status ?? "in_transit",
      look.at ?? "2026-03-03 06:00-05",
      look.silentDays === undefined ? 0.1 : look.silentDays,
      look.unchanged ?? 0,
      look.failures ?? 0,
      from ?? null,
      until ?? null,
      look.offset === undefined ? "-05:00" : look.offset,
      jitter,
    ],
  );
  return wait;
}

/** A sentence, the look, and the minutes to the next one with the least and with the most jitter. */
type Line = readonly [string, Look, number, number];

const about = (minutes: number): [number, number] => [minutes * 0.9, minutes * 1.1];
const DAILY = about(DAY);

const MORNING = "2026-03-03 06:00-05";
const NOON = "2026-03-03 13:00-05";
const LATE = "2026-03-03 22:00-05";
const TODAY = "2026-03-03";
const TOMORROW = "2026-03-04";
const SUNDAY_MORNING = "2026-03-08 06:00-05";

const POLICY: readonly Line[] = [
  [
    "an unknown number is looked for seldom",
    { status: "pending", outcome: "not_found", silentDays: null, unchanged: 1 },
    ...about(5 * HOUR),
  ],
  [
    "a number that stays unknown is looked for daily",
    { status: "pending", outcome: "not_found", silentDays: null, unchanged: 20 },
    ...DAILY,
  ],
  [
    "an announced parcel is looked at seldom",
    { status: "pre_transit", at: MORNING },
    ...about(6 * HOUR),
  ],
  [
    "an announced parcel is looked at when parcels are handed over",
    { status: "pre_transit", at: "2026-03-03 16:00-05" },
    ...about(3 * HOUR),
  ],
  [
    "an announced parcel whose label lies about is looked at daily",
    { status: "pre_transit", unchanged: 70 },
    ...DAILY,
  ],
  [
    "in transit, the morning of a working day is looked at about hourly",
    { at: MORNING },
    ...about(50),
  ],
  ["in transit, the afternoon is looked at less", { at: NOON }, ...about(3 * HOUR)],
  ["in transit, the night is slept through", { at: LATE }, ...about(6 * HOUR)],
  [
    "in transit, a look before dawn is followed by one when vehicles are loaded",
    { at: "2026-03-03 03:00-05" },
    2 * HOUR,
    2 * HOUR + 50,
  ],
  [
    "in transit, a look just before dawn is not followed by another at dawn",
    { at: "2026-03-03 04:59-05" },
    45,
    55,
  ],
  ["in transit, a Sunday without an estimate is quiet", { at: SUNDAY_MORNING }, ...about(6 * HOUR)],
  [
    "in transit, the days before the estimate are quiet",
    { at: MORNING, estimate: TOMORROW },
    ...about(6 * HOUR),
  ],
  [
    "in transit, the morning of the estimate's day is looked at often",
    { at: MORNING, estimate: TODAY },
    ...about(40),
  ],
  [
    "in transit, the rest of the estimate's day is looked at hourly",
    { at: NOON, estimate: TODAY },
    ...about(HOUR),
  ],
  [
    "in transit, each day of a longer estimate is its day",
    { at: MORNING, estimate: ["2026-03-02", "2026-03-05"] },
    ...about(40),
  ],
  [
    "in transit, the estimate's day counts even if it is a Sunday",
    { at: SUNDAY_MORNING, estimate: "2026-03-08" },
    ...about(40),
  ],
  [
    "in transit, the night before the estimate's day ends when vehicles are loaded",
    { at: "2026-03-03 23:50-05", estimate: TOMORROW },
    310,
    350,
  ],
  [
    "in transit, an estimate that has passed is none",
    { at: MORNING, estimate: "2026-03-02" },
    ...about(50),
  ],
  ["in transit, a silent parcel is looked at daily", { silentDays: 6.1 }, ...DAILY],
  [
    "in transit, silence before the estimate's day is no silence",
    { silentDays: 6.1, estimate: TODAY },
    ...about(40),
  ],
  [
    "in transit, silence after the estimate's day is",
    { silentDays: 6.1, estimate: "2026-03-02" },
    ...DAILY,
  ],
  ["out for delivery is looked at often", { status: "out_for_delivery", at: NOON }, ...about(40)],
  [
    "out for delivery, nobody delivers at night",
    { status: "out_for_delivery", at: LATE },
    ...about(4 * HOUR),
  ],
  [
    "out for delivery for days is looked at daily",
    { status: "out_for_delivery", at: NOON, silentDays: 2.1 },
    ...DAILY,
  ],
  [
    "a parcel waiting to be collected is looked at while shops are open",
    { status: "available_for_pickup", at: NOON },
    ...about(3 * HOUR),
  ],
  [
    "a parcel in trouble is looked at in the morning",
    { status: "exception", at: MORNING },
    ...about(90),
  ],
  [
    "a parcel on its way back is looked at twice a day",
    { status: "return_to_sender" },
    ...about(12 * HOUR),
  ],
  [
    "a parcel whose stage nobody can read is looked at four times a day",
    { status: "unknown" },
    ...about(6 * HOUR),
  ],
  ["a delivered parcel is looked at once a day", { status: "delivered" }, ...DAILY],
  [
    "a delivered parcel stays at once a day however long nothing is new",
    { status: "delivered", unchanged: 7, silentDays: 6.9 },
    ...DAILY,
  ],
  ["a cancelled parcel is looked at once a day", { status: "cancelled" }, ...DAILY],
  [
    "a parcel that the carrier has forgotten keeps the pace of its stage",
    { outcome: "not_found", at: NOON },
    ...about(3 * HOUR),
  ],

  [
    "DHL has its own pace on the estimate's day",
    { api: "dhl", at: NOON, estimate: TODAY },
    ...about(90),
  ],
  [
    "DHL's own row has its own hours: nothing is loaded at six",
    { api: "dhl", at: MORNING, estimate: TODAY },
    3 * HOUR,
    3 * HOUR + 90,
  ],
  [
    "DHL has the common pace where it has no row of its own",
    { api: "dhl", status: "available_for_pickup", at: NOON },
    ...about(3 * HOUR),
  ],

  [
    "without a clock there are no hours: the same pace by night",
    { at: LATE, offset: null },
    ...about(90),
  ],
  ["without a clock there is no estimate's day", { estimate: TODAY, offset: null }, ...about(90)],
  [
    "without a clock silence is silence, whatever the estimate",
    { silentDays: 6.1, estimate: TODAY, offset: null },
    ...DAILY,
  ],
  [
    "USPS delivers in one country, whose clock is taken where scans tell none",
    { api: "usps", at: "2026-03-03 06:00-06", offset: null },
    ...about(50),
  ],
  [
    "the offset of a scan is believed over its API's country",
    { api: "usps", at: "2026-03-03 06:00-06", offset: "09:00" },
    ...about(6 * HOUR),
  ],

  ["no answer: soon", { outcome: "unavailable", failures: 1 }, ...about(2)],
  ["no answer again: twice as long", { outcome: "unavailable", failures: 2 }, ...about(4)],
  [
    "no answer a hundred times: four hours",
    { outcome: "unavailable", failures: 100 },
    ...about(4 * HOUR),
  ],
  ["nonsense waits half an hour", { outcome: "malformed", failures: 1 }, ...about(30)],
  ["a refused parcel waits a day", { outcome: "rejected", failures: 1 }, ...DAILY],
  ["trouble of our own is tried again in a minute", { outcome: "local", failures: 1 }, ...about(1)],
  [
    "asked to slow down: the API waits, not the parcel",
    { outcome: "rate_limited", failures: 3 },
    0,
    0,
  ],
  [
    "the allowance is spent: the API waits, not the parcel",
    { outcome: "out_of_quota", failures: 3 },
    0,
    0,
  ],
  ["a lookup that was lost is made again at once", { outcome: "interrupted", failures: 3 }, 0, 0],
];

describe("the policy", () => {
  test.each(POLICY)("%s", async (_sentence, look, soonest, latest) => {
    expect(await waitAfter(look, 0)).toBeCloseTo(soonest, 3);
    expect(await waitAfter(look, 1)).toBeCloseTo(latest, 3);
  });

  test("has a row for every status that holds for all APIs", async () => {
    const { rows } = await db.pool.query(
      `select s.status from bookpost.parcel_statuses s
       where not exists (
         select from bookpost_private.polling_policies p where p.status = s.status and p.api_code is null
       )`,
    );
    expect(rows).toEqual([]);
  });

  test("cannot have two rows for one status that hold for all APIs", async () => {
    const client = await rolledBack(db);
    expect(
      await refusalOf(
        client.query(
          `insert into bookpost_private.polling_policies (status, check_interval, clockless_interval, lengthen_by, silent_after)
           values ('in_transit', '1 hour', '1 hour', 0, '1 day')`,
        ),
      ),
    ).toMatchObject({ constraint: "polling_policies_one_per_api_and_status" });
  });

  test("a row of an API replaces the common one with all its hours", async () => {
    const client = await rolledBack(db);
    await client.query(
      `insert into bookpost_private.polling_policies
         (api_code, status, check_interval, clockless_interval, lengthen_by, silent_after)
       values ('ups', 'in_transit', '5 hours', '1 hour', 0, '1 day')`,
    );
    expect(await waitAfter({ at: MORNING, estimate: TODAY }, 0.5, client)).toBeCloseTo(5 * HOUR, 3);
    expect(
      await waitAfter({ api: "fedex", at: MORNING, estimate: TODAY }, 0.5, client),
    ).toBeCloseTo(40, 3);
  });
});

describe("silence and news", () => {
  test.each([
    "pending",
    "pre_transit",
    "in_transit",
    "out_for_delivery",
    "available_for_pickup",
    "exception",
    "return_to_sender",
    "unknown",
  ])(
    "%s: every answer without news lengthens the wait until it is a day, and news shorten it",
    async (status) => {
      const waits: number[] = [];
      for (const unchanged of [0, 1, 2, 5, 10, 20])
        waits.push(await waitAfter({ status, at: "2026-03-03 14:00-05", unchanged }, 0));
      for (const [i, wait] of waits.entries())
        if (i > 0) expect(wait).toBeGreaterThan(Math.min(waits[i - 1] ?? 0, DAY * 0.9 - 1));
      const afterNews = await waitAfter(
        { status, at: "2026-03-03 14:00-05", outcome: "updated", silentDays: 0 },
        0,
      );
      expect(afterNews).toBeLessThan(waits[1] ?? 0);
    },
  );

  test("longer silence, by count or by time, never means a sooner look while all else is equal", async () => {
    const { rows } = await db.pool.query(
      `with looks as (
         select p.api_code, p.status, t.at, e.estimate, f.utc_offset, j.jitter, n.unchanged, d.days,
           bookpost_private.next_check_at(
             p.api_code, 'unchanged', p.status, t.at, t.at - make_interval(days => d.days), n.unchanged, 0,
             e.estimate, e.estimate + interval '1 day', f.utc_offset, j.jitter
           ) as next_at
         from (
           select coalesce(p.api_code, 'ups') as api_code, p.status from bookpost_private.polling_policies p
         ) p
         cross join generate_series(timestamptz '2026-03-06 00:10Z', '2026-03-09 00:00Z', '17 hours') t (at)
         cross join unnest(array[null, timestamp '2026-03-07', timestamp '2026-03-10']) e (estimate)
         cross join unnest(array[null, interval '-5 hours']) f (utc_offset)
         cross join unnest(array[0, 1]) j (jitter)
         cross join unnest(array[0, 3, 40, 2147483647]) n (unchanged)
         cross join unnest(array[0, 3, 15]) d (days)
       ),
       ordered as (
         select *,
           lag(next_at) over (partition by api_code, status, at, estimate, utc_offset, jitter, days order by unchanged) as fewer,
           lag(next_at) over (partition by api_code, status, at, estimate, utc_offset, jitter, unchanged order by days) as shorter
         from looks
       )
       select * from ordered where next_at < fewer or next_at < shorter limit 5`,
    );
    expect(rows).toEqual([]);
  });

  test("more failures in a row never mean a sooner look", async () => {
    const { rows } = await db.pool.query(
      `select o.outcome, n
       from bookpost_private.lookup_outcomes o
       cross join generate_series(1, 60) n
       cross join (select timestamptz '2026-03-03 06:00Z' as at) t
       where bookpost_private.next_check_at('ups', o.outcome, 'in_transit', t.at, null, 0, n, null, null, null, 0.5)
         < bookpost_private.next_check_at('ups', o.outcome, 'in_transit', t.at, null, 0, n - 1, null, null, null, 0.5)`,
    );
    expect(rows).toEqual([]);
  });
});

describe("every answer", () => {
  test("is a time, not in the past and at most a day and a tenth away, whatever the input", async () => {
    const { rows } = await db.pool.query(
      `select * from (
         select o.outcome, s.status, a.api_code, t.at, n.unchanged, n.failures, c.changed_at, e.estimate, f.utc_offset, j.jitter,
           bookpost_private.next_check_at(
             a.api_code, o.outcome, s.status, t.at, c.changed_at, n.unchanged, n.failures,
             e.estimate, e.estimate, f.utc_offset, j.jitter
           ) as next_at
         from bookpost_private.lookup_outcomes o
         cross join bookpost.parcel_statuses s
         cross join unnest(array['dhl', null]) a (api_code)
         cross join unnest(array[timestamptz '2026-03-03 23:59:59.999999Z']) t (at)
         cross join (values (0, 0), (1, 21), (2147483647, 2147483647), (null, null)) n (unchanged, failures)
         cross join unnest(array[null, timestamptz '-infinity']) c (changed_at)
         cross join unnest(array[null, timestamp '2026-03-04 10:00', 'infinity']) e (estimate)
         cross join unnest(array[null, interval '-12 hours', '14 hours']) f (utc_offset)
         cross join unnest(array[null::double precision, 7]) j (jitter)
       ) looks
       where next_at is null or next_at < at or next_at > at + interval '26 hours 24 minutes'
       limit 5`,
    );
    expect(rows).toEqual([]);
  });

  test("is a day away for a status whose row was deleted", async () => {
    const client = await rolledBack(db);
    await client.query("delete from bookpost_private.polling_policies where status = 'unknown'");
    expect(await waitAfter({ status: "unknown" }, 0.5, client)).toBeCloseTo(DAY, 3);
  });

  test("is spread by chance where no jitter is given", async () => {
    const { count } = await one<{ count: number }>(
      db.pool,
      `select count(distinct bookpost_private.next_check_at(
         'ups', 'unchanged', 'in_transit', '2026-03-03 06:00Z', null, 0, 0, null, null, '0'
       ))::integer from generate_series(1, 50)`,
    );
    expect(count).toBeGreaterThan(40);
  });

  test.each([
    [-3, 0],
    [null, 0],
    [4, 1],
  ])("takes a jitter of %s as %s", async (jitter, same) => {
    expect(await waitAfter({}, jitter)).toBe(await waitAfter({}, same));
  });
});

test("DHL is never asked more than 10 times in its day about a parcel, even if every look brings news", async () => {
  const { rows } = await db.pool.query(
    `with recursive looks as (
       select s.status, e.days as estimate_days, f.utc_offset, timestamptz '2026-03-03 00:00Z' + h.hours * interval '1 hour' as at,
         h.hours, 1 as n
       from bookpost.parcel_statuses s
       cross join unnest(array[null, 1]) e (days)
       cross join unnest(array[null, interval '-8 hours', '1 hour', '10 hours']) f (utc_offset)
       cross join generate_series(0, 21, 7) h (hours)
       union all
       select l.status, l.estimate_days, l.utc_offset,
         bookpost_private.next_check_at(
           'dhl', 'updated', l.status, l.at, l.at, 0, 0, timestamp '2026-03-03', '2026-03-03'::timestamp + l.estimate_days * interval '3 days',
           l.utc_offset, 0
         ),
         l.hours, l.n + 1
       from looks l
       where l.at < timestamptz '2026-03-06 00:00Z' and l.n < 200
     )
     select status, estimate_days, utc_offset::text, hours, at::date as day, count(*)::integer as looks
     from looks group by 1, 2, 3, 4, 5 having count(*) > 10`,
  );
  expect(rows).toEqual([]);
});
