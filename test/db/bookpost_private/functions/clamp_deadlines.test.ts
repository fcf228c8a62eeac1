import fc from "fast-check";
import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import { dispatch } from "../../../../src/sql/dispatch.ts";
import { interruptLookups } from "../../../../src/sql/interruptLookups.ts";
import { sweep } from "../../../../src/sql/sweep.ts";
import { ageBudget, makeDue } from "../../../helpers/ageing.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp, permitFor } from "../../../helpers/lookUp.ts";
import { beatFor, makeApi } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { openClient } from "../../../helpers/openClient.ts";
import { dueParcels, permitsFor } from "../../../helpers/permits.ts";
import { failed, found } from "../../../helpers/reports.ts";
import { runCount } from "../../../helpers/runCount.ts";
import { setClockBack } from "../../../helpers/setClockBack.ts";
import { tableDigests } from "../../../helpers/tableDigests.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { testRule } from "../../../helpers/testRule.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

const CLAMP = "bookpost_private.clamp_deadlines";
const JUMPS = ["1 hour", "1 day", "10 years"];

/** As a dispatch calls it, whose predecessor was `ago`; "-1 hour": the clock has been set back since. */
async function clamp(client: ClientBase, ago = "1 minute"): Promise<void> {
  await client.query("select bookpost_private.clamp_deadlines(clock_timestamp() - $1::interval)", [
    ago,
  ]);
}

/** How many seconds from now each of these columns of a row lies; null stays null. */
async function secondsAhead<Column extends string>(
  client: ClientBase,
  table: string,
  apiCode: string,
  ...columns: Column[]
): Promise<Record<Column, number | null>> {
  const list = columns.map(
    (column) => `extract(epoch from ${column} - clock_timestamp())::double precision as ${column}`,
  );
  return one<Record<Column, number | null>>(
    client,
    `select ${list.join(", ")} from ${table} where api_code = $1`,
    [apiCode],
  );
}

/** Asserts that it lies in (least, most] seconds from now. */
function expectWithin(seconds: number | null, least: number, most: number): void {
  expect(seconds).toBeGreaterThan(least);
  expect(seconds).toBeLessThanOrEqual(most);
}

/** An API with everything that has a deadline: each at the furthest it can have been set. */
async function everyDeadline(client: ClientBase) {
  const api = await makeApi(client, {
    failure_threshold: 1,
    release_duration: "10 minutes",
    call_windows: { "1 minute": 600, "1 hour": 10_000 },
  });
  const [probed = "", looked = "", fresh = ""] = await dueParcels(client, api.code, 3);
  await lookUp(client, looked, (id) => found(id), api.workerId);
  await client.query(
    `update bookpost_private.budgets set not_before = clock_timestamp() + interval '1 day', not_before_reason = 'told',
       next_release_at = clock_timestamp() + interval '10 minutes' where api_code = $1`,
    [api.code],
  );
  return { api, probed, looked, fresh };
}

test.each(["0 seconds", "1 minute", "1 year"])(
  "where all is as far ahead as it may be and the last dispatch was %s ago, nothing is touched",
  async (ago) => {
    const client = await rolledBack(db);
    const { api, probed, fresh } = await everyDeadline(client);
    await client.query(
      "update bookpost_private.budgets set not_before = null, not_before_reason = null, next_release_at = now() where api_code = $1",
      [api.code],
    );
    await permitFor(client, fresh, api.workerId);
    await lookUp(client, probed, (id) => failed(id, "unavailable"), api.workerId);
    await client.query(
      "select bookpost_private.force_circuit($1, 'open', 'a tester', 'a test', '30 days')",
      [(await makeApi(client)).code],
    );
    const before = await tableDigests(client);
    await clamp(client, ago);
    expect(await tableDigests(client)).toEqual(before);
  },
);

for (const by of JUMPS) {
  testRule(
    db,
    `a budget after ${by} set back: its wait is a day and an hour at most, its day is today, and what was counted stays counted`,
    async (client) => {
      const { api } = await everyDeadline(client);
      await setClockBack(client, by);
      await clamp(client);
      const budget = await secondsAhead(
        client,
        "bookpost_private.budgets",
        api.code,
        "not_before",
        "next_release_at",
      );
      expectWithin(budget.not_before, 24 * 3600, 25 * 3600 + 10);
      expectWithin(budget.next_release_at, 590, 600);
      expect(
        await one(
          client,
          `select b.day = (clock_timestamp() at time zone a.day_time_zone)::date as is_today, b.day_calls
           from bookpost_private.budgets b join bookpost.carrier_apis a on a.code = b.api_code where a.code = $1`,
          [api.code],
        ),
      ).toEqual({ is_today: true, day_calls: 1 });
    },
    by === "1 hour"
      ? {
          "the release waits": {
            function: CLAMP,
            from: "least(b.next_release_at, v_now + a.release_duration)",
            to: "b.next_release_at",
          },
        }
      : {
          "the wait stays": {
            function: CLAMP,
            from: "not_before = bookpost_private.at_most(b.not_before, v_now + interval '25 hours 10 seconds')",
            to: "not_before = b.not_before",
          },
          "the day stays": {
            function: CLAMP,
            from: "day = least(b.day, n.day)",
            to: "day = b.day",
          },
        },
  );

  testRule(
    db,
    `windows after ${by} set back: each waits until its earlier calls are out of it, and for twice its length at most`,
    async (client) => {
      const { api } = await everyDeadline(client);
      await setClockBack(client, by);
      await clamp(client);
      const { rows } = await client.query<{ wait: string }>(
        `select extract(epoch from next_call_at - clock_timestamp() - call_window) as wait
         from bookpost_private.call_windows where api_code = $1`,
        [api.code],
      );
      // Beyond the window: what was called before the clock was set back is then out of it.
      for (const { wait } of rows) expectWithin(Number(wait), -1, 3600);
    },
  );

  testRule(
    db,
    `a circuit after ${by} set back: open for its longest cooldown at most`,
    async (client) => {
      const { api, probed } = await everyDeadline(client);
      await client.query(
        "update bookpost_private.budgets set not_before = null, not_before_reason = null, next_release_at = now()",
      );
      await client.query("update bookpost_private.call_windows set next_call_at = now()");
      await lookUp(client, probed, (id) => failed(id, "unavailable"), api.workerId);
      await client.query(
        "update bookpost.carrier_circuits set open_until = clock_timestamp() + interval '4 hours' where api_code = $1",
        [api.code],
      );
      await setClockBack(client, by);
      await clamp(client);
      const circuit = await secondsAhead(
        client,
        "bookpost.carrier_circuits",
        api.code,
        "open_until",
        "opened_at",
        "forced_until",
        "probe_until",
        "released_at",
      );
      expectWithin(circuit.open_until, 4 * 3600 - 60, 4 * 3600);
      expectWithin(circuit.opened_at, -60, 0);
      expect(circuit).toMatchObject({ forced_until: null, probe_until: null, released_at: null });
    },
    {
      "it stays open": {
        function: CLAMP,
        from: "set open_until = bookpost_private.at_most(c.open_until, v_now + n.open_for)",
        to: "set open_until = c.open_until",
      },
    },
  );

  testRule(
    db,
    `a probe after ${by} set back: given up after its lease, and not before`,
    async (client) => {
      const api = await makeApi(client, { failure_threshold: 1, lease_duration: "100 seconds" });
      const [failing = "", probing = ""] = await dueParcels(client, api.code, 2);
      await lookUp(client, failing, (id) => failed(id, "unavailable"), api.workerId);
      await client.query(
        "update bookpost.carrier_circuits set open_until = now() where api_code = $1",
        [api.code],
      );
      await permitFor(client, probing, api.workerId);
      await setClockBack(client, by);
      await clamp(client);
      const circuit = await secondsAhead(
        client,
        "bookpost.carrier_circuits",
        api.code,
        "probe_until",
      );
      expectWithin(circuit.probe_until, 90, 100);
      const lease = await secondsAhead(
        client,
        "bookpost_private.leases",
        api.code,
        "started_at",
        "call_at",
        "lease_until",
      );
      expectWithin(lease.lease_until, 90, 100);
      expectWithin(lease.started_at, -10, 0);
      expectWithin(lease.call_at, -10, 10);
    },
    {
      "the probe stays": {
        function: CLAMP,
        from: "probe_until = bookpost_private.at_most(c.probe_until, v_now + a.lease_duration)",
        to: "probe_until = c.probe_until",
      },
      "the lease stays": {
        function: CLAMP,
        from: "lease_until = v_now + a.lease_duration",
        to: "lease_until = l.lease_until",
      },
    },
  );
}

testRule(
  db,
  "a circuit that a person holds open: thirty days at most, not its longest cooldown",
  async (client) => {
    const api = await makeApi(client);
    await client.query(
      "select bookpost_private.force_circuit($1, 'open', 'a tester', 'a test', '30 days')",
      [api.code],
    );
    await setClockBack(client, "10 years");
    await clamp(client);
    const circuit = await secondsAhead(
      client,
      "bookpost.carrier_circuits",
      api.code,
      "open_until",
      "forced_until",
    );
    for (const seconds of [circuit.open_until, circuit.forced_until])
      expectWithin(seconds, 30 * 86_400 - 60, 30 * 86_400);
  },
  {
    "all circuits are alike": {
      function: CLAMP,
      from: "(true, interval '30 days')",
      to: "(true, interval '4 hours')",
    },
    "it is held for ever": {
      function: CLAMP,
      from: "forced_until = bookpost_private.at_most(c.forced_until, v_now + n.open_for)",
      to: "forced_until = c.forced_until",
    },
  },
);

testRule(
  db,
  "a release that began in the future begins now",
  async (client) => {
    const api = await makeApi(client, { release_duration: "10 minutes" });
    await client.query(
      "update bookpost.carrier_circuits set released_at = clock_timestamp() where api_code = $1",
      [api.code],
    );
    await setClockBack(client, "1 hour");
    await clamp(client);
    const circuit = await secondsAhead(
      client,
      "bookpost.carrier_circuits",
      api.code,
      "released_at",
      "open_until",
    );
    expectWithin(circuit.released_at, -10, 0);
    expect(circuit.open_until).toBeNull();
  },
  {
    "it stays": {
      function: CLAMP,
      from: "c.probe_until - a.lease_duration, c.released_at",
      to: "c.probe_until - a.lease_duration",
    },
  },
);

testRule(
  db,
  "what waits for nothing waits for nothing afterwards either",
  async (client) => {
    const api = await makeApi(client);
    await client.query(
      "update bookpost_private.budgets set next_release_at = clock_timestamp() where api_code = $1",
      [api.code],
    );
    await setClockBack(client, "10 years");
    await clamp(client, "-10 years");
    expect(await secondsAhead(client, "bookpost_private.budgets", api.code, "not_before")).toEqual({
      not_before: null,
    });
  },
  {
    "null becomes the limit": {
      function: "bookpost_private.at_most",
      from: "CASE WHEN (at > most) THEN most ELSE at END",
      to: "LEAST(at, most)",
    },
  },
);

/** How parcels may stand when the clock is set back. */
const LIVES = {
  async fresh() {},
  async looked(client: ClientBase, parcelId: string, workerId: string) {
    await lookUp(client, parcelId, (id) => found(id), workerId);
  },
  async not_found(client: ClientBase, parcelId: string, workerId: string) {
    await lookUp(client, parcelId, (id) => failed(id, "not_found"), workerId);
  },
  async interrupted(client: ClientBase, parcelId: string, workerId: string) {
    await interruptLookups(client, [await permitFor(client, parcelId, workerId)], "a test");
  },
  async queued(client: ClientBase) {
    await dispatch(client);
  },
} as const satisfies Record<
  string,
  (client: ClientBase, parcelId: string, workerId: string) => Promise<void>
>;
type Life = keyof typeof LIVES;

interface Plan {
  readonly parcel_id: string;
  readonly is_planned: boolean;
  readonly pause_reason: string | null;
  /** From the last look to the next; 0 where there was none. */
  readonly interval: number;
  readonly wait: number;
}

async function plans(client: ClientBase, apiCode: string): Promise<Plan[]> {
  const { rows } = await client.query<Plan>(
    `select parcel_id, next_check_at is not null as is_planned, pause_reason,
       coalesce(extract(epoch from next_check_at - last_looked_at), 0)::double precision as interval,
       extract(epoch from next_check_at - clock_timestamp())::double precision as wait
     from bookpost_private.checks where api_code = $1 order by parcel_id`,
    [apiCode],
  );
  return rows;
}

const history = fc.record({
  lives: fc.array(fc.constantFrom(...(Object.keys(LIVES) as Life[])), {
    minLength: 1,
    maxLength: 4,
  }),
  /** Since then, until the clock is set back. */
  passed: fc.integer({ min: 0, max: 8 * 3600 }),
  back: fc.oneof(
    fc.constantFrom(3_600, 86_400, 3_652 * 86_400),
    fc.integer({ min: 10, max: 48 * 3600 }),
  ),
});

/** After the first dispatch every parcel has its next look within its own interval, and no job waits for the old time. */
async function holdsAfter(
  client: ClientBase,
  told: typeof history extends fc.Arbitrary<infer H> ? H : never,
) {
  const api = await makeApi(client);
  for (const life of told.lives) {
    const { parcelId } = await trackBook(client, api.code);
    await LIVES[life](client, parcelId, api.workerId);
  }
  await setClockBack(client, `-${told.passed} seconds`);
  await dispatch(client);
  const before = await plans(client, api.code);
  await setClockBack(client, `${told.back} seconds`);
  await beatFor(client, api);
  await dispatch(client);
  const after = await plans(client, api.code);
  for (const [i, plan] of after.entries()) {
    const was = before[i];
    expect(plan).toMatchObject({ is_planned: was?.is_planned, pause_reason: was?.pause_reason });
    expect(plan.wait).toBeLessThanOrEqual(Math.max(was?.interval ?? 0, 0) + 1);
  }
  const { rows: late } = await client.query(
    "select from graphile_worker.jobs where task_identifier = 'track_book' and run_at > clock_timestamp() + interval '5 minutes'",
  );
  expect(late).toHaveLength(0);
}

test("whatever was under way when the clock was set back, every parcel is looked at within its own interval", async () => {
  const client = await rolledBack(db);
  await fc.assert(
    fc.asyncProperty(history, async (told) => {
      await client.query("savepoint history");
      try {
        await holdsAfter(client, told);
      } finally {
        await client.query("rollback to savepoint history");
      }
    }),
    { numRuns: runCount(10, 30) },
  );
});

testRule(
  db,
  "a fresh parcel, one that was looked at, one that was interrupted and one that is queued are looked at soon after a day set back",
  (client) =>
    holdsAfter(client, {
      lives: ["fresh", "looked", "interrupted", "queued"],
      passed: 0,
      back: 86_400,
    }),
  {
    "next looks stay": {
      function: CLAMP,
      from: "if dispatched_at > v_now + interval '5 seconds' then",
      to: "if false then",
    },
    "the interrupted are forgotten": {
      function: CLAMP,
      from: "or k.last_looked_at is null or k.last_outcome = 'interrupted'",
      to: "",
    },
    "jobs wait for the old time": {
      function: CLAMP,
      from: "if v_late is not null then",
      to: "if false then",
    },
    "the last dispatch is not told": {
      function: "bookpost_private.dispatch",
      from: "clamp_deadlines(d.dispatched_at)",
      to: "clamp_deadlines('-infinity')",
    },
  },
);

testRule(db, "those that are closed or set aside stay so", async (client) => {
  const api = await makeApi(client);
  const parcelIds = await dueParcels(client, api.code, 2);
  await client.query(
    `update bookpost_private.checks set next_check_at = null,
         pause_reason = case when parcel_id = $1 then 'closed' else 'quarantined' end where parcel_id = any ($2)`,
    [parcelIds[0], parcelIds],
  );
  const before = await plans(client, api.code);
  await setClockBack(client, "1 day");
  await clamp(client, "-1 day");
  expect(await plans(client, api.code)).toEqual(before);
});

testRule(
  db,
  "a minute's window that was used up when the clock was set back stays used up for a minute, and no longer",
  async (client) => {
    const api = await makeApi(client, { call_windows: { "1 minute": 4 } });
    const parcelIds = await dueParcels(client, api.code, 8);
    const ask = async () => {
      await makeDue(client, ...parcelIds);
      const permits = await permitsFor(client, parcelIds, api.workerId);
      await client.query("delete from bookpost_private.leases");
      return permits.length;
    };
    expect(await ask()).toBeGreaterThan(0);
    await setClockBack(client, "1 hour");
    await clamp(client, "-1 hour");
    // A call may be promised for up to 5 seconds ahead.
    await ageBudget(client, api.code, "50 seconds");
    expect(await ask()).toBe(0);
    await ageBudget(client, api.code, "12 seconds");
    expect(await ask()).toBeGreaterThan(0);
  },
  {
    "windows are forgotten": {
      function: CLAMP,
      from: "set next_call_at = v_now + w.call_window + bookpost_private.call_slack(w.call_window)",
      to: "set next_call_at = v_now",
    },
    "windows wait for the old time": {
      function: CLAMP,
      from: "set next_call_at = v_now + w.call_window + bookpost_private.call_slack(w.call_window)",
      to: "set next_call_at = w.next_call_at",
    },
  },
);

testRule(
  db,
  "what a parcel was asked today stays counted for today, though it was counted for a day to come",
  async (client) => {
    const api = await makeApi(client, { calls_per_parcel_per_day: 2 });
    const [parcelId = ""] = await dueParcels(client, api.code, 1);
    for (let i = 0; i < 2; i++) await lookUp(client, parcelId, (id) => found(id), api.workerId);
    await setClockBack(client, "1 day");
    await clamp(client, "-1 day");
    await makeDue(client, parcelId);
    expect(await permitsFor(client, [parcelId], api.workerId)).toEqual([]);
  },
  {
    "it stays with the other day": {
      function: CLAMP,
      from: "set day = n.day\n",
      to: "set day = c.day\n",
    },
  },
);

test("a parcel that an app had in hand at the first dispatch after the clock was set back is found by a later one, which the sweep asks for", async () => {
  const api = await makeApi(db.pool);
  const [held = "", free = ""] = await dueParcels(db.pool, api.code, 2);
  for (const parcelId of [held, free])
    await lookUp(db.pool, parcelId, (id) => found(id), api.workerId);
  await dispatch(db.pool);
  await setClockBack(db.pool, "10 years");
  const app = await openClient(db.url);
  await app.query("begin");
  await app.query("select from bookpost_private.checks where parcel_id = $1 for update", [held]);
  const isAsked = async () => {
    await db.pool.query("delete from graphile_worker._private_jobs where key = 'dispatch:late'");
    await sweep(db.pool);
    const { rows } = await db.pool.query(
      "select from graphile_worker.jobs where key = 'dispatch:late'",
    );
    return rows.length === 1;
  };
  const days = async () =>
    (
      await db.pool.query<{ is_soon: boolean }>(
        `select c.next_check_at < clock_timestamp() + interval '2 days' as is_soon
         from unnest($1::uuid[]) with ordinality w (parcel_id, place)
         join bookpost_private.checks c using (parcel_id) order by place`,
        [[held, free]],
      )
    ).rows.map(({ is_soon }) => is_soon);
  await dispatch(db.pool);
  expect(await days()).toEqual([false, true]);
  expect(await isAsked()).toBe(true);
  await app.query("rollback");
  await dispatch(db.pool);
  expect(await days()).toEqual([true, true]);
  expect(await isAsked()).toBe(false);
});

test("a message and a channel's wait that a clock ahead has put off for longer than any wait are due now", async () => {
  const client = await rolledBack(db);
  await client.query(
    `with person as (insert into bookpost.users (app_user_id) values ('clamped') returning id)
     insert into bookpost_private.deliveries (user_id, channel, kind, due_at)
     select p.id, 'email', 'test', clock_timestamp() + w.wait
     from person p, (values (interval '10 years'), (interval '29 hours')) w (wait)`,
  );
  await client.query(
    `insert into bookpost_private.routes (route, failure_count, not_before)
     values ('email', 1, clock_timestamp() + interval '10 years'), ('sms', 1, clock_timestamp() + interval '23 hours')`,
  );
  await clamp(client);
  const { rows: waits } = await client.query(
    `select due_at > clock_timestamp() as waits,
       (select count(*)::integer from graphile_worker.jobs j where j.key = 'delivery:' || d.id and j.run_at <= clock_timestamp()) as due_jobs
     from bookpost_private.deliveries d order by due_at`,
  );
  expect(waits).toEqual([
    { waits: false, due_jobs: 1 },
    { waits: true, due_jobs: 0 },
  ]);
  const { rows: held } = await client.query(
    "select route, not_before > clock_timestamp() as waits from bookpost_private.routes order by route",
  );
  expect(held).toEqual([
    { route: "email", waits: false },
    { route: "sms", waits: true },
  ]);
});
