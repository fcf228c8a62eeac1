import type { TestDatabase } from "../../helpers/database.ts";
import { type Edit, PAUSE } from "../../helpers/sabotage.ts";
import * as interleavings from "./interleavings.ts";
import { giveBackWhileRecorded } from "./lockOrder.ts";
import { askBesideApp, recordBesideApp } from "./openTransactions.ts";

/** One way to write the SQL wrongly that only another connection notices. */
export interface RaceSaboteur {
  readonly name: string;
  /** Where the first of two clients stops, so that the second comes in between. */
  readonly pause?: Edit;
  readonly edits: readonly Edit[];
  /** Passes with the pause alone. */
  readonly scenario: (db: TestDatabase) => Promise<void>;
  /** How it goes red. */
  readonly caught: RegExp;
}

const ACQUIRE = "bookpost_private.acquire_lookups";
const RECORD = "bookpost_private.record_lookups";
const RELEASE = "bookpost_private.release_lookups";
const REPORT = "bookpost_private.report_to_circuit";
const CLAIM = "bookpost_private.claim_probe";
const PAY = "bookpost_private.pay_call";

const COUNT_LOCK = `select * into strict v_circuit from bookpost.carrier_circuits c where c.api_code = report_to_circuit.api_code for no key update;`;
const BUDGET_LOCK = `order by b.api_code
  for no key update;`;
const PROBE_STATE = `
    and ((c.state = 'open' and c.open_until <= v_now) or (c.state = 'half_open' and c.probe_until <= v_now))
  for no key update of c skip locked;`;
const PROBES_BACK = `  for v_lease in select l.* from unnest(v_leases) l where l.is_probe order by l.api_code loop
    perform bookpost_private.release_probe(v_lease.api_code, v_lease.lookup_id, 'the probe was not sent: ' || release_lookups.reason);
  end loop;
`;

const beforeTheProbe: Edit = {
  function: CLAIM,
  from: "  -- skip locked: whoever finds the row taken",
  to: `  perform ${PAUSE};\n  -- skip locked: whoever finds the row taken`,
};
const afterReadingWhatIsLeft: Edit = {
  function: ACQUIRE,
  from: "foreach v_check in array v_ready loop",
  to: `perform ${PAUSE};\n    foreach v_check in array v_ready loop`,
};
const budgetUnlocked: Edit = { function: ACQUIRE, from: BUDGET_LOCK, to: "order by b.api_code;" };
const afterReadingTheCount: Edit = {
  function: REPORT,
  from: "  v_count := v_circuit.consecutive_failures;",
  to: `  perform ${PAUSE};\n  v_count := v_circuit.consecutive_failures;`,
};

export const raceSaboteurs: readonly RaceSaboteur[] = [
  {
    name: "locks in another order: probes given back before the budgets",
    edits: [
      { function: RELEASE, from: PROBES_BACK, to: "" },
      {
        function: RELEASE,
        from: "  for v_lease in\n    -- Not where requests are shared",
        to: `${PROBES_BACK}  for v_lease in\n    -- Not where requests are shared`,
      },
    ],
    scenario: giveBackWhileRecorded,
    caught: /40P01 deadlock detected/,
  },
  {
    name: "lease anti-join and skip locked in one statement",
    pause: {
      function: ACQUIRE,
      from: `where k.parcel_id = any (acquire_lookups.parcel_ids)
    order by k.parcel_id`,
      to: `where k.parcel_id = any (acquire_lookups.parcel_ids) and ${PAUSE}
    order by k.parcel_id`,
    },
    edits: [
      {
        function: ACQUIRE,
        from: `and ${PAUSE}\n`,
        to: `and ${PAUSE}
      and not exists (select from bookpost_private.leases l where l.parcel_id = k.parcel_id)\n`,
      },
      {
        function: ACQUIRE,
        from: "        when exists (select from bookpost_private.leases l where l.parcel_id = i.id) then 'busy'\n",
        to: "",
      },
      {
        function: ACQUIRE,
        from: "      or exists (select from bookpost_private.leases l where l.parcel_id = i.id)\n",
        to: "",
      },
    ],
    scenario: interleavings.twoAskForOne,
    caught: /23505 .*leases_pkey/,
  },
  {
    name: "acquire waits for a parcel that another has in hand",
    edits: [
      {
        function: ACQUIRE,
        from: "order by k.parcel_id\n    for no key update skip locked",
        to: "order by k.parcel_id\n    for no key update",
      },
    ],
    scenario: askBesideApp,
    caught: /it waits for another's transaction/,
  },
  {
    name: "record waits for a parcel that another has in hand",
    edits: [
      {
        function: RECORD,
        from: "order by k.parcel_id\n    for no key update skip locked",
        to: "order by k.parcel_id\n    for no key update",
      },
    ],
    scenario: recordBesideApp,
    caught: /it waits for another's transaction/,
  },
  {
    name: "the probe is waited for instead of left to who has the circuit",
    edits: [
      {
        function: CLAIM,
        from: "for no key update of c skip locked",
        to: "for no key update of c",
      },
    ],
    scenario: interleavings.askBesideForce,
    caught: /it waits for another's transaction/,
  },
  {
    name: "the count is read, then written, without the lock",
    pause: afterReadingTheCount,
    edits: [
      { function: REPORT, from: COUNT_LOCK, to: COUNT_LOCK.replace(" for no key update", "") },
    ],
    scenario: interleavings.twoFailAtOnce,
    caught: /1 of 2 failures counted/,
  },
  {
    name: "the circuit is read with skip locked",
    pause: afterReadingTheCount,
    edits: [
      {
        function: REPORT,
        from: COUNT_LOCK,
        to: `${COUNT_LOCK.replace("into strict", "into").replace(";", " skip locked;")}
  if not found then
    return;
  end if;`,
      },
    ],
    scenario: interleavings.twoFailAtOnce,
    caught: /1 of 2 failures counted/,
  },
  {
    name: "the probe is claimed whatever the circuit's state",
    pause: beforeTheProbe,
    edits: [{ function: CLAIM, from: PROBE_STATE, to: "\n  for no key update of c skip locked;" }],
    scenario: interleavings.lateAnswerBesideNextProbe,
    // It has no time of opening, which the table's own constraint notices.
    caught: /23514 .*carrier_circuits_state_and_times_agree/,
  },
  {
    name: "the probe is claimed without its state and without skip locked, and the budget is not locked",
    pause: beforeTheProbe,
    edits: [
      budgetUnlocked,
      { function: CLAIM, from: PROBE_STATE, to: "\n  for no key update of c;" },
    ],
    scenario: interleavings.twoAskForTheProbe,
    caught: /2 probes/,
  },
  {
    name: "the day's count is read without the budget's lock",
    pause: afterReadingWhatIsLeft,
    edits: [budgetUnlocked],
    scenario: (db) => interleavings.twoAskForTheLastCall(db, { calls_per_day: 1 }),
    caught: /2 permits where 1 was left/,
  },
  {
    name: "the calls in flight are counted without the budget's lock",
    pause: afterReadingWhatIsLeft,
    edits: [budgetUnlocked],
    scenario: (db) => interleavings.twoAskForTheLastCall(db, { calls_in_flight: 1 }),
    caught: /2 permits where 1 was left/,
  },
  {
    name: "a further call is paid without the budget's lock",
    pause: {
      function: PAY,
      from: "    -- What has begun is finished",
      to: `    perform ${PAUSE};\n    -- What has begun is finished`,
    },
    edits: [
      {
        function: PAY,
        from: "where b.api_code = v_lease.api_code for no key update;",
        to: "where b.api_code = v_lease.api_code;",
      },
    ],
    scenario: interleavings.twoPayForTheLastCall,
    caught: /2 calls paid where 1 was left/,
  },
  {
    name: "the lease is read and deleted in two steps, without the parcel's lock",
    pause: {
      function: RECORD,
      from: "  v_stale := coalesce(array_length(v_ids, 1), 0)",
      to: `  perform ${PAUSE};\n  v_stale := coalesce(array_length(v_ids, 1), 0)`,
    },
    edits: [
      {
        function: RECORD,
        from: "order by k.parcel_id\n    for no key update skip locked",
        to: "order by k.parcel_id",
      },
      {
        function: RECORD,
        from: `  with gone as (
    delete from bookpost_private.leases l
    where l.lookup_id = any (v_ids) and l.parcel_id = any (v_locked)
      and exists (select from bookpost.parcel_books pb where pb.parcel_id = l.parcel_id and pb.stopped_at is null)
    returning l.*
  )
  select`,
        to: `  with gone as (
    select l.* from bookpost_private.leases l where l.lookup_id = any (v_ids) and l.parcel_id = any (v_locked)
  )
  select`,
      },
      {
        function: RECORD,
        from: "  -- 3. The scans.",
        to: "  delete from bookpost_private.leases l where l.lookup_id = any (v_ids);\n  -- 3. The scans.",
      },
    ],
    scenario: interleavings.reportedTwice,
    caught: /written 2 times/,
  },
];
