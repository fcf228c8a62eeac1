import { describe, expect, test } from "vitest";
import { sweep } from "../../../../src/sql/sweep.ts";
import { ageLease, ageParcel } from "../../../helpers/ageing.ts";
import { ago } from "../../../helpers/ago.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp, permitFor } from "../../../helpers/lookUp.ts";
import { type ApiLimits, makeApi } from "../../../helpers/makeApi.ts";
import { checkOf, parcelOf } from "../../../helpers/parcelOf.ts";
import { failed, found, scan } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

async function oneParcel(limits: ApiLimits = {}) {
  const client = await rolledBack(db);
  const api = await makeApi(client, { failure_threshold: 1000, ...limits });
  const { parcelId, bookId } = await trackBook(client, api.code);
  const wait = async () => (await checkOf(client, parcelId)).wait;
  return {
    client,
    api,
    parcelId,
    bookId,
    wait,
    reset: () =>
      client.query("select bookpost_private.force_circuit($1, 'reset', 'ann', 'test')", [api.code]),
  };
}

/** A tenth either way: the jitter that keeps parcels apart. */
function expectAbout(seconds: number, expected: number) {
  expect(seconds).toBeGreaterThanOrEqual(expected * 0.9);
  expect(seconds).toBeLessThanOrEqual(expected * 1.1);
}

describe("after an answer", () => {
  test.each([
    ["pre_transit", 6 * HOUR],
    ["in_transit", 1.5 * HOUR],
    ["out_for_delivery", 40 * MINUTE],
    ["available_for_pickup", 6 * HOUR],
    ["delivered", DAY],
    ["exception", 3 * HOUR],
    ["unknown", 4 * HOUR],
  ])("%s is looked at again by its policy", async (status, seconds) => {
    const { client, parcelId, wait } = await oneParcel();
    await lookUp(client, parcelId, (id) => found(id, { events: [scan(ago(1), status)] }));
    expectAbout(await wait(), seconds);
  });

  test("silence makes it seldom: each look a little slower, once a day at the most", async () => {
    const { client, parcelId, wait } = await oneParcel();
    const same = (id: string) =>
      found(id, { events: [scan(ago(1), "in_transit")], digest: "same" });
    await lookUp(client, parcelId, same);
    await lookUp(client, parcelId, same);
    expectAbout(await wait(), 1.01 * 1.5 * HOUR);
    for (const [count, expected] of [
      [12, 1.13 * 1.5 * HOUR],
      [119, 2.2 * 1.5 * HOUR],
      [5000, DAY],
      [2_000_000_000, DAY],
    ] as const) {
      await client.query("update bookpost_private.checks set unchanged_count = $1", [count]);
      await lookUp(client, parcelId, same);
      expectAbout(await wait(), expected);
    }
  });

  test("news makes it frequent again", async () => {
    const { client, parcelId, wait } = await oneParcel();
    await client.query("update bookpost_private.checks set unchanged_count = 500");
    await lookUp(client, parcelId, (id) => found(id, { events: [scan(ago(1), "in_transit")] }));
    expectAbout(await wait(), 1.5 * HOUR);
  });

  test("never sooner than the API allows for one parcel", async () => {
    const { client, parcelId, wait } = await oneParcel({
      min_check_interval: "2 hours 24 minutes",
    });
    await lookUp(client, parcelId, (id) =>
      found(id, { events: [scan(ago(1), "out_for_delivery")] }),
    );
    expect(await wait()).toBe(2.4 * HOUR);
  });

  test("an unknown number is looked for again by the policy of pending, ever more seldom", async () => {
    const { client, parcelId, wait } = await oneParcel();
    await lookUp(client, parcelId, (id) => failed(id, "not_found"));
    expectAbout(await wait(), 5 * HOUR);
    await client.query("update bookpost_private.checks set unchanged_count = 500");
    await lookUp(client, parcelId, (id) => failed(id, "not_found"));
    expectAbout(await wait(), DAY);
  });
});

describe("after a failure", () => {
  test("the wait doubles with each in a row, up to the outcome's longest", async () => {
    const { client, parcelId, wait } = await oneParcel();
    const waits: number[] = [];
    for (let i = 0; i < 9; i++) {
      await lookUp(client, parcelId, (id) => failed(id, "unavailable"));
      waits.push(await wait());
    }
    [2, 4, 8, 16, 32, 64, 128, 240, 240].forEach((minutes, i) => {
      expectAbout(waits[i] ?? 0, minutes * MINUTE);
    });
  });

  test("a row of a million failures is no longer a wait than a row of ten", async () => {
    const { client, parcelId, wait } = await oneParcel();
    await client.query("update bookpost_private.checks set failure_count = 1000000");
    await lookUp(client, parcelId, (id) => failed(id, "unavailable"));
    expectAbout(await wait(), 4 * HOUR);
  });

  test("an answer ends the row", async () => {
    const { client, parcelId, wait } = await oneParcel();
    for (let i = 0; i < 4; i++) await lookUp(client, parcelId, (id) => failed(id, "unavailable"));
    await lookUp(client, parcelId, (id) => failed(id, "not_found"));
    await lookUp(client, parcelId, (id) => failed(id, "unavailable"));
    expectAbout(await wait(), 2 * MINUTE);
  });

  test.each(["rate_limited", "out_of_quota"])("%s is no failure of the row", async (outcome) => {
    const { client, parcelId, wait, reset } = await oneParcel();
    for (let i = 0; i < 5; i++) {
      await lookUp(client, parcelId, (id) => failed(id, outcome));
      await reset();
    }
    await lookUp(client, parcelId, (id) => failed(id, "unavailable"));
    expectAbout(await wait(), 2 * MINUTE);
  });

  test.each([
    ["malformed", 30 * MINUTE],
    ["local", MINUTE],
    ["rejected", DAY],
  ])("%s waits %d seconds the first time", async (outcome, seconds) => {
    const { client, parcelId, wait } = await oneParcel({ min_check_interval: "0" });
    await lookUp(client, parcelId, (id) => failed(id, outcome));
    expectAbout(await wait(), seconds);
  });

  test("a Retry-After longer than our own wait is obeyed; a shorter one does not hurry us", async () => {
    const { client, parcelId, wait } = await oneParcel();
    await lookUp(client, parcelId, (id) =>
      failed(id, "unavailable", { retry_after_ms: 3 * HOUR * 1000 }),
    );
    expect(await wait()).toBe(3 * HOUR);
    await lookUp(client, parcelId, (id) => failed(id, "unavailable", { retry_after_ms: 1 }));
    expectAbout(await wait(), 4 * MINUTE);
  });

  test.each([1e15, 1e300, 9007199254740991])(
    "a Retry-After of %d ms is a day at the most",
    async (retry_after_ms) => {
      const { client, parcelId, wait } = await oneParcel();
      await lookUp(client, parcelId, (id) => failed(id, "unavailable", { retry_after_ms }));
      expect(await wait()).toBe(DAY);
    },
  );

  test("a refusal of one parcel delays that one only", async () => {
    const { client, api, parcelId } = await oneParcel();
    const other = await trackBook(client, api.code);
    await lookUp(client, parcelId, (id) => failed(id, "rejected", { is_api_wide: false }));
    await permitFor(client, other.parcelId);
  });

  test("a lookup that was given up is due again at once, and its row of failures is as it was", async () => {
    const { client, parcelId } = await oneParcel();
    await lookUp(client, parcelId, (id) => failed(id, "unavailable"));
    await permitFor(client, parcelId);
    await ageLease(client, parcelId, "101 seconds");
    await sweep(client);
    expect(await checkOf(client, parcelId)).toMatchObject({
      last_outcome: "interrupted",
      failure_count: 1,
    });
    await permitFor(client, parcelId);
  });
});

describe("the end", () => {
  test("a delivered parcel is closed by the first look more than 7 days after its delivery", async () => {
    const { client, parcelId } = await oneParcel();
    const same = (id: string) => found(id, { events: [scan(ago(1), "delivered")], digest: "same" });
    await lookUp(client, parcelId, same);
    await ageParcel(client, parcelId, "6 days 22 hours");
    await lookUp(client, parcelId, same);
    expect((await parcelOf(client, parcelId)).closed_at).toBeNull();
    await ageParcel(client, parcelId, "2 hours");
    await lookUp(client, parcelId, same);
    expect((await parcelOf(client, parcelId)).closed_reason).toBe("delivered");
    expect(await checkOf(client, parcelId)).toMatchObject({
      next_check_at: null,
      pause_reason: "closed",
    });
  });

  test.each(["not_found", "unavailable", "malformed"])(
    "also when the carrier answers %s by then",
    async (outcome) => {
      const { client, parcelId } = await oneParcel();
      await lookUp(client, parcelId, (id) => found(id, { events: [scan(ago(1), "delivered")] }));
      await ageParcel(client, parcelId, "8 days");
      await lookUp(client, parcelId, (id) => failed(id, outcome));
      expect((await parcelOf(client, parcelId)).closed_reason).toBe("delivered");
    },
  );

  test("delivered without any time counts from when we learnt of it", async () => {
    const { client, parcelId } = await oneParcel();
    await lookUp(client, parcelId, (id) => found(id, { status: "delivered" }));
    await ageParcel(client, parcelId, "6 days");
    await lookUp(client, parcelId, (id) => found(id, { status: "delivered", raw_text: "2" }));
    expect((await parcelOf(client, parcelId)).closed_at).toBeNull();
    await ageParcel(client, parcelId, "2 days");
    await lookUp(client, parcelId, (id) => found(id, { status: "delivered", raw_text: "3" }));
    expect((await parcelOf(client, parcelId)).closed_reason).toBe("delivered");
  });

  test("a voided label is closed at once, a return when it has arrived", async () => {
    const { client, api, parcelId } = await oneParcel();
    await lookUp(client, parcelId, (id) => found(id, { events: [scan(ago(1), "cancelled")] }));
    expect((await parcelOf(client, parcelId)).closed_reason).toBe("cancelled");

    const back = (await trackBook(client, api.code)).parcelId;
    await lookUp(client, back, (id) => found(id, { events: [scan(ago(1), "return_to_sender")] }));
    expect((await parcelOf(client, back)).closed_at).toBeNull();
    await lookUp(client, back, (id) =>
      found(id, { events: [scan(ago(0.5), "delivered")], is_return: true }),
    );
    expect((await parcelOf(client, back)).closed_reason).toBe("returned");
  });
});

describe("a lookup of which only the token went out", () => {
  const token = { kind: "token", http_status: 200, age_ms: 5, duration_ms: 5 };

  test("comes again when its own request can be paid for, and its failures are not counted", async () => {
    const { client, parcelId, wait } = await oneParcel({ min_check_interval: "30 minutes" });
    await lookUp(client, parcelId, (id) =>
      failed(id, "local", { error_code: "NOT_ASKED", retry_after_ms: 9_000, calls: [token] }),
    );
    expect(await wait()).toBe(9);
    expect(await checkOf(client, parcelId)).toMatchObject({ failure_count: 0 });
  });

  test("need not wait as a parcel does that the carrier was asked about", async () => {
    const { client, parcelId, wait } = await oneParcel({ min_check_interval: "30 minutes" });
    await lookUp(client, parcelId, (id) => failed(id, "rate_limited", { calls: [token] }));
    expect(await wait()).toBe(0);
  });

  test("the others of its request wait, since the carrier was asked about them", async () => {
    const { client, parcelId, wait } = await oneParcel({ min_check_interval: "30 minutes" });
    await lookUp(client, parcelId, (id) => failed(id, "rate_limited", { calls: [] }));
    expect(await wait()).toBe(30 * MINUTE);
  });
});

describe("what the policy is told", () => {
  test("the offset of the newest scan that has one, the estimate, and how long nothing was new", async () => {
    const { client, parcelId } = await oneParcel();
    const at = (hours: number, offset: string, status: string) => {
      const instant = ago(hours);
      const sign = offset.startsWith("-") ? -1 : 1;
      const local = new Date(Date.parse(instant) + sign * Number(offset.slice(1, 3)) * 3_600_000);
      return scan(instant, status, {
        local_time: local.toISOString().slice(0, 19),
        time_zone: offset,
      });
    };
    const told = {
      // Sent newest first, as many carriers do; the last one gave no wall clock.
      events: [
        scan(ago(1), "in_transit"),
        at(3, "-05:00", "in_transit"),
        at(9, "+09:00", "pre_transit"),
      ],
      estimated_from: "2026-01-01T00:00:00",
      estimated_until: "2030-01-01T00:00:00",
      is_estimate_a_date: true,
      digest: "same",
    };
    await lookUp(client, parcelId, (id) => found(id, told));
    await ageParcel(client, parcelId, "2 hours");
    await lookUp(client, parcelId, (id) => found(id, told));
    const { rows } = await client.query(
      `select c.utc_offset::text as "utcOffset", c.unchanged_count as "unchangedCount",
         c.last_looked_at - c.last_changed_at > '1 hour' as "isSilent",
         c.next_check_at between
           bookpost_private.next_check_at(c.api_code, 'unchanged', p.status, c.last_looked_at, c.last_changed_at, 1, 0, p.estimated_from, p.estimated_until, '-05:00', 0)
           and bookpost_private.next_check_at(c.api_code, 'unchanged', p.status, c.last_looked_at, c.last_changed_at, 1, 0, p.estimated_from, p.estimated_until, '-05:00', 1)
           as "isByPolicy"
       from bookpost_private.checks c join bookpost.parcels p on p.id = c.parcel_id where c.parcel_id = $1`,
      [parcelId],
    );
    expect(rows).toEqual([
      { utcOffset: "-05:00:00", unchangedCount: 1, isSilent: true, isByPolicy: true },
    ]);
  });
});
