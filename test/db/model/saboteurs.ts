import type { Edit } from "../../helpers/sabotage.ts";

/** One way to write the SQL wrongly that one connection alone notices, step by step. */
export interface ModelSaboteur {
  readonly name: string;
  readonly edits: readonly Edit[];
  /** Where the first histories that are drawn do not meet it: a seed whose histories do soon. */
  readonly seed?: number;
  /** What the model says is wrong. */
  readonly caught: RegExp;
}

const ACQUIRE = "bookpost_private.acquire_lookups";
const RECORD = "bookpost_private.record_lookups";
const RELEASE = "bookpost_private.release_lookups";
const REPORT = "bookpost_private.report_to_circuit";
const MOVE = "bookpost_private.move_circuit";
const PAY = "bookpost_private.pay_call";
const INTERRUPT = "bookpost_private.interrupt_lookups";
const HOLDS = "bookpost_private.end_expired_holds";

const edit = (name: string, from: string, to: string): Edit => ({ function: name, from, to });

export const modelSaboteurs: readonly ModelSaboteur[] = [
  {
    name: "no generation check",
    seed: 7,
    edits: [
      edit(
        REPORT,
        "continue when generations[i] <> v_circuit.generation or v_circuit.is_forced;",
        "continue when v_circuit.is_forced;",
      ),
    ],
    caught: /facts\.circuit\./,
  },
  {
    name: "a move does not raise the generation",
    edits: [edit(MOVE, "generation = c.generation + 1,", "generation = c.generation,")],
    caught: /a move without a generation/,
  },
  {
    name: "failures are counted per lookup, not per request",
    edits: [
      edit(
        REPORT,
        "if not coalesce(v_batches[i] = any (v_failed_batches), false) then",
        "if true then",
      ),
    ],
    caught: /facts\.circuit\.failures/,
  },
  {
    name: "one parcel that fails shuts it for all",
    edits: [edit(REPORT, ">= least(2, v_api.failure_threshold)", ">= 1")],
    caught: /facts\.circuit\.state: the model says "closed", the database "open"/,
  },
  {
    name: "a lone parcel can never open it",
    edits: [edit(REPORT, ") < 2\n", ") < 0\n")],
    caught: /facts\.circuit\.state: the model says "open", the database "closed"/,
  },
  {
    name: "an answer does not end a row of failures",
    edits: [
      edit(
        REPORT,
        "      if effects[i] = 'success' then\n        v_count := 0;",
        "      if effects[i] = 'success' then\n        v_count := v_count;",
      ),
    ],
    caught: /facts\.circuit\./,
  },
  {
    name: "permits are granted while it is open",
    edits: [
      edit(
        ACQUIRE,
        "v_refusal := v_hold.reason;",
        "v_refusal := nullif(v_hold.reason, 'circuit_open');",
      ),
      edit(
        ACQUIRE,
        "if verdict is null and v_circuit.state <> 'closed' then",
        "if verdict is null and v_circuit.state = 'half_open' then",
      ),
    ],
    caught: /a permit while open|a request while open/,
  },
  {
    name: "a failed probe does not double the cooldown",
    edits: [
      edit(
        REPORT,
        "open_for => least(v_circuit.cooldown * 2, v_api.max_cooldown)",
        "open_for => v_circuit.cooldown",
      ),
    ],
    caught: /facts\.circuit\.openIn/,
  },
  {
    name: "the cooldown has no longest",
    seed: 4,
    edits: [
      edit(
        REPORT,
        "cooldown => least(v_circuit.cooldown * 2, v_api.max_cooldown)\n",
        "cooldown => v_circuit.cooldown * 2\n",
      ),
    ],
    caught: /facts\.circuit\.cooldown/,
  },
  {
    name: "the parcel that failed last is the probe while another is due",
    edits: [
      edit(ACQUIRE, "k.parcel_id is not distinct from v_worst_probe, v_circuit", "v_circuit"),
      edit(
        ACQUIRE,
        "elsif v_is_better_due and v_check.parcel_id = v_worst_probe then",
        "elsif false then",
      ),
    ],
    caught: /told\.0\.\d: the model says/,
  },
  {
    name: "a probe that is given back keeps its place",
    seed: 3,
    edits: [edit(RELEASE, "where l.is_probe order", "where false order")],
    caught: /facts\.circuit\.state: the model says "open", the database "half_open"/,
  },
  {
    name: "no fence: the ledger is as good as a lease",
    edits: [
      edit(
        RECORD,
        "select coalesce(array_agg(gone::bookpost_private.leases), '{}') into v_leases from gone;",
        `select coalesce(array_agg(held::bookpost_private.leases), '{}') into v_leases
  from (
    select gone.* from gone
    union all
    select k.parcel_id, k.id, k.batch_id, k.api_code, k.generation, k.is_probe, k.worker_id, k.started_at, k.started_at,
      k.started_at + interval '1 minute', k.calls
    from bookpost_private.lookups k where k.id = any (v_ids)
  ) held;`,
      ),
    ],
    caught: /told\.0\.[-0-9a-f]{36}: the model says undefined/,
  },
  {
    name: "the refund of a permit that was given back is forgotten",
    edits: [
      edit(
        RELEASE,
        "day_calls = greatest(0, b.day_calls - v_lease.released)",
        "day_calls = b.day_calls",
      ),
    ],
    caught: /facts\.budget\.calls/,
  },
  {
    name: "what was paid for and not sent is forgotten",
    edits: [edit(RECORD, "greatest(0, b.day_calls + v_api.extra_calls)", "b.day_calls")],
    caught: /facts\.budget\.calls/,
  },
  {
    name: "a further call that is paid is not counted",
    edits: [edit(PAY, "perform bookpost_private.write_allowance(v_allowance);", "")],
    caught: /facts\.budget\.calls/,
  },
  {
    name: "every lookup of a batch pays for a request",
    edits: [edit(ACQUIRE, "v_room := v_api.batch_size;", "v_room := 1;")],
    caught: /facts\./,
  },
  {
    name: "a later refusal shortens the wait that the carrier asked for",
    seed: 6,
    edits: [
      edit(
        RECORD,
        "not_before = case when v_api.not_before > coalesce(b.not_before, '-infinity') then",
        "not_before = case when v_api.not_before is not null then",
      ),
    ],
    caught: /facts\.budget\.notBefore/,
  },
  {
    name: "an interrupted lookup's parcel is not due again",
    edits: [edit(INTERRUPT, "then greatest(v_now,", "then greatest(v_now + interval '1 hour',")],
    caught: /facts\.parcels\.\d\.isDue/,
  },
  {
    name: "a hold by hand has no end",
    seed: 7,
    edits: [edit(HOLDS, "c.forced_until <= clock_timestamp()", "false")],
    caught: /facts\.circuit\./,
  },
  {
    name: "a permit from before the opening is confirmed",
    seed: 3,
    edits: [
      edit(
        "bookpost_private.confirm_lookups",
        "WHEN (c.generation <> l.generation)",
        "WHEN (false)",
      ),
    ],
    caught: /told\.0\..*: the model says "circuit_open"/,
  },
];
