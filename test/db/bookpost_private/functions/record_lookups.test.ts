import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { recordLookups } from "../../../../src/sql/recordLookups.ts";
import { sweep } from "../../../../src/sql/sweep.ts";
import { ageLease } from "../../../helpers/ageing.ts";
import { ago } from "../../../helpers/ago.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp, permitFor } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { checkOf, parcelOf } from "../../../helpers/parcelOf.ts";
import { refusalOf } from "../../../helpers/refusal.ts";
import { failed, found, scan } from "../../../helpers/reports.ts";
import { tableDigests } from "../../../helpers/tableDigests.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

async function oneParcel() {
  const client = await rolledBack(db);
  const api = await makeApi(client);
  return { client, api, ...(await trackBook(client, api.code)) };
}

const HANDED_OVER = ago(5);
const DELIVERED = [scan(ago(30), "in_transit"), scan(HANDED_OVER, "delivered")];

test("one answer moves the status, keeps the scans, writes ledger, calls and evidence, and plans the next look", async () => {
  const { client, api, parcelId } = await oneParcel();
  const lookupId = await permitFor(client, parcelId, api.workerId);
  const recorded = await recordLookups(
    client,
    [
      found(lookupId, {
        events: DELIVERED,
        raw_status: "DL",
        raw_text: "Delivered",
        signed_by: "M.",
        body: '{"x":1}',
        calls: [
          { kind: "token", http_status: 200, age_ms: 900, duration_ms: 100 },
          { kind: "lookup", http_status: 200, age_ms: 700, duration_ms: 600 },
        ],
      }),
    ],
    api.workerId,
  );
  expect(recorded).toHaveLength(1);
  expect(recorded[0]).toMatchObject({
    lookupId,
    outcome: "updated",
    status: "delivered",
    previousStatus: "pending",
  });
  expect(await parcelOf(client, parcelId)).toMatchObject({
    status: "delivered",
    status_version: 1,
    raw_status: "DL",
    delivered_at: new Date(HANDED_OVER),
    signed_by: "M.",
  });
  expect(
    await one(
      client,
      "select parcel_id, api_code, generation, is_probe, worker_id, outcome, error_code, calls, finished_at >= started_at as is_sane from bookpost_private.lookups where id = $1",
      [lookupId],
    ),
  ).toEqual({
    parcel_id: parcelId,
    api_code: api.code,
    generation: 1,
    is_probe: false,
    worker_id: api.workerId,
    outcome: "updated",
    error_code: null,
    calls: 2,
    is_sane: true,
  });
  const { rows: calls } = await client.query(
    "select kind, http_status, duration::text from bookpost_private.carrier_calls where lookup_id = $1 order by called_at",
    [lookupId],
  );
  expect(calls).toEqual([
    { kind: "token", http_status: 200, duration: "00:00:00.1" },
    { kind: "lookup", http_status: 200, duration: "00:00:00.6" },
  ]);
  expect(
    await one(client, "select body from bookpost_private.carrier_answers where lookup_id = $1", [
      lookupId,
    ]),
  ).toEqual({ body: '{"x":1}' });
  expect((await client.query("select from bookpost_private.leases")).rows).toHaveLength(0);
});

test("a batch over two APIs is recorded as a whole, each report for its own parcel", async () => {
  const { client, api, parcelId } = await oneParcel();
  const other = await makeApi(client);
  const second = await trackBook(client, other.code);
  const a = await permitFor(client, parcelId);
  const b = await permitFor(client, second.parcelId);
  const recorded = await recordLookups(
    client,
    [failed(b, "unavailable"), found(a, { events: DELIVERED })],
    api.workerId,
  );
  expect(recorded).toHaveLength(2);
  expect((await parcelOf(client, parcelId)).status).toBe("delivered");
  expect((await parcelOf(client, second.parcelId)).status).toBe("pending");
  expect((await checkOf(client, second.parcelId)).last_error).toBe("UNAVAILABLE: It did not work.");
});

describe("the same answer again", () => {
  test("is unchanged: no parcel row is written, no evidence kept, no scan touched", async () => {
    const { client, parcelId } = await oneParcel();
    await lookUp(client, parcelId, (id) => found(id, { events: DELIVERED }));
    const parcel = await parcelOf(client, parcelId);
    const scans = "select e.xmin::text, e.* from bookpost.tracking_events e order by identity";
    const { rows: before } = await client.query(scans);

    const recorded = await lookUp(client, parcelId, (id) => found(id, { events: DELIVERED }));
    expect(recorded).toMatchObject({ outcome: "unchanged", status: "delivered" });
    expect(await parcelOf(client, parcelId)).toEqual(parcel);
    expect((await client.query(scans)).rows).toEqual(before);
    expect((await client.query("select from bookpost_private.carrier_answers")).rows).toHaveLength(
      1,
    );
    expect(await checkOf(client, parcelId)).toMatchObject({ unchanged_count: 1 });
  });

  test("after a failure in between is still unchanged", async () => {
    const { client, parcelId } = await oneParcel();
    await lookUp(client, parcelId, (id) => found(id, { events: DELIVERED }));
    await lookUp(client, parcelId, (id) => failed(id, "malformed", { body: "<html>" }));
    const recorded = await lookUp(client, parcelId, (id) => found(id, { events: DELIVERED }));
    expect(recorded).toMatchObject({ outcome: "unchanged" });
  });
});

describe("a late answer changes nothing in any table, and is counted", () => {
  const LATE = { except: ["bookpost_private.workers"] };

  async function recordLate(
    spoil: (made: Awaited<ReturnType<typeof oneParcel>>, lookupId: string) => Promise<string>,
  ) {
    const made = await oneParcel();
    const { client, api, parcelId } = made;
    const lookupId = await spoil(made, await permitFor(client, parcelId, api.workerId));
    const before = await tableDigests(client, LATE);
    const reports = [found(lookupId, { events: DELIVERED, signed_by: "late" })];
    expect(await recordLookups(client, reports, api.workerId)).toEqual([]);
    expect(await tableDigests(client, LATE)).toEqual(before);
    expect(
      await one(client, "select stale_results from bookpost_private.workers where id = $1", [
        api.workerId,
      ]),
    ).toEqual({ stale_results: 1 });
  }

  test("when its lease ran out and was swept", async () => {
    await recordLate(async ({ client, parcelId }, lookupId) => {
      await ageLease(client, parcelId, "101 seconds");
      await sweep(client);
      return lookupId;
    });
  });

  test("when another lookup of the parcel has begun since", async () => {
    await recordLate(async ({ client, api, parcelId }, lookupId) => {
      await ageLease(client, parcelId, "101 seconds");
      await sweep(client);
      await permitFor(client, parcelId, api.workerId);
      return lookupId;
    });
  });

  test("when the parcel was closed meanwhile", async () => {
    await recordLate(async ({ client, bookId }, lookupId) => {
      await client.query("select bookpost.stop_tracking($1)", [bookId]);
      return lookupId;
    });
  });

  test("when the parcel was deleted meanwhile", async () => {
    await recordLate(async ({ client, parcelId }, lookupId) => {
      await client.query("delete from bookpost.parcels where id = $1", [parcelId]);
      return lookupId;
    });
  });

  test("when it was recorded already", async () => {
    await recordLate(async ({ client }, lookupId) => {
      await recordLookups(client, [found(lookupId)], "worker");
      return lookupId;
    });
  });

  test("when its id was made up", async () => {
    await recordLate(async () => randomUUID());
  });
});

test("an empty batch is nothing", async () => {
  const { client } = await oneParcel();
  expect(await recordLookups(client, [], "worker")).toEqual([]);
});

test("a lease that ran out but was not swept yet still counts: nobody else was let in", async () => {
  const { client, parcelId } = await oneParcel();
  const lookupId = await permitFor(client, parcelId);
  await ageLease(client, parcelId, "10 minutes");
  expect(await recordLookups(client, [found(lookupId)], "worker")).toHaveLength(1);
});

test("the same lookup twice in one batch counts once", async () => {
  const { client, parcelId } = await oneParcel();
  const lookupId = await permitFor(client, parcelId);
  const twice = [found(lookupId, { events: DELIVERED }), found(lookupId, { events: DELIVERED })];
  await client.query("savepoint batch");
  const refusal = await refusalOf(recordLookups(client, twice, "worker"));
  // Either taken once, or refused in a class whose batches are halved: then the second half is stale.
  if (refusal) expect(refusal.code).toMatch(/^(21|22|23)/);
});

test("two scans with one identity in one answer are one scan, at its later place", async () => {
  const { client, parcelId } = await oneParcel();
  const twin = (sort_rank: number) =>
    scan("2026-01-01T10:00:00Z", "in_transit", { identity: "twin", sort_rank });
  await lookUp(client, parcelId, (id) => found(id, { events: [twin(0), twin(3), twin(1)] }));
  expect(await one(client, "select sort_rank from bookpost.tracking_events")).toEqual({
    sort_rank: 3,
  });
});

describe("what the report may not say", () => {
  test("which parcel, API, worker or generation it is about: its lease does", async () => {
    const { client, api, parcelId } = await oneParcel();
    const other = await trackBook(client, api.code);
    const forged = {
      parcel_id: other.parcelId,
      api_code: "ups",
      generation: 99,
      worker_id: "mallory",
      is_probe: true,
    };
    await lookUp(client, parcelId, (id) => ({ ...found(id, { events: DELIVERED }), ...forged }));
    expect((await parcelOf(client, parcelId)).status).toBe("delivered");
    expect((await parcelOf(client, other.parcelId)).status).toBe("pending");
    expect(
      await one(client, "select api_code, generation, worker_id from bookpost_private.lookups"),
    ).toEqual({ api_code: api.code, generation: 1, worker_id: "worker" });
  });

  test.each([
    ["no outcome", null],
    ["an outcome nobody knows", "splendid"],
    ["an empty outcome", ""],
  ])("%s", async (_, outcome) => {
    const { client, parcelId } = await oneParcel();
    const lookupId = await permitFor(client, parcelId);
    const report = { ...found(lookupId), outcome: outcome as string };
    expect(await refusalOf(recordLookups(client, [report], "worker"))).toMatchObject({
      code: "22023",
    });
  });
});

describe("a report that the database cannot take leaves nothing, of itself or of its neighbours", () => {
  test.each([
    ["a NUL character", { raw_text: "a\u0000b" }],
    ["half a surrogate pair", { raw_text: "\ud800" }],
    ["the 31st of February", { events: [scan("2026-02-31T00:00:00Z", "in_transit")] }],
    ["the year 300000", { events: [scan("+300000-01-01T00:00:00Z", "in_transit")] }],
    ["a status that does not exist", { events: [scan("2026-01-01T00:00:00Z", "lost")] }],
    [
      "a scan without identity",
      { events: [scan("2026-01-01T00:00:00Z", null, { identity: null })] },
    ],
    [
      "an unlisted code with a stage",
      { events: [scan("2026-01-01T00:00:00Z", "delivered", { is_code_listed: false })] },
    ],
    [
      "a description of 501 characters",
      { events: [scan("2026-01-01T00:00:00Z", null, { description: "x".repeat(501) })] },
    ],
    ["a rank of 40000", { events: [scan("2026-01-01T00:00:00Z", null, { sort_rank: 40_000 })] }],
    [
      "an estimate that ends before it begins",
      { estimated_from: "2026-01-02", estimated_until: "2026-01-01" },
    ],
    ["a link that is not https", { tracking_url: "javascript:alert(1)" }],
    ["a lookup id that is no uuid", { lookup_id: "1" }],
    ["a wait that is no number", { retry_after_ms: "soon" }],
    ["events that are no list", { events: { a: 1 } }],
    ["calls that are no list", { calls: 3 }],
  ])("%s", async (_, spoiled) => {
    const { client, api, parcelId } = await oneParcel();
    const neighbour = await trackBook(client, api.code);
    const good = await permitFor(client, neighbour.parcelId, api.workerId);
    const bad = await permitFor(client, parcelId, api.workerId);
    const before = await tableDigests(client);
    await client.query("savepoint batch");
    const reports = [found(good, { events: DELIVERED }), { ...found(bad), ...(spoiled as object) }];
    const refusal = await refusalOf(recordLookups(client, reports, api.workerId));
    // Classes 21 to 23 tell the sender that the data is to blame.
    expect(refusal?.code).toMatch(/^(21|22|23)/);
    await client.query("rollback to savepoint batch");
    expect(await tableDigests(client)).toEqual(before);
  });
});

test.each([
  "bookpost_private.carrier_answers",
  "bookpost.notifications",
  "bookpost_private.lookups",
])(
  "a recording that breaks at %s leaves nothing of any step, and its permit lives",
  async (table) => {
    const { client, api, parcelId } = await oneParcel();
    const lookupId = await permitFor(client, parcelId, api.workerId);
    await client.query(`
      create function pg_temp.break() returns trigger language plpgsql as $$ begin raise exception 'broken'; end $$;
      create trigger broken before insert on ${table} for each row execute function pg_temp.break()`);
    const before = await tableDigests(client);
    await client.query("savepoint batch");
    const reports = [found(lookupId, { events: DELIVERED })];
    expect(await refusalOf(recordLookups(client, reports, api.workerId))).toMatchObject({
      message: "broken",
    });
    await client.query("rollback to savepoint batch");
    expect(await tableDigests(client)).toEqual(before);
    await client.query(`drop trigger broken on ${table}`);
    expect(await recordLookups(client, reports, api.workerId)).toHaveLength(1);
  },
);

describe("very large answers", () => {
  test("2,000 scans and 64 KB of evidence are taken", async () => {
    const { client, parcelId } = await oneParcel();
    const start = Date.parse(ago(5));
    const events = Array.from({ length: 2000 }, (_, i) =>
      scan(new Date(start + i * 1000).toISOString(), i === 1999 ? "delivered" : "in_transit", {
        description: "x".repeat(500),
      }),
    );
    const recorded = await lookUp(client, parcelId, (id) =>
      found(id, { events, body: "x".repeat(65_536) }),
    );
    expect(recorded?.status).toBe("delivered");
    expect(
      await one(client, "select count(*)::integer as scans from bookpost.tracking_events"),
    ).toEqual({ scans: 2000 });
  });

  test("an endless error message is cut, not refused", async () => {
    const { client, parcelId } = await oneParcel();
    await lookUp(client, parcelId, (id) =>
      failed(id, "unavailable", { error_message: "é".repeat(100_000) }),
    );
    expect((await checkOf(client, parcelId)).last_error).toHaveLength(500);
  });
});

test("what is quarantined in mid-flight can still be recorded, and is out of quarantine", async () => {
  const { client, parcelId } = await oneParcel();
  const lookupId = await permitFor(client, parcelId);
  await client.query(
    "update bookpost_private.checks set next_check_at = null, pause_reason = 'quarantined' where parcel_id = $1",
    [parcelId],
  );
  await recordLookups(client, [found(lookupId, { events: DELIVERED })], "worker");
  expect(await checkOf(client, parcelId)).toMatchObject({ pause_reason: null });
});

test("evidence is kept of news, of nonsense and of refusals, and of nothing else", async () => {
  const { client, parcelId } = await oneParcel();
  const kept = [];
  for (const outcome of ["not_found", "malformed", "rejected", "unavailable", "local"]) {
    const end = await lookUp(client, parcelId, (id) => failed(id, outcome, { body: "said" }));
    const { rows } = await client.query(
      "select from bookpost_private.carrier_answers where lookup_id = $1",
      [end?.lookupId],
    );
    if (rows.length > 0) kept.push(outcome);
    await client.query(
      "select bookpost_private.force_circuit(code, 'reset', 'ann', 'test') from bookpost.carrier_apis",
    );
  }
  expect(kept).toEqual(["malformed", "rejected"]);
});
