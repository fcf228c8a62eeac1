import type { ClientBase } from "pg";
import { describe, expect, test } from "vitest";
import { acquireLookups } from "../../../../src/sql/acquireLookups.ts";
import { dispatch } from "../../../../src/sql/dispatch.ts";
import { ageBudget, ageCircuit, makeDue } from "../../../helpers/ageing.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { jobsOf } from "../../../helpers/jobsOf.ts";
import { lookUp } from "../../../helpers/lookUp.ts";
import { type ApiLimits, makeApi, zoneAt } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { failed, found } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

interface Gate {
  readonly allowance: number;
  readonly urgent_allowance: number;
  readonly reason: string | null;
  /** Seconds. */
  readonly spacing: number;
  readonly release_spacing: number;
  readonly pace: number;
}

function gateOf(client: ClientBase, apiCode: string): Promise<Gate> {
  return one<Gate & Record<string, unknown>>(
    client,
    `select allowance, urgent_allowance, reason, extract(epoch from spacing)::float8 as spacing,
       extract(epoch from release_spacing)::float8 as release_spacing, extract(epoch from pace)::float8 as pace
     from bookpost_private.gate($1)`,
    [apiCode],
  );
}

async function anApi(limits: ApiLimits) {
  const client = await rolledBack(db);
  const api = await makeApi(client, limits);
  return { client, api, gate: () => gateOf(client, api.code) };
}

/** So many parcels without a head start, due since an hour. Not tracked one by one: hundreds take their time. */
async function overdue(client: ClientBase, carrier: string, count: number): Promise<string[]> {
  const { rows } = await client.query<{ parcel_id: string }>(
    `with p as (
       insert into bookpost.parcels (carrier_code, tracking_number)
       select $1, upper(left(replace(gen_random_uuid()::text, '-', ''), 20)) from generate_series(1, $2::integer) returning id
     )
     insert into bookpost_private.checks (parcel_id, api_code, next_check_at)
     select id, $1, now() - interval '1 hour' from p returning parcel_id`,
    [carrier, count],
  );
  return rows.map(({ parcel_id }) => parcel_id);
}

test.each([
  [{}, { allowance: 63_857, urgent_allowance: 63_857, spacing: 0, pace: 0 }],
  // One at once and one every 5.5 s.
  [{ call_windows: { "5 seconds": 1 } }, { allowance: 11, spacing: 5.5, pace: 5.5 }],
  // Of an hour's 60, those whose turn is within the minute, and the burst of 144 s.
  [{ call_windows: { "1 hour": 60 } }, { allowance: 4, spacing: 62.908 }],
  // The narrower one counts.
  [{ call_windows: { "1 second": 10, "1 minute": 20 } }, { allowance: 20 }],
  [
    { calls_per_day: 240, day_time_zone: zoneAt(43_200) },
    { allowance: 132, urgent_allowance: 180, spacing: 0, pace: 360 },
  ],
  [{ call_windows: { "5 seconds": 1 }, batch_size: 10 }, { allowance: 110 }],
] as [ApiLimits, Partial<Gate>][])(
  "with %j the coming minute takes %j",
  async (limits, expected) => {
    const { gate } = await anApi(limits);
    const { spacing, ...found } = await gate();
    const { spacing: wanted, ...rest } = expected;
    expect(found).toMatchObject({ reason: null, ...rest });
    if (wanted !== undefined) expect(spacing).toBeCloseTo(wanted, 2);
  },
);

describe("no more than can flow in a minute", () => {
  /** Calls of an API that took so long, in seconds. */
  const tookSo = (client: ClientBase, apiCode: string, ...seconds: number[]) =>
    client.query(
      `insert into bookpost_private.carrier_calls (lookup_id, api_code, kind, http_status, called_at, duration)
       select gen_random_uuid(), $1, 'lookup', 200, now() - make_interval(secs => n), make_interval(secs => s)
       from unnest($2::float8[]) with ordinality u (s, n)`,
      [apiCode, seconds],
    );

  test.each([
    // calls in flight, seconds each took, what the minute takes: the first at once, the rest a tenth faster than they end and are found free, 50 ms later
    [10, [], 10 + 628],
    [10, [0.2, 0.4], 10 + 1885],
    [10, [20], 10 + 32],
    [1, [0.5], 1 + 120],
    [10, [0.000_1], 10 + 10_999],
    [10, [3600], 10 + 32],
  ] as const)("%i in flight whose calls took %j: %i", async (calls_in_flight, took, expected) => {
    const { client, api, gate } = await anApi({ calls_in_flight });
    await tookSo(client, api.code, ...took);
    expect((await gate()).allowance).toBe(expected);
  });

  test("by the last twenty calls only", async () => {
    const { client, api, gate } = await anApi({ calls_in_flight: 10 });
    await tookSo(client, api.code, ...Array<number>(20).fill(0.3), ...Array<number>(50).fill(20));
    expect((await gate()).allowance).toBe(10 + 1885);
  });

  test("what may be in flight goes at once, the rest as those come back", async () => {
    const { client, api } = await anApi({ calls_in_flight: 2 });
    await tookSo(client, api.code, 1);
    const ids = await overdue(client, api.code, 5);
    await dispatch(client);
    const times = (await jobsOf(client, ...ids)).map(({ run_at }) => run_at.getTime());
    // (1 s + 50 ms) ÷ (2 × 1.1)
    expect(times.map((time) => time - (times[0] ?? 0))).toEqual([
      0,
      0,
      0,
      expect.closeTo(477, -1),
      expect.closeTo(955, -1),
    ]);
  });

  describe("who finds all in flight", () => {
    /** An API with room for two whose calls take a second, and how far away the times are that each refused one of `count` is told. */
    async function refusedOf(count: number, limits: ApiLimits = {}) {
      const { client, api } = await anApi({ calls_in_flight: 2, ...limits });
      await tookSo(client, api.code, 1);
      const ids = await overdue(client, api.code, count);
      const refused = async (some: readonly string[]) =>
        (await acquireLookups(client, some, api.workerId)).flatMap((v) =>
          v.verdict === "no_budget" ? [v] : [],
        );
      const ask = async (some: readonly string[]) =>
        (await refused(some)).map(({ retryInMs }) => retryInMs ?? Number.NaN);
      /** The instants, which compare between calls. */
      const askWhen = async (some: readonly string[]) =>
        (await refused(some)).map(({ retryAt }) => retryAt?.getTime() ?? Number.NaN);
      return { client, api, ids, ask, askWhen };
    }
    const steps = (waits: readonly number[]) => {
      const inOrder = waits.toSorted((a, b) => a - b);
      return inOrder.slice(1).map((wait, i) => Math.round((wait - (inOrder[i] ?? 0)) / 10) * 10);
    };

    test("is told when one will have come back, each a turn later", async () => {
      const { ids, ask } = await refusedOf(6);
      const waits = await ask(ids);
      expect(steps(waits)).toEqual([500, 500, 500]);
      expect(Math.min(...waits)).toBeGreaterThan(900);
      expect(Math.min(...waits)).toBeLessThan(1600);
    });

    test("at an API that is asked slowly, each a call later", async () => {
      const { ids, ask } = await refusedOf(6, { call_windows: { "1 second": 1 } });
      // 1.1 s from call to call; the calls themselves would end every 500 ms.
      expect(steps(await ask(ids))).toEqual([1100, 1100, 1100]);
    });

    test("stands in line behind those who were refused before, whoever asked for them", async () => {
      const { ids, askWhen } = await refusedOf(8);
      const first = await askWhen(ids.slice(0, 5));
      const second = [...(await askWhen(ids.slice(5, 6))), ...(await askWhen(ids.slice(6)))];
      expect(Math.min(...second)).toBeGreaterThan(Math.max(...first));
      expect(steps([...first, ...second])).toEqual([500, 500, 500, 500, 500]);
    });

    test("of thousands a minute's worth is told a time within the minute, the others are left to a later dispatch", async () => {
      const { ids, ask } = await refusedOf(200);
      await ask(ids.slice(0, 2));
      const waits = await ask(ids.slice(2));
      const within = waits.filter((wait) => wait < 59_000);
      expect(within.length).toBeGreaterThan(110);
      expect(within.length).toBeLessThanOrEqual(120);
      expect(new Set(within.map(Math.round)).size).toBe(within.length);
      expect(Math.max(...waits)).toBeLessThan(62_000);
    });

    test("stands at the front again when the line has passed", async () => {
      const { client, api, ids, ask } = await refusedOf(40);
      const [first = Number.NaN] = await ask(ids.slice(0, 3));
      await ask(ids.slice(3));
      await ageBudget(client, api.code, "1 minute");
      const [again = Number.NaN] = await ask(ids.slice(0, 3));
      expect(Math.abs(again - first)).toBeLessThan(600);
    });

    test("waits a minute at most, once, where the clock was set back by a year", async () => {
      const { client, api, ids, ask } = await refusedOf(4);
      await client.query(
        "update bookpost_private.budgets set waiting_until = now() + interval '1 year' where api_code = $1",
        [api.code],
      );
      for (const wait of await ask(ids)) expect(wait).toBeLessThan(62_000);
      await ageBudget(client, api.code, "1 minute");
      const again = await ask(ids);
      expect(again).toHaveLength(2);
      expect(Math.min(...again)).toBeLessThan(2_000);
    });

    test("comes back together with those that may share its request", async () => {
      const { ids, ask } = await refusedOf(18, { batch_size: 3 });
      const waits = (await ask(ids)).toSorted((a, b) => a - b);
      // 12 are refused: four requests' worth, or five where the first and the last are not full.
      const moments = Map.groupBy(waits, (wait) => Math.round(wait / 100));
      expect(waits).toHaveLength(12);
      expect([...moments.values()].slice(1, -1).map(({ length }) => length)).toEqual(
        Array.from({ length: moments.size - 2 }, () => 3),
      );
      expect(moments.size).toBeGreaterThanOrEqual(4);
      expect(moments.size).toBeLessThanOrEqual(5);
    });
  });
});

test("what was granted already is taken off the coming minute", async () => {
  const { client, api, gate } = await anApi({ call_windows: { "10 seconds": 2 } });
  const before = (await gate()).allowance;
  const ids = await overdue(client, api.code, 1);
  await acquireLookups(client, ids, api.workerId);
  expect((await gate()).allowance).toBe(before - 1);
  await ageBudget(client, api.code, "1 minute");
  expect((await gate()).allowance).toBe(before);
});

test("an hour's calls that are used up hold the API until the next one's turn", async () => {
  const { client, api, gate } = await anApi({ call_windows: { "1 hour": 10 } });
  await client.query(
    "update bookpost_private.call_windows set next_call_at = now() + interval '20 minutes' where api_code = $1",
    [api.code],
  );
  expect(await gate()).toMatchObject({ allowance: 0, urgent_allowance: 0, reason: "no_budget" });
});

describe("a hold that ends within half a minute", () => {
  const holdFor = (client: ClientBase, apiCode: string, seconds: number) =>
    client.query(
      `update bookpost_private.budgets set not_before = now() + make_interval(secs => $2), not_before_reason = 'rate_limited'
       where api_code = $1`,
      [apiCode, seconds],
    );

  test("does not cost the minute: jobs are sent for its end", async () => {
    const { client, api } = await anApi({});
    const ids = await overdue(client, api.code, 3);
    await holdFor(client, api.code, 20);
    const row = (await dispatch(client)).find(({ apiCode }) => apiCode === api.code);
    expect(row).toMatchObject({ dispatched: 3, reason: "not_before" });
    const { rows } = await client.query(
      `select count(*)::integer as jobs from graphile_worker.jobs j, bookpost_private.budgets b
       where b.api_code = $1 and j.key = any (select 'parcel:' || unnest($2::uuid[])) and j.run_at >= b.not_before`,
      [api.code, ids],
    );
    expect(rows).toEqual([{ jobs: 3 }]);
  });

  test("is the reason that is told all the same", async () => {
    const { client, api } = await anApi({});
    const [parcelId] = await overdue(client, api.code, 1);
    await holdFor(client, api.code, 20);
    const { rows } = await client.query(
      "select reason, until > now() as is_ahead from bookpost_ops.why where parcel_id = $1",
      [parcelId],
    );
    expect(rows).toEqual([{ reason: "not_before", is_ahead: true }]);
  });

  test("a longer one lets nothing through", async () => {
    const { client, api, gate } = await anApi({});
    await overdue(client, api.code, 1);
    await holdFor(client, api.code, 40);
    expect(await gate()).toMatchObject({ allowance: 0, urgent_allowance: 0, reason: "not_before" });
  });
});

test("while one probe is to go out, the others are said to wait for it", async () => {
  const { client, api } = await anApi({ failure_threshold: 1 });
  const books = [
    await trackBook(client, api.code),
    await trackBook(client, api.code),
    await trackBook(client, api.code),
  ];
  const ids = books.map(({ parcelId }) => parcelId);
  await lookUp(client, ids[0] ?? "", (id) => failed(id, "unavailable"));
  await ageCircuit(client, api.code, "31 minutes");
  await makeDue(client, ...ids);
  const { rows } = await client.query(
    `select reason, count(*)::integer as n, min(until) > now() - interval '1 hour' as has_an_end
     from bookpost_ops.why where parcel_id = any ($1) group by 1 order by 1`,
    [ids],
  );
  expect(rows).toEqual([
    { reason: "circuit_half_open", n: 2, has_an_end: true },
    { reason: "due", n: 1, has_an_end: true },
  ]);
});

test("jobs that wait in the queue already take their part of the minute", async () => {
  const { client, api } = await anApi({ call_windows: { "10 seconds": 2 } });
  const ids = await overdue(client, api.code, 30);
  const sent = async () =>
    (await dispatch(client)).find(({ apiCode }) => apiCode === api.code)?.dispatched;
  const first = await sent();
  expect(first).toBeGreaterThan(5);
  expect(await sent()).toBe(0);
  expect(await jobsOf(client, ...ids)).toHaveLength(first ?? 0);
});

test("of more than can go, those with a head start go first; of those without, the longest due", async () => {
  const { client, api } = await anApi({ call_windows: { "1 minute": 2 } });
  const ids = await overdue(client, api.code, 6);
  await client.query(
    "update bookpost_private.checks set head_start = '1 day', next_check_at = now() where parcel_id = $1",
    [ids[4]],
  );
  await client.query(
    "update bookpost_private.checks set next_check_at = now() - interval '5 hours' where parcel_id = $1",
    [ids[2]],
  );
  await dispatch(client);
  const keys = (await jobsOf(client, ...ids)).map(({ key }) => key);
  expect(keys.slice(0, 2)).toEqual([`parcel:${ids[4]}`, `parcel:${ids[2]}`]);
});

test("who has failed before keeps its turn, and no more go than there are calls", async () => {
  const { client, api } = await anApi({ call_windows: { "1 minute": 1 } });
  const ids = await overdue(client, api.code, 3);
  await client.query(
    "update bookpost_private.checks set failure_count = 1, next_check_at = now() - interval '2 days' where parcel_id = $1",
    [ids[1]],
  );
  const { allowance } = await gateOf(client, api.code);
  await dispatch(client);
  const keys = (await jobsOf(client, ...ids)).map(({ key }) => key);
  expect(keys).toHaveLength(allowance);
  expect(keys[0]).toBe(`parcel:${ids[1]}`);
});

test("late in its share of the day only what is urgent is dispatched, and the others' reason is told", async () => {
  const { client, api } = await anApi({ calls_per_day: 100, day_time_zone: zoneAt(43_200) });
  await client.query(
    `update bookpost_private.budgets b set day = d.day, day_calls = 60
     from bookpost.carrier_apis a, bookpost_private.day_of(now(), a.day_time_zone) d where a.code = b.api_code and b.api_code = $1`,
    [api.code],
  );
  const ordinary = await overdue(client, api.code, 3);
  const urgent = await trackBook(client, api.code);
  const row = (await dispatch(client)).find(({ apiCode }) => apiCode === api.code);
  expect(row).toMatchObject({ dispatched: 1, reason: "no_budget" });
  expect(await jobsOf(client, urgent.parcelId)).toHaveLength(1);
  const { rows } = await client.query<{ reason: string; minutes: number }>(
    `select reason, extract(epoch from until - now())::float8 / 60 as minutes from bookpost_ops.why where parcel_id = any ($1)`,
    [ordinary],
  );
  expect(rows.map(({ reason }) => reason)).toEqual(["no_budget", "no_budget", "no_budget"]);
  // The 61st call's turn is when 56 hundredths of the day have passed, 86.4 minutes after noon; the others' later.
  const minutes = rows.map((row) => row.minutes).toSorted((a, b) => a - b);
  expect(minutes[0]).toBeGreaterThan(85);
  expect(minutes[2]).toBeGreaterThan(minutes[0] ?? Infinity);
});

describe("after an outage", () => {
  /** An API whose circuit has just closed, with so many parcels due. */
  async function released(due: number, limits: ApiLimits = {}) {
    const client = await rolledBack(db);
    const api = await makeApi(client, {
      failure_threshold: 1,
      release_duration: "10 minutes",
      min_check_interval: "0",
      ...limits,
    });
    const { parcelId } = await trackBook(client, api.code);
    await lookUp(client, parcelId, (id) => failed(id, "unavailable"));
    await ageCircuit(client, api.code, "31 minutes");
    await ageBudget(client, api.code, "31 minutes");
    await lookUp(client, parcelId, (id) => found(id));
    await ageBudget(client, api.code, "1 minute");
    const ids = await overdue(client, api.code, due);
    return { client, api, ids, gate: () => gateOf(client, api.code) };
  }

  test("what is due goes out slowly at first, and all of it by the end of ten minutes", async () => {
    const { client, api, gate } = await released(400);
    let gone = 0;
    const perMinute: number[] = [];
    for (let minute = 0; minute < 10; minute++) {
      const { allowance } = await gate();
      perMinute.push(Math.min(allowance, 400 - gone));
      // They go, and are not due any more.
      await client.query(
        `update bookpost_private.checks set next_check_at = now() + interval '1 hour'
         where parcel_id in (select parcel_id from bookpost_private.checks where api_code = $1 and next_check_at <= now() limit $2)`,
        [api.code, allowance],
      );
      gone += perMinute[minute] ?? 0;
      await ageCircuit(client, api.code, "1 minute");
    }
    expect(gone).toBe(400);
    // A hundredth, three hundredths, five …: the square of the time, but ten at least.
    expect(perMinute[0]).toBe(10);
    expect(perMinute[4]).toBeGreaterThanOrEqual(36);
    expect(perMinute[4]).toBeLessThanOrEqual(40);
    // The last has what is left.
    for (const [i, n] of perMinute.slice(0, -1).entries())
      expect(n).toBeGreaterThanOrEqual(perMinute[i - 1] ?? 0);
    const after = await gate();
    expect(after.release_spacing).toBe(0);
    expect(after.allowance).toBeGreaterThan(1000);
  });

  test("those who ask without being sent are kept to the same pace", async () => {
    const { client, api, ids } = await released(400);
    const verdicts = await acquireLookups(client, ids, api.workerId);
    // 6 s apart, and no permit is for more than 5 s ahead.
    expect(verdicts.filter(({ verdict }) => verdict === "permit")).toHaveLength(1);
  });

  test("an API's own limit counts where it is the narrower one", async () => {
    const { gate } = await released(400, { call_windows: { "1 minute": 2 } });
    expect((await gate()).allowance).toBeLessThanOrEqual(2);
  });

  test("nearest to delivery goes first", async () => {
    const { client, ids } = await released(60);
    const last = ids.at(-1) ?? "";
    await client.query(
      "update bookpost_private.checks set head_start = '1 day', next_check_at = now() where parcel_id = $1",
      [last],
    );
    await dispatch(client);
    const jobs = await jobsOf(client, ...ids);
    expect(jobs).toHaveLength(10);
    expect(jobs[0]?.key).toBe(`parcel:${last}`);
    const gaps = jobs
      .slice(1)
      .map(({ run_at }, i) => run_at.getTime() - (jobs[i]?.run_at.getTime() ?? 0));
    for (const gap of gaps) expect(gap).toBe(6000);
  });

  test("a circuit that a person resets is released as gradually", async () => {
    const client = await rolledBack(db);
    const api = await makeApi(client, { release_duration: "10 minutes" });
    for (const to of ["open", "reset"])
      await client.query("select bookpost_private.force_circuit($1, $2, 'ann', 'test')", [
        api.code,
        to,
      ]);
    await overdue(client, api.code, 50);
    expect((await gateOf(client, api.code)).allowance).toBe(10);
  });

  test("a circuit that was never open is not held back", async () => {
    const { client, api, gate } = await anApi({ release_duration: "10 minutes" });
    await client.query("select bookpost_private.force_circuit($1, 'closed', 'ann', 'test')", [
      api.code,
    ]);
    const ids = await overdue(client, api.code, 20);
    await makeDue(client, ...ids);
    expect((await gate()).allowance).toBe(63_857);
  });
});
