import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import { dispatch } from "../../../../src/sql/dispatch.ts";
import { sweep } from "../../../../src/sql/sweep.ts";
import { ageCircuit, ageParcel, makeDue } from "../../../helpers/ageing.ts";
import { ago } from "../../../helpers/ago.ts";
import { expectQuiet, testThatAllIsQuiet } from "../../../helpers/allIsQuiet.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { failJobForGood, lockJob } from "../../../helpers/jobsOf.ts";
import { lookUp, permitFor } from "../../../helpers/lookUp.ts";
import { type ApiLimits, beatFor, makeApi, type TestApi } from "../../../helpers/makeApi.ts";
import { failed, found, scan } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { type TrackedBook, trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

interface Made extends TrackedBook {
  readonly client: ClientBase;
  readonly api: TestApi;
}

interface Situation {
  readonly limits?: ApiLimits;
  readonly isConfigured?: boolean;
  /** What `why` must say; null: the parcel is not live, so no row. */
  readonly reason: string | null;
  /** Whether the reason has an end. */
  readonly hasEnd: boolean;
  readonly bring: (made: Made) => Promise<unknown>;
}

const fail = (made: Made, outcome = "unavailable", more = {}) =>
  lookUp(made.client, made.parcelId, (id) => failed(id, outcome, more), made.api.workerId);
const answer = (made: Made) => lookUp(made.client, made.parcelId, (id) => found(id));
const query = ({ client, api }: Made, sql: string) => client.query(sql, [api.code]);

/** A reason is a promise that somebody knows what comes next: an end in time, or a person to act. */
const SITUATIONS: Readonly<Record<string, Situation>> = {
  "is new": { reason: "due", hasEnd: true, bring: (made) => makeDue(made.client, made.parcelId) },
  "waits for its next look": { reason: "scheduled", hasEnd: true, bring: answer },
  "has a job": {
    reason: "queued",
    hasEnd: true,
    bring: async (made) => {
      await makeDue(made.client, made.parcelId);
      await dispatch(made.client);
    },
  },
  "has a job that runs": {
    reason: "looking",
    hasEnd: true,
    bring: async (made) => {
      await makeDue(made.client, made.parcelId);
      await dispatch(made.client);
      await lockJob(made.client, made.parcelId, made.api.workerId);
    },
  },
  "is being looked up": {
    reason: "looking",
    hasEnd: true,
    bring: (made) => permitFor(made.client, made.parcelId),
  },
  "is being looked up for another owner too": {
    reason: "looking",
    hasEnd: true,
    bring: async (made) => {
      await trackBook(made.client, made.api.code, { number: made.number, title: "Another" });
      await permitFor(made.client, made.parcelId);
    },
  },
  "failed and waits": { reason: "scheduled", hasEnd: true, bring: (made) => fail(made) },
  "was refused and waits": {
    reason: "scheduled",
    hasEnd: true,
    bring: (made) => fail(made, "rejected"),
  },
  "has an open circuit": {
    reason: "circuit_open",
    hasEnd: true,
    limits: { failure_threshold: 1 },
    bring: async (made) => {
      await fail(made);
      await makeDue(made.client, made.parcelId);
    },
  },
  "has a circuit held open by hand": {
    reason: "circuit_open",
    hasEnd: true,
    bring: async (made) => {
      await makeDue(made.client, made.parcelId);
      await query(made, "select bookpost_private.force_circuit($1, 'open', 'ann', 'test')");
    },
  },
  "has a circuit that has cooled down": {
    reason: "due",
    hasEnd: true,
    limits: { failure_threshold: 1 },
    bring: async (made) => {
      await fail(made);
      await ageCircuit(made.client, made.api.code, "31 minutes");
      await makeDue(made.client, made.parcelId);
    },
  },
  "waits for another's probe": {
    reason: "circuit_half_open",
    hasEnd: true,
    limits: { failure_threshold: 1 },
    bring: async (made) => {
      await fail(made);
      await ageCircuit(made.client, made.api.code, "31 minutes");
      const other = await trackBook(made.client, made.api.code);
      await permitFor(made.client, other.parcelId);
      await makeDue(made.client, made.parcelId);
    },
  },
  "has an API that told us to wait": {
    reason: "not_before",
    hasEnd: true,
    bring: async (made) => {
      await fail(made, "rate_limited");
      await makeDue(made.client, made.parcelId);
    },
  },
  "has an API out of its day": {
    reason: "no_budget",
    hasEnd: true,
    limits: { calls_per_day: 1 },
    bring: async (made) => {
      await answer(made);
      await makeDue(made.client, made.parcelId);
    },
  },
  "has a parked API": {
    reason: "parked",
    hasEnd: false,
    bring: async (made) => {
      await fail(made, "rejected", { is_api_wide: true });
      await makeDue(made.client, made.parcelId);
    },
  },
  "has an API nobody has credentials for": {
    reason: "not_configured",
    hasEnd: false,
    isConfigured: false,
    bring: (made) => makeDue(made.client, made.parcelId),
  },
  "has only a worker whose credentials were refused": {
    reason: "not_configured",
    hasEnd: false,
    bring: async (made) => {
      await fail(made, "rejected", { is_api_wide: true });
      const other = { code: made.api.code, workerId: `${made.api.workerId}_2` };
      await beatFor(made.client, other, "second credentials");
      await made.client.query("delete from bookpost_private.workers where id = $1", [
        other.workerId,
      ]);
      await makeDue(made.client, made.parcelId);
    },
  },
  "was set aside": {
    reason: "quarantined",
    hasEnd: false,
    bring: async (made) => {
      await failJobForGood(made.client, made.parcelId);
      await dispatch(made.client);
    },
  },
  "has failed for good and is not set aside yet": {
    reason: "due",
    hasEnd: true,
    bring: async (made) => {
      await makeDue(made.client, made.parcelId);
      await failJobForGood(made.client, made.parcelId);
    },
  },
  "has no API": {
    reason: "no_api",
    hasEnd: false,
    bring: (made) =>
      made.client.query(
        "update bookpost_private.checks set api_code = null, next_check_at = null, pause_reason = 'no_api' where parcel_id = $1",
        [made.parcelId],
      ),
  },
  "was interrupted": {
    reason: "due",
    hasEnd: true,
    bring: async (made) => {
      await permitFor(made.client, made.parcelId);
      await made.client.query(
        "update bookpost_private.leases set started_at = started_at - interval '1 hour', lease_until = lease_until - interval '1 hour'",
      );
      await sweep(made.client);
      await makeDue(made.client, made.parcelId);
    },
  },
  "was delivered today": {
    reason: "scheduled",
    hasEnd: true,
    bring: (made) =>
      lookUp(made.client, made.parcelId, (id) =>
        found(id, { events: [scan(ago(1), "delivered")] }),
      ),
  },
  "was stopped": {
    reason: null,
    hasEnd: false,
    bring: (made) => made.client.query("select bookpost.stop_tracking($1)", [made.bookId]),
  },
  "was delivered and is closed": {
    reason: null,
    hasEnd: false,
    bring: async (made) => {
      await lookUp(made.client, made.parcelId, (id) =>
        found(id, { events: [scan(ago(1), "delivered")] }),
      );
      await ageParcel(made.client, made.parcelId, "8 days");
      await answer(made);
    },
  },
  "was stopped and refreshed": {
    reason: "due",
    hasEnd: true,
    bring: async (made) => {
      await made.client.query("select bookpost.stop_tracking($1)", [made.bookId]);
      await made.client.query("select bookpost.refresh_book($1)", [made.bookId]);
      await makeDue(made.client, made.parcelId);
    },
  },
};

test.each(Object.entries(SITUATIONS))("a parcel that %s", async (_, situation) => {
  const client = await rolledBack(db);
  const api = await makeApi(client, situation.limits ?? {}, {
    isConfigured: situation.isConfigured ?? true,
  });
  const made = { client, api, ...(await trackBook(client, api.code)) };
  await situation.bring(made);
  const { rows } = await client.query<{ reason: string; until: Date | null }>(
    "select reason, until from bookpost_ops.why where parcel_id = $1",
    [made.parcelId],
  );
  expect(rows.map(({ reason }) => reason)).toEqual(
    situation.reason === null ? [] : [situation.reason],
  );
  if (situation.reason !== null) expect(rows[0]?.until !== null).toBe(situation.hasEnd);
  await expectQuiet(client);
});

test("names the books of those who still wait, and no others", async () => {
  const client = await rolledBack(db);
  const api = await makeApi(client);
  const first = await trackBook(client, api.code, { title: "Emma" });
  await trackBook(client, api.code, { number: first.number, title: "Persuasion" });
  const third = await trackBook(client, api.code, { number: first.number, title: "Sanditon" });
  await client.query("select bookpost.stop_tracking($1)", [third.bookId]);
  const { rows } = await client.query("select titles from bookpost_ops.why where parcel_id = $1", [
    first.parcelId,
  ]);
  expect(rows).toEqual([{ titles: "Emma, Persuasion" }]);
});

testThatAllIsQuiet(db);
