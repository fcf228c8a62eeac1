import type { Guarantee, Proof } from "../claim.ts";
import type { FileEdit } from "./brokenProject.ts";

/** One way to break a promise in the code, and the test that has to notice. */
export interface Saboteur {
  /** What is wrong, in a few words. No two alike. */
  readonly name: string;
  readonly breaks: Guarantee["id"];
  readonly edits: readonly FileEdit[];
  /** The smallest test that goes red. */
  readonly caughtBy: Proof;
  /** How it goes red: a failed expectation, or a wait with its name; never code that does not run. */
  readonly caught: RegExp;
}

const TRACKER = "src/tracking/tracker.ts";
const HEARTBEAT = "src/ops/heartbeat.ts";
const CIRCUIT = "migrations/committed/000007-circuit.sql";
const ACQUIRE = "migrations/committed/000016-acquire.sql";
const DISPATCH = "migrations/committed/000015-dispatch.sql";
const INTERRUPTIONS = "migrations/committed/000012-interruptions.sql";
const LIVENESS = "migrations/committed/000013-liveness.sql";
const HOUSEKEEPING = "migrations/committed/000011-housekeeping.sql";
const PARCELS = "migrations/committed/000004-parcels.sql";
const DELIVERIES = "migrations/committed/000021-deliveries.sql";
const SENDING = "migrations/committed/000022-sending.sql";
const RECORD = "migrations/committed/000017-record.sql";
const SQL = "db/bookpost_private/functions";

const proof = (file: string, title: string): Proof => ({ file: `test/${file}.test.ts`, title });

const edit = (file: string, from: string, to: string): FileEdit => ({ file, from, to });

const GENERATION_CHECK =
  "continue when generations[i] <> v_circuit.generation or v_circuit.is_forced;";

const ASK = "const result = await request.resultOf(permit.lookupId, { signal, beforeRequest });";

/**
 * What is broken in programs, settings and migrations, for tests that meet them from outside. The SQL's decisions are
 * broken one by one where their tests are: the promises name both (guarantees.ts).
 */
export const saboteurs: readonly Saboteur[] = [
  {
    name: "dispatch takes what it has queued for looked up",
    breaks: "P1",
    edits: [
      edit(
        DISPATCH,
        "    dispatched := coalesce(array_length(v_chosen, 1), 0);\n",
        `    dispatched := coalesce(array_length(v_chosen, 1), 0);
    update bookpost_private.checks c set next_check_at = v_now + interval '1 hour' where c.parcel_id = any (v_chosen);\n`,
      ),
    ],
    caughtBy: proof(`${SQL}/dispatch`, "again when the first was lost with the whole queue"),
    caught: /AssertionError: .*to match object \{ dispatched: 5 \}/,
  },
  {
    name: "nobody takes a silent worker for dead",
    breaks: "P2",
    edits: [edit(LIVENESS, "return interval '5 seconds';", "return interval '1 hour';")],
    caughtBy: proof(
      "e2e/workers",
      "that is killed: another asks about what it had under way, and the answer is written down once",
    ),
    caught: /still not true: the other has the answer/,
  },
  {
    name: "workers beat and do not sweep",
    breaks: "P2",
    edits: [
      edit(
        HEARTBEAT,
        "if (failingSince === null) sweeping.run(() => sweepOnce(beats++));",
        "if (failingSince === null && beats < 0) sweeping.run(() => sweepOnce(beats++));",
      ),
    ],
    caughtBy: proof(
      "ops/heartbeat",
      "it beats and sweeps every second, looks for strays every fifth, and signs off at the end",
    ),
    caught: /AssertionError/,
  },
  {
    name: "a lease has no end",
    breaks: "P3",
    edits: [edit(LIVENESS, "where l.lease_until < v_now\n", "where false\n")],
    caughtBy: proof(
      "db/bookpost_ops/views/stuck",
      "a lease ten seconds past its end is listed, and gone after a sweep",
    ),
    caught: /AssertionError: expected \[ 'lease' \] to deeply equal \[\]/,
  },
  {
    name: "nobody frees the job of one who died before its first beat",
    breaks: "P3",
    edits: [
      edit(DISPATCH, "perform bookpost_private.sweep(true);", "perform bookpost_private.sweep();"),
    ],
    caughtBy: proof(
      "db/bookpost_ops/views/stuck",
      "a job held by a worker that does not live is listed, and free after the next dispatch",
    ),
    caught: /AssertionError: expected \[ 'job' \] to deeply equal \[\]/,
  },
  {
    name: "a worker takes jobs before anybody knows that it lives",
    breaks: "P2",
    edits: [
      edit(
        "src/ops/workerPlugin.ts",
        "if (queuePool !== null) holdBack(queuePool, opening);",
        "void opening;",
      ),
    ],
    caughtBy: proof("e2e/workers", "takes no job before its first beat"),
    caught: /AssertionError: expected \d to be 3/,
  },
  {
    name: "stale answers are not counted",
    breaks: "P4",
    edits: [edit(RECORD, "  if v_stale > 0 then\n", "  if false then\n")],
    caughtBy: proof(
      `${SQL}/record_lookups`,
      "a late answer changes nothing in any table, and is counted",
    ),
    caught: /AssertionError/,
  },
  {
    name: "a transaction is open while the carrier is asked",
    breaks: "P6",
    edits: [
      edit(
        TRACKER,
        ASK,
        `const held = await pool.connect();
      await held.query("begin; select pg_current_xact_id()");
      ${ASK.replace(";", ".finally(() => held.query('commit').finally(() => held.release()));")}`,
      ),
    ],
    caughtBy: proof(
      "e2e/slowCarrier",
      "while a carrier holds its reply, no connection is in a transaction",
    ),
    caught: /AssertionError: expected \[.*\] to deeply equal \[\]/s,
  },
  {
    name: "a connection is held while the carrier is asked",
    breaks: "P6",
    edits: [
      edit(
        TRACKER,
        ASK,
        `const held = await pool.connect();
      ${ASK.replace(";", ".finally(() => held.release());")}`,
      ),
    ],
    caughtBy: proof(
      "e2e/slowCarrier",
      "a carrier that answers nobody holds as many requests as it may, and the others' parcels go on",
    ),
    caught:
      /still not true: (it holds all it may|the others are found)|AssertionError: expected \{ held: /,
  },
  {
    name: "a report whose reply was lost is not sent again",
    breaks: "P7",
    edits: [
      edit(
        "src/tracking/recordSafely.ts",
        "await persist(() => recordLookups(db, reports, workerId))",
        "await recordLookups(db, reports, workerId)",
      ),
    ],
    caughtBy: proof(
      "tracking/recordSafely",
      "where the commit arrived and its reply was lost, nothing is written twice",
    ),
    caught: /^Error: after ECONNRESET/,
  },
  {
    // Two edits, since it is fenced off twice: by the stop and by the recording.
    name: "the answer about a parcel that was stopped lands",
    breaks: "P8",
    edits: [
      edit(
        HOUSEKEEPING,
        "delete from bookpost_private.leases l where l.parcel_id = close_parcel.parcel_id\n",
        "delete from bookpost_private.leases l where false\n",
      ),
      edit(
        RECORD,
        "\n      and exists (select from bookpost.parcel_books pb where pb.parcel_id = l.parcel_id and pb.stopped_at is null)\n    returning l.*",
        "\n    returning l.*",
      ),
    ],
    caughtBy: proof(
      "db/bookpost/functions/stop_tracking",
      "a lookup in flight is fenced off by the stop",
    ),
    caught: /AssertionError/,
  },
  {
    name: "a worker that cannot reach the database lives on",
    breaks: "P9",
    edits: [edit(HEARTBEAT, "const LOST_AFTER_MS = 15_000;", "const LOST_AFTER_MS = 3_600_000;")],
    caughtBy: proof(
      "ops/heartbeat",
      "a worker that has not reached Postgres for 15 seconds is lost, and hears of it once",
    ),
    caught: /AssertionError: expected \[\] to deeply equal/,
  },
  {
    name: "a worker that the queue does not answer lives on",
    breaks: "P9",
    edits: [edit(HEARTBEAT, "const IDLE_BEATS = 15;", "const IDLE_BEATS = 3_600;")],
    caughtBy: proof(
      "ops/heartbeat",
      "a worker with room that has not been able to ask for jobs for 15 seconds is lost",
    ),
    caught: /AssertionError: expected \[\] to deeply equal/,
  },
  {
    name: "a connection that does not answer is put back into its pool",
    breaks: "P9",
    edits: [
      edit(
        "src/db/pool.ts",
        'message === NO_ANSWER ? "dead" : null',
        "message === NO_ANSWER ? null : null",
      ),
    ],
    caughtBy: proof("db/pool", "fails in time and is not used again: %s"),
    caught: /Query read timeout/,
  },
  {
    name: "a worker that is lost ends with 0",
    breaks: "P9",
    edits: [
      edit(
        "src/ops/workerPlugin.ts",
        '      onError("this worker ends", error);\n      process.exit(1);',
        '      onError("this worker ends", error);\n      process.exit(0);',
      ),
    ],
    caughtBy: proof(
      "e2e/workers",
      "that cannot reach Postgres, though every connection stays open, ends by itself with 1",
    ),
    caught: /AssertionError: expected \+?0 to be 1/,
  },
  {
    name: "permits are granted while the circuit is open",
    breaks: "P10",
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
    caughtBy: proof(`${SQL}/report_to_circuit`, "nobody gets a permit, and asking writes nothing"),
    caught: /AssertionError/,
  },
  {
    name: "a lost probe keeps its place for ever",
    breaks: "P11",
    edits: [
      edit(LIVENESS, "where c.state = 'half_open' and c.probe_until < v_now\n", "where false\n"),
    ],
    caughtBy: proof(
      "db/bookpost_ops/views/stuck",
      "a probe ten seconds past its end is listed, and gone after a sweep",
    ),
    caught: /AssertionError: expected \[ 'probe' \] to deeply equal \[\]/,
  },
  {
    name: "an answer closes the circuit, whenever it was asked for",
    breaks: "P12",
    edits: [
      edit(
        CIRCUIT,
        GENERATION_CHECK,
        `continue when v_circuit.is_forced;
    if v_circuit.state = 'open' and effects[i] = 'success' then
      perform bookpost_private.move_circuit(api_code, 'closed', 'somebody was answered', array[lookup_ids[i]]);
    end if;`,
      ),
    ],
    caughtBy: proof(
      `${SQL}/report_to_circuit`,
      "a success of a lookup that began before the opening does not close it",
    ),
    caught: /AssertionError/,
  },
  {
    name: "failures from before the opening are counted",
    breaks: "P12",
    edits: [edit(CIRCUIT, GENERATION_CHECK, "continue when v_circuit.is_forced;")],
    caughtBy: proof(
      `${SQL}/report_to_circuit`,
      "failures of lookups from before the opening are not counted",
    ),
    caught: /AssertionError/,
  },
  {
    name: "a wrong clock is tolerated",
    breaks: "P13",
    edits: [edit("src/ops/clockGuard.ts", "if (isWrong) jobsAndIdentifiers.length = 0;", "")],
    caughtBy: proof(
      "ops/clockGuard",
      "a clock that is %s ms ahead leaves the crontab to others, and says why",
    ),
    caught: /AssertionError: expected \[ 'dispatch', 'maintain' \] to deeply equal \[\]/,
  },
  {
    name: "nobody guards a worker's crontab",
    breaks: "P13",
    edits: [
      edit(
        "src/ops/workerPlugin.ts",
        "const unguard = guardCrontab(events, clock, onWarning);",
        "const unguard = () => {};",
      ),
    ],
    caughtBy: proof(
      "e2e/workers",
      "whose clock is an hour ahead leaves the timetable to others, and does the work",
    ),
    caught: /AssertionError: expected \[ 'dispatch' \] to deeply equal \[\]/,
  },
  {
    name: "the timetable that a fast clock has spoilt is left as it is",
    breaks: "P13",
    edits: [edit(LIVENESS, "  perform bookpost_private.repair_timetable();\n", "")],
    caughtBy: proof(
      `${SQL}/repair_timetable`,
      "the crontab's job that a fast clock has put into the future is due now",
    ),
    caught: /AssertionError/,
  },
  {
    name: "calls are told by the worker's clock",
    breaks: "P13",
    edits: [
      edit(
        "src/tracking/reportFrom.ts",
        "Math.max(0, now.getTime() - call.startedAt.getTime())",
        "call.startedAt.getTime()",
      ),
    ],
    caughtBy: proof(
      "tracking/reportFrom",
      "are told by their age, so that only the database's clock counts",
    ),
    caught: /AssertionError/,
  },
  {
    name: "an instant is made up for a wall clock without a zone",
    breaks: "P14",
    edits: [
      edit(
        "src/carriers/carrierTime.ts",
        "occurredAt: timeZone === null ? null : toInstant({ date, time }, timeZone),",
        'occurredAt: toInstant({ date, time }, timeZone ?? "UTC"),',
      ),
    ],
    caughtBy: proof("carriers/carrierTime", "timeFromIso"),
    caught: /AssertionError/,
  },
  {
    name: "an instant is read in the session's time zone",
    breaks: "P14",
    edits: [
      edit(
        RECORD,
        "w.parcel_id, n.identity, n.occurred_at, n.local_time, n.time_zone, n.is_date_only, n.raw_time, n.status, n.raw_code,",
        "w.parcel_id, n.identity, n.occurred_at::timestamp at time zone 'UTC', n.local_time, n.time_zone, n.is_date_only, n.raw_time, n.status, n.raw_code,",
      ),
    ],
    caughtBy: proof(
      `${SQL}/record_lookups.status`,
      "in a session of time zone %s and date style %s the times are the same",
    ),
    caught: /AssertionError/,
  },
  {
    name: "the oldest scan decides",
    breaks: "P15",
    edits: [
      edit(
        RECORD,
        "where e.status <> 'unknown' and not e.is_earlier\n    order by e.sort_at desc,",
        "where e.status <> 'unknown' and not e.is_earlier\n    order by e.sort_at,",
      ),
    ],
    caughtBy: proof(
      `${SQL}/record_lookups.status`,
      "a later scan undoes it, and the time of delivery goes with it",
    ),
    caught: /AssertionError/,
  },
  {
    name: "what the carrier has forgotten is forgotten",
    breaks: "P16",
    edits: [
      edit(
        RECORD,
        "  -- 4. The status, and who is told of it.\n",
        `  delete from bookpost.tracking_events e using unnest(v_work) w
  where e.parcel_id = w.parcel_id and w.outcome = 'updated'
    and not w.events @> jsonb_build_array(jsonb_build_object('identity', e.identity));
  -- 4. The status, and who is told of it.\n`,
      ),
    ],
    caughtBy: proof(
      `${SQL}/record_lookups.status`,
      "a history that the carrier has forgotten does not undo it",
    ),
    caught: /AssertionError/,
  },
  {
    name: "owners are told again at each answer",
    breaks: "P17",
    edits: [
      edit(
        "migrations/committed/000019-notifications.sql",
        "unique nulls not distinct (user_id, book_id, parcel_id, status_version, notice_version)",
        "unique nulls not distinct (user_id, book_id, parcel_id, status_version, notice_version, id)",
      ),
      edit(
        RECORD,
        "select array_agg(c.id) filter (where c.is_new), array_agg",
        "select array_agg(c.id), array_agg",
      ),
    ],
    caughtBy: proof(
      `${SQL}/record_lookups.notifications`,
      "every owner of the parcel is told of each new stage once",
    ),
    caught: /AssertionError/,
  },
  {
    name: "an attempt ends a message that another one is sending",
    breaks: "P17",
    edits: [
      edit(
        SENDING,
        "and d.state = 'sending' and d.attempt_count = end_delivery.attempt",
        "and d.state = 'sending'",
      ),
    ],
    caughtBy: proof(
      `${SQL}/end_delivery.attempts`,
      "what an attempt tells counts only while it is the last, and once",
    ),
    caught: /AssertionError/,
  },
  {
    name: "messages are queued for those who said no",
    breaks: "P17",
    edits: [
      edit(
        DELIVERIES,
        " and c.is_configured and bookpost_private.why_not_reached(u, c.channel) is null",
        " and c.is_configured",
      ),
    ],
    caughtBy: proof(
      `${SQL}/queue_deliveries.consent`,
      "for one who %s nothing is queued but what she may be sent",
    ),
    caught: /AssertionError/,
  },
  {
    name: "messages have no cap",
    breaks: "P18",
    edits: [edit(SENDING, "if v_channel.cap_per_hour is not null then", "if false then")],
    caughtBy: proof(
      `${SQL}/queue_deliveries.consent`,
      "what is over the cap of the hour is told in one digest",
    ),
    caught: /AssertionError/,
  },
  {
    name: "news that wait are told though newer ones have come",
    breaks: "P18",
    edits: [
      edit(
        SENDING,
        "where not (c.supersedes and exists (",
        "where not (c.supersedes and false and exists (",
      ),
    ],
    caughtBy: proof(
      "e2e/notifications",
      "after days without a mail server everyone is told the present stage once, and few connections were tried meanwhile",
    ),
    caught: /AssertionError/,
  },
  {
    name: "dispatch does not look at what is queued already",
    breaks: "P19",
    edits: [
      edit(
        DISPATCH,
        "where not exists (select from queued q where q.parcel_id = d.parcel_id)\n          and not exists",
        "where not exists",
      ),
    ],
    caughtBy: proof(`${SQL}/dispatch`, "and no second one while a worker runs the first"),
    caught: /AssertionError: .*to match object \{ dispatched: \+?0 \}/,
  },
  {
    name: "a circuit that has closed lets all go at once",
    breaks: "P19",
    edits: [
      edit(
        "migrations/committed/000009-budgets.sql",
        "if v_circuit.state = 'closed' and v_circuit.released_at > v_now - v_api.release_duration then",
        "if false then",
      ),
    ],
    caughtBy: proof(
      `${SQL}/gate`,
      "what is due goes out slowly at first, and all of it by the end of ten minutes",
    ),
    caught: /AssertionError: expected 400 to be 10/,
  },
  {
    name: "a parcel whose job failed for good is left as it is",
    breaks: "P20",
    edits: [edit(DISPATCH, "  perform bookpost_private.quarantine_failed_parcels();\n", "")],
    caughtBy: proof(
      `${SQL}/quarantine_failed_parcels`,
      "a parcel whose job failed for good is set aside, visibly, and not dispatched again",
    ),
    caught: /AssertionError/,
  },
  {
    name: "a parcel that kills its workers is never set aside",
    breaks: "P20",
    edits: [edit(INTERRUPTIONS, "\nreturn 1;\n", "\nreturn 1000000;\n")],
    caughtBy: proof(
      `${SQL}/try_quarantined_parcel`,
      "one death over a parcel is none of its doing yet, two in a row set it aside, visibly",
    ),
    caught: /AssertionError/,
  },
  {
    name: "one bad report spoils its batch",
    breaks: "P20",
    edits: [
      edit(
        "src/tracking/recordSafely.ts",
        "return reports.length > 1\n          ? recordHalves(db, reports, workerId)\n          : recordOne(db, reports[0] as LookupReport, workerId, code);",
        "return (await Promise.all(reports.map((report) => recordOne(db, report, workerId, code)))).flat();",
      ),
    ],
    caughtBy: proof(
      "tracking/recordSafely",
      "one bad report of 64: it is recorded as malformed without scans, the other 63 as they are",
    ),
    caught: /AssertionError/,
  },
  {
    name: "a worker ends by the signal that asked it to stop",
    breaks: "P21",
    edits: [
      edit(
        "src/ops/endProcessInOrder.ts",
        "      for (const signal of SIGNALS) process.on(signal, onSignal);\n",
        "",
      ),
    ],
    caughtBy: proof(
      "e2e/workers",
      "that is asked to stop writes down what is under way, begins nothing more and ends with 0",
    ),
    caught: /AssertionError: .*signal/s,
  },
  {
    name: "a stop breaks off what is under way",
    breaks: "P21",
    edits: [
      edit(
        "src/ops/workerPreset.ts",
        "gracefulShutdownAbortTimeout: 5_000,",
        "gracefulShutdownAbortTimeout: 1,",
      ),
    ],
    caughtBy: proof(
      "e2e/workers",
      "that is asked to stop writes down what is under way, begins nothing more and ends with 0",
    ),
    caught: /AssertionError: expected \[ 'pending', 'pending' \] to deeply equal/,
  },
  {
    name: "the product does not wait for its worker",
    breaks: "P21",
    edits: [
      edit(
        "src/ops/start.ts",
        "beginning.then(() => stopServices(started)),",
        "beginning.then(() => started.api?.stop()),",
      ),
    ],
    caughtBy: proof(
      "e2e/start",
      "a lookup that is under way at the signal is written down before Postgres stops",
    ),
    caught: /AssertionError/,
  },
  {
    name: "migrators do not wait for each other",
    breaks: "P22",
    edits: [
      edit(
        "src/ops/migrate.ts",
        '    await client.query("select pg_advisory_lock($1)", [MIGRATION_LOCK]);\n',
        "",
      ),
    ],
    caughtBy: proof(
      "ops/migrate",
      "of three that migrate one empty database at once one does it all, and the others wait and find nothing to do",
    ),
    caught: /^Error: Failed to get exclusive lock/,
  },
  {
    name: "a database that another version has migrated is migrated",
    breaks: "P22",
    edits: [
      edit(
        "src/ops/migrate.ts",
        "    refuseStrange(strange);\n",
        "    if (strange.length > 1_000) refuseStrange(strange);\n",
      ),
    ],
    caughtBy: proof(
      "ops/migrate",
      "a database that another version has migrated is refused, by the name of the file",
    ),
    caught: /promise resolved .* instead of rejecting/s,
  },
  {
    name: "a worker works on a schema that it does not know",
    breaks: "P22",
    edits: [
      edit("src/ops/testWorker.ts", "if (strange.length > 0)", "if (strange.length > 1_000)"),
    ],
    caughtBy: proof("ops/testWorker", "a database that %s is refused, by its name"),
    caught: /promise resolved .* instead of rejecting/s,
  },
  {
    name: "every member sees every book",
    breaks: "P23",
    edits: [
      edit(
        "migrations/committed/000002-people-and-books.sql",
        "using (owner_id = (select bookpost.current_user_id()));",
        "using (true);",
      ),
    ],
    caughtBy: proof("db/security/matrix", "%s sees what her line says"),
    caught: /AssertionError/,
  },
  {
    name: "every member's scans are everybody's",
    breaks: "P23",
    edits: [
      edit(
        PARCELS,
        `on bookpost.tracking_events for select to bookpost_member
  using (exists (
    select from bookpost.parcel_books pb where pb.parcel_id = tracking_events.parcel_id and pb.owner_id = (select bookpost.current_user_id())
  ));`,
        `on bookpost.tracking_events for select to bookpost_member
  using (true);`,
      ),
    ],
    caughtBy: proof("db/security/matrix", "%s sees what her line says"),
    caught: /AssertionError/,
  },
  {
    name: "a view runs with its owner's rights",
    breaks: "P23",
    edits: [
      edit(
        "migrations/committed/000026-ops.sql",
        "create view bookpost_ops.stuck with (security_invoker = true) as",
        "create view bookpost_ops.stuck as",
      ),
    ],
    caughtBy: proof(
      "db/security/catalogue",
      "every view of ours runs with its reader's rights, and none is materialised",
    ),
    caught: /AssertionError/,
  },
  {
    name: "each subscriber hears of everybody's changes",
    breaks: "P23",
    edits: [
      edit(
        "src/graphql/subscriptions/changeHub.ts",
        "for (const topic of [change.userId, EVERYBODY])",
        "for (const topic of topics.keys())",
      ),
    ],
    caughtBy: proof(
      "graphql/subscriptions",
      "hears of her own changes, read anew, and of nobody else's",
    ),
    caught: /AssertionError/,
  },
];
