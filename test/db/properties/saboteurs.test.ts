import type pg from "pg";
import { expect, test } from "vitest";
import { rolledBack } from "../../helpers/database.ts";
import { type Edit, sabotage } from "../../helpers/sabotage.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { changedWhileAsked, toldOfEarlierLife } from "./domainScenarios.ts";
import { historyProperties, holds } from "./histories.ts";

// The properties prove something only if they go red where the SQL is wrong. Here it is made wrong.

const RECORD = "bookpost_private.record_lookups";
const FOLD = "bookpost_private.fold_status";
const EARLIER = "bookpost_private.is_of_earlier_life";
const TELLS_ALL =
  "an answer that tells all decides, whatever shorter ones came before and after it";
const SPLIT = "scans with instants, however split, repeated and shuffled, end as if told at once";
const CONTRADICT = "answers that contradict each other end alike in any order, told once or twice";
const DELIVERED = "a later scan changes a delivery, an older one never does";

interface HistorySaboteur {
  readonly name: string;
  /** The property that goes red. */
  readonly caughtBy: string;
  readonly edit: Edit;
}

const PLACED_BY = "order by t.occurred_at is not null desc, t.sort_at desc, t.sort_rank desc,";

/** As Postgres prints it. */
const COUNTS = "(e.status <> 'unknown'::text) AND (NOT e.is_earlier)";

const saboteurs: readonly HistorySaboteur[] = [
  {
    name: "a scan keeps the place that it was told first",
    caughtBy: TELLS_ALL,
    edit: {
      function: RECORD,
      from: PLACED_BY,
      to: "order by t.occurred_at is not null desc, t.sort_at, t.sort_rank,",
    },
  },
  {
    name: "the carrier's own order is not kept",
    caughtBy: TELLS_ALL,
    edit: {
      function: RECORD,
      from: PLACED_BY,
      to: "order by t.occurred_at is not null desc, t.sort_at desc, t.sort_rank,",
    },
  },
  {
    name: "a wall clock goes before an instant that is known",
    caughtBy: CONTRADICT,
    edit: { function: RECORD, from: PLACED_BY, to: "order by t.sort_at desc, t.sort_rank desc," },
  },
  {
    name: "what the first telling left out stays out",
    caughtBy: CONTRADICT,
    edit: {
      function: RECORD,
      from: "description = coalesce(e.description, excluded.description)",
      to: "description = e.description",
    },
  },
  {
    name: "a code that we have learnt gets no stage",
    caughtBy: CONTRADICT,
    edit: {
      function: RECORD,
      from: "case when e.is_code_listed then e.status else excluded.status end",
      to: "e.status",
    },
  },
  {
    name: "a return is one only while the carrier says so",
    caughtBy: SPLIT,
    edit: {
      function: RECORD,
      from: "p.is_return or coalesce(w.is_return, false) as returns",
      to: "coalesce(w.is_return, false) as returns",
    },
  },
  {
    name: "scans that the carrier has forgotten go",
    caughtBy: SPLIT,
    edit: {
      function: RECORD,
      from: "  -- 4. The status, and who is told of it.",
      to: `  delete from bookpost.tracking_events e using unnest(v_work) w
  where e.parcel_id = w.parcel_id and w.outcome = 'updated'
    and not w.events @> jsonb_build_array(jsonb_build_object('identity', e.identity));
  -- 4. The status, and who is told of it.`,
    },
  },
  {
    name: "the scan that was learnt last decides",
    caughtBy: DELIVERED,
    edit: {
      function: RECORD,
      from: "cross join lateral bookpost_private.fold_status(w.parcel_id, p.is_return or coalesce(w.is_return, false), w.status, p.status) f",
      to: `cross join lateral (
      select coalesce(w.events -> -1 ->> 'status', p.status) as status, null::text as reason_code, false as is_action_required,
        null::timestamptz as delivered_at, null::timestamp as delivered_local_time, null::text as delivered_time_zone, false as is_set_aside
    ) f`,
    },
  },
  {
    name: "delivered is for ever",
    caughtBy: DELIVERED,
    edit: {
      function: FOLD,
      from: COUNTS,
      to: `${COUNTS} AND (e.status = 'delivered' OR NOT EXISTS (SELECT FROM scans x WHERE x.status = 'delivered'))`,
    },
  },
];

interface DomainSaboteur {
  readonly name: string;
  readonly edit: Edit;
  readonly scenario: (client: pg.ClientBase) => Promise<void>;
}

const SOMEBODY_WAITS =
  "and exists (select from bookpost.parcel_books pb where pb.parcel_id = l.parcel_id and pb.stopped_at is null)";

const domainSaboteurs: readonly DomainSaboteur[] = [
  ...(["delete", "correct"] as const).map((how) => ({
    name: `an answer lands though nobody waits for its parcel (${how})`,
    edit: { function: RECORD, from: SOMEBODY_WAITS, to: "" },
    scenario: (client: pg.ClientBase) => changedWhileAsked(client, how),
  })),
  {
    name: "a parcel is closed and its lookup keeps its lease",
    edit: {
      function: "bookpost_private.close_parcel",
      from: "where l.parcel_id = close_parcel.parcel_id\n  returning",
      to: "where l.parcel_id = close_parcel.parcel_id and false\n  returning",
    },
    scenario: (client) => changedWhileAsked(client, "cancel"),
  },
  {
    name: "a scan of any age counts",
    edit: { function: EARLIER, from: "'336:00:00'", to: "'10 years'" },
    scenario: toldOfEarlierLife,
  },
  {
    name: "what was said of when it was sent is not read",
    edit: { function: EARLIER, from: "(sent_on)::timestamp", to: "(null::date)::timestamp" },
    scenario: toldOfEarlierLife,
  },
  {
    name: "the fold counts scans of an earlier life",
    edit: { function: FOLD, from: COUNTS, to: "(e.status <> 'unknown'::text)" },
    scenario: toldOfEarlierLife,
  },
  {
    name: "the carrier's own word is believed beside scans of an earlier life",
    edit: { function: FOLD, from: "WHEN (NOT r.is_told) THEN", to: "WHEN true THEN" },
    scenario: toldOfEarlierLife,
  },
  {
    name: "who signed for the earlier parcel signs for this one",
    edit: {
      function: RECORD,
      from: "where w.outcome = 'updated' and not f.is_set_aside",
      to: "where w.outcome = 'updated'",
    },
    scenario: toldOfEarlierLife,
  },
];

const db = testDatabase();

/** The same histories each time, so that each is caught each time. */
const SEED = 1;
const RUNS = 480;

test.each(saboteurs)(
  "caught by a history: $name",
  async ({ caughtBy, edit }) => {
    const property = historyProperties.find(({ name }) => name === caughtBy);
    if (!property) throw new Error(`there is no property "${caughtBy}"`);
    const client = await rolledBack(db);
    await sabotage(client, [edit]);
    const failure = await holds(client, property, { runs: RUNS, seed: SEED }).then(
      () => null,
      ({ cause }: Error) => cause,
    );
    // An answer that is wrong, not SQL that fails.
    expect(failure).toMatchObject({ name: "AssertionError" });
  },
  60_000,
);

/** Why a scenario fails: an answer that is wrong, not SQL that fails; null where it passes. */
async function failureOf(work: Promise<void>): Promise<unknown> {
  return work.then(
    () => null,
    (error: Error) => error.name,
  );
}

test.each(domainSaboteurs)("caught by a scenario: $name", async ({ edit, scenario }) => {
  const client = await rolledBack(db);
  await client.query("savepoint before");
  expect(await failureOf(scenario(client)), "with nothing wrong").toBeNull();
  await client.query("rollback to savepoint before");
  await sabotage(client, [edit]);
  expect(await failureOf(scenario(client))).toBe("AssertionError");
});
