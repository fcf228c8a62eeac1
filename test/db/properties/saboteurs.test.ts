import { expect, test } from "vitest";
import { rolledBack } from "../../helpers/database.ts";
import { type Edit, sabotage } from "../../helpers/sabotage.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { historyProperties, holds } from "./histories.ts";

// The properties prove something only if they go red where the SQL is wrong. Here it is made wrong.

const RECORD = "bookpost_private.record_lookups";
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
        null::timestamptz as delivered_at, null::timestamp as delivered_local_time, null::text as delivered_time_zone
    ) f`,
    },
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
