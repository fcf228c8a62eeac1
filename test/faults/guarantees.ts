import { type Guarantee, inFile, saboteursIn } from "./claim.ts";

const WORKER = "db/bookpost_private/functions";
const MODEL = "db/model/saboteurs";
const RACES = "db/races/raceSaboteurs";
const HISTORIES = "db/properties/saboteurs.test";

/** What holds at every committed state, or within the time said once the fault is gone. */
export const guarantees: readonly Guarantee[] = [
  {
    id: "P1",
    must: "The queue is disposable: emptied at any moment, it is filled again from the parcels at the next dispatch.",
    tests: [
      ...inFile(`${WORKER}/dispatch`, "again when the first was lost with the whole queue"),
      ...inFile(
        "faults/processes/emptiedQueue",
        "when the queue loses $what, each due parcel is looked up after the next dispatch, and $endings workers have to be started again",
      ),
    ],
  },
  {
    id: "P2",
    must: "What a killed worker had under way runs elsewhere within 10 seconds.",
    tests: [
      ...inFile(`${WORKER}/sweep`, "a worker that stopped beating"),
      ...inFile(
        "e2e/workers",
        "that is killed: another asks about what it had under way, and the answer is written down once",
        "takes no job before its first beat",
      ),
      ...inFile(
        "ops/heartbeat",
        "it beats and sweeps every second, looks for strays every fifth, and signs off at the end",
      ),
      ...inFile(
        "faults/recovery/workerKilled",
        "what a killed worker had under way, wherever it was struck, runs elsewhere within 10 seconds",
      ),
    ],
  },
  {
    id: "P3",
    must: "Nothing is stuck: lease, probe and job lock end by themselves, and what is 10 seconds past its end is a row of bookpost_ops.stuck.",
    tests: inFile(
      "db/bookpost_ops/views/stuck",
      "a lease ten seconds past its end is listed, and gone after a sweep",
      "a probe ten seconds past its end is listed, and gone after a sweep",
      "a job held by a worker that does not live is listed, and free after the next dispatch",
      "a live parcel without a check is listed, and gone when someone tracks it",
    ),
  },
  {
    id: "P4",
    must: "An answer is written only while its own lease lives; a late one changes nothing in any table and is counted.",
    tests: inFile(
      `${WORKER}/record_lookups`,
      "a late answer changes nothing in any table, and is counted",
    ),
    saboteurs: [
      ...saboteursIn(MODEL, "no fence: the ledger is as good as a lease"),
      ...saboteursIn(
        RACES,
        "the lease is read and deleted in two steps, without the parcel's lock",
      ),
    ],
  },
  {
    id: "P5",
    must: "A parcel is looked up once at a time.",
    tests: [
      ...inFile(
        "db/races/acquire",
        "of eight connections that ask for one parcel at once, one gets it, round after round",
      ),
      ...inFile(
        "db/races/sweep",
        "a sweep and a recording of the same lookup: one of them has it, never both",
      ),
    ],
    saboteurs: saboteursIn(
      RACES,
      "lease anti-join and skip locked in one statement",
      "the lease is read and deleted in two steps, without the parcel's lock",
    ),
  },
  {
    id: "P6",
    must: "No transaction is open and no connection is held while a carrier is asked.",
    tests: [
      ...inFile(
        "e2e/slowCarrier",
        "while a carrier holds its reply, no connection is in a transaction",
      ),
      ...inFile(
        "e2e/slowCarrier",
        "a carrier that answers nobody holds as many requests as it may, and the others' parcels go on",
      ),
    ],
  },
  {
    id: "P7",
    must: "A commit whose reply was lost is repeated without writing anything twice.",
    tests: [
      ...inFile(
        "tracking/recordSafely",
        "where the commit arrived and its reply was lost, nothing is written twice",
      ),
      ...inFile(
        "faults/postgres/commitReply",
        "when %s and the reply to its commit is lost, the same worker goes on",
        "and in the end nothing was lost and nothing was done or told twice",
      ),
      ...inFile(
        "e2e/kills",
        "struck at 25 points of the road, a lookup loses nothing, tells nothing twice and leaves nothing stuck",
      ),
    ],
    saboteurs: saboteursIn(MODEL, "no fence: the ledger is as good as a lease"),
  },
  {
    id: "P8",
    must: "A change wins over the answer that is under way: stopped, deleted or moved to another number, the parcel's old answer is dropped.",
    tests: [
      ...inFile(
        "db/bookpost/functions/stop_tracking",
        "a lookup in flight is fenced off by the stop",
      ),
      ...inFile(
        "db/bookpost/functions/track_book",
        "with another number, the book moves to that parcel, and the former one is closed",
      ),
      ...inFile(
        `${WORKER}/record_lookups`,
        "when the parcel was closed meanwhile",
        "when the parcel was deleted meanwhile",
      ),
    ],
    saboteurs: saboteursIn(HISTORIES, "a parcel is closed and its lookup keeps its lease"),
  },
  {
    id: "P9",
    must: "A worker that cannot reach the database ends, with an exit code that says so, instead of living on without work.",
    tests: [
      ...inFile(
        "e2e/workers",
        "that cannot reach Postgres, though every connection stays open, ends by itself with 1",
      ),
      ...inFile(
        "ops/heartbeat",
        "a worker that has not reached Postgres for 15 seconds is lost, and hears of it once",
        "a worker with room that has not been able to ask for jobs for 15 seconds is lost",
      ),
      ...inFile("db/pool", "fails in time and is not used again: %s"),
      ...inFile(
        "faults/postgres/away",
        "away for a minute: the worker ends with 1, does not spin, and the next one catches up with one dispatch",
      ),
      ...inFile(
        "faults/postgres/link",
        "one way only, either one: the worker ends with 1 within 30 seconds, and its next life works",
      ),
      ...inFile(
        "faults/recovery/linkSilent",
        "what a worker behind a silent link had under way runs elsewhere within 30 seconds, and the worker ends with 1 by itself",
      ),
    ],
  },
  {
    id: "P10",
    must: "While a circuit is open, no request reaches its carrier.",
    tests: [
      ...inFile(
        "e2e/fiveLessons",
        "an open circuit lets no request out and burns no attempt, however often dispatch runs",
      ),
      ...inFile(`${WORKER}/report_to_circuit`, "nobody gets a permit, and asking writes nothing"),
    ],
    saboteurs: saboteursIn(MODEL, "permits are granted while it is open"),
  },
  {
    id: "P11",
    must: "When a cooldown has passed exactly one request goes out, from all processes together, and a lost one is replaced.",
    tests: [
      ...inFile(
        "db/races/circuit",
        "of 30 who ask at once over 10 connections when the cooldown has passed, exactly one gets a permit, round after round",
      ),
      ...inFile(`${WORKER}/report_to_circuit`, "a lost probe is swept away and another goes"),
      ...inFile(
        "e2e/fiveLessons",
        "after the cooldown exactly one probe goes out; its success closes the circuit and the others follow",
      ),
      ...inFile(
        "db/bookpost_ops/views/stuck",
        "a probe ten seconds past its end is listed, and gone after a sweep",
      ),
    ],
    saboteurs: saboteursIn(
      RACES,
      "the probe is claimed whatever the circuit's state",
      "the probe is claimed without its state and without skip locked, and the budget is not locked",
    ),
  },
  {
    id: "P12",
    must: "Only carriers' faults open a circuit, of two parcels at least where there are two; an answer from before its last move counts for nothing.",
    tests: [
      ...inFile(
        `${WORKER}/report_to_circuit`,
        "failures of lookups from before the opening are not counted",
        "a success of a lookup that began before the opening does not close it",
        "%s neither counts as a failure nor ends a row of them",
      ),
      ...inFile(
        `${WORKER}/report_to_circuit.parcels`,
        "one bad parcel does not shut a carrier",
        "is not the parcel that failed last while another is due",
      ),
    ],
    saboteurs: saboteursIn(
      MODEL,
      "no generation check",
      "one parcel that fails shuts it for all",
      "the parcel that failed last is the probe while another is due",
    ),
  },
  {
    id: "P13",
    must: "The database's clock decides what is due, leased or cooling down; a worker's clock measures durations only.",
    tests: [
      ...inFile(
        "e2e/budgets",
        "no time that was written down can be told from one worker's clock or another's",
      ),
      ...inFile(
        "tracking/reportFrom",
        "are told by their age, so that only the database's clock counts",
      ),
      ...inFile(
        "carriers/oauth",
        "a wall clock that is put back or forth changes nothing in a token's life",
      ),
      ...inFile(
        "e2e/workers",
        "whose clock is an hour ahead leaves the timetable to others, and does the work",
      ),
      ...inFile(
        `${WORKER}/repair_timetable`,
        "the crontab's job that a fast clock has put into the future is due now",
      ),
      ...inFile(
        `${WORKER}/sweep.late_dispatch`,
        "a dispatch is asked for 65 seconds after the last one, once, and not before",
      ),
      ...inFile(
        "ops/clockGuard",
        "a clock that is %s ms ahead leaves the crontab to others, and says why",
      ),
      ...inFile(
        "faults/clocks/crontab",
        "of workers whose clocks are right, an hour ahead, an hour behind and a day ahead, the right ones alone do the crontab, once a minute",
      ),
    ],
  },
  {
    id: "P14",
    must: "A carrier's time is kept as it was written, with its zone and precision; no instant is made up, and no session's or host's zone has a say.",
    tests: [
      ...inFile("carriers/carrierTime", "timeFromIso", "timeFromParts"),
      ...inFile(
        `${WORKER}/record_lookups.status`,
        "where the carrier gave a wall clock without a zone, no instant is made up",
        "in a session of time zone %s and date style %s the times are the same",
      ),
    ],
  },
  {
    id: "P15",
    must: "The same scans make the same status, in whatever order, batches and repetitions they came; a later scan changes a delivery, an older one never does.",
    tests: [
      ...inFile(
        `${WORKER}/fold_status`,
        "of scans with instants, however split, repeated, shuffled and forgotten, only the set counts",
      ),
      ...inFile(
        `${WORKER}/record_lookups.status`,
        "an older scan that comes later does not undo it",
        "a later scan undoes it, and the time of delivery goes with it",
      ),
    ],
    saboteurs: saboteursIn(
      HISTORIES,
      "the scan that was learnt last decides",
      "delivered is for ever",
    ),
  },
  {
    id: "P16",
    must: "A scan is kept once and for good, though the carrier repeats or forgets it.",
    tests: [
      ...inFile(
        `${WORKER}/record_lookups`,
        "two scans with one identity in one answer are one scan, at its later place",
        "is unchanged: no parcel row is written, no evidence kept, no scan touched",
      ),
      ...inFile(
        "e2e/fiveLessons",
        "what the carrier said stays: scans it has forgotten are still told",
      ),
      ...inFile(
        `${WORKER}/record_lookups.status`,
        "a history that the carrier has forgotten does not undo it",
      ),
    ],
    saboteurs: saboteursIn(HISTORIES, "scans that the carrier has forgotten go"),
  },
  {
    id: "P17",
    must: "Each owner is told of each new status once, in the same commit as the status; one message for each way that she has agreed to is queued in it, and ends sent, told by another, dropped for a reason, or visibly dead. A message that may have arrived twice says so.",
    tests: [
      ...inFile(
        `${WORKER}/record_lookups.notifications`,
        "every owner of the parcel is told of each new stage once",
        "a status and its notifications stand or fall together",
      ),
      ...inFile(
        `${WORKER}/queue_deliveries.consent`,
        "for one who %s nothing is queued but what she may be sent",
      ),
      ...inFile(
        `${WORKER}/end_delivery.attempts`,
        "what an attempt tells counts only while it is the last, and once",
        "an email or a text message that was %s is doubtful: %s, and stays so when it is sent",
      ),
      ...inFile(
        "e2e/notifications",
        "a mail server that takes a message and breaks off before its answer gets it again, under the same id, and the message says that it may be there twice",
      ),
      ...inFile(
        "e2e/kills",
        "struck at 25 points of the road, a lookup loses nothing, tells nothing twice and leaves nothing stuck",
      ),
    ],
  },
  {
    id: "P18",
    must: "Nobody is flooded: old news are not told, many at once become one, back and forth is told once.",
    tests: [
      ...inFile(
        `${WORKER}/queue_deliveries.consent`,
        "what is over the cap of the hour is told in one digest",
        "a stage that was told, left and reached again before anything newer went out is not told again",
      ),
      ...inFile(
        "e2e/notifications",
        "after days without a mail server everyone is told the present stage once, and few connections were tried meanwhile",
      ),
      ...inFile(
        "faults/notifications/oldParcels",
        "two thousand parcels that came home a week ago tell nobody, and one that moves now does",
      ),
    ],
  },
  {
    id: "P19",
    must: "The queue never holds more than one job for a parcel; a carrier that is down adds none, and after an outage what is due goes out gradually.",
    tests: [
      ...inFile(
        `${WORKER}/dispatch`,
        "and no second one while the first is queued",
        "and no second one while a worker runs the first",
      ),
      ...inFile(
        `${WORKER}/report_to_circuit.outage`,
        "a carrier that is down for three days is asked twenty times, and its queue never holds more than the probe",
      ),
      ...inFile(
        `${WORKER}/gate`,
        "what is due goes out slowly at first, and all of it by the end of ten minutes",
      ),
    ],
  },
  {
    id: "P20",
    must: "A parcel whose job fails for good, or whose lookup kills its worker twice, is set aside, visibly, and others go on; a report that the database cannot take spoils no other.",
    tests: [
      ...inFile(
        `${WORKER}/quarantine_failed_parcels`,
        "a parcel whose job failed for good is set aside, visibly, and not dispatched again",
        "others go on",
      ),
      ...inFile(
        "tracking/recordSafely",
        "one bad report of 64: it is recorded as malformed without scans, the other 63 as they are",
      ),
      ...inFile(
        `${WORKER}/try_quarantined_parcel`,
        "one death over a parcel is none of its doing yet, two in a row set it aside, visibly",
      ),
      ...inFile(
        "faults/processes/outOfMemory",
        "a parcel whose lookup fills the memory is set aside after two deaths and stays so after a third, alone; its companions come back by themselves",
      ),
    ],
  },
  {
    id: "P21",
    must: "On SIGTERM nothing new is begun, what is under way is written down, and the exit code is 0.",
    tests: [
      ...inFile(
        "e2e/start",
        "it says what runs where, without a password, and SIGTERM ends it with 0",
        "a lookup that is under way at the signal is written down before Postgres stops",
      ),
      ...inFile(
        "ops/signOff",
        "who signs off is no worker any more, and nothing is left locked for it; others keep what they have",
      ),
      ...inFile(
        "faults/processes/product",
        "a second signal ends it at once with 1, and Postgres stops all the same",
      ),
      ...inFile(
        "e2e/workers",
        "that is asked to stop writes down what is under way, begins nothing more and ends with 0",
      ),
      ...inFile(
        "faults/processes/signals",
        "after each of a hundred SIGTERMs and SIGINTs at random moments a worker ends with 0 and nothing stays locked or leased by it",
      ),
    ],
  },
  {
    id: "P22",
    must: "Migrations go forward only, one migrator at a time; a program does not work on a database whose schema it does not know, and says so.",
    tests: [
      ...inFile(
        "ops/migrate",
        "of three that migrate one empty database at once one does it all, and the others wait and find nothing to do",
        "one that is killed in the midst of a file leaves nothing of it, and the next one does it all",
        "a database that another version has migrated is refused, by the name of the file",
      ),
      ...inFile("e2e/cli/database", "a database that was never migrated is told with the way out"),
      ...inFile("e2e/cli/doctor", "a database without our schema, or of another version, is wrong"),
      ...inFile("ops/testWorker", "a database that %s is refused, by its name"),
    ],
    notProven:
      "The former program on the new schema is not tested yet; nothing has been released that could be it.",
  },
  {
    id: "P23",
    must: "Nobody sees or learns of another's rows: by query, id, count, error, uniqueness or subscription.",
    tests: [
      ...inFile("db/security/matrix", "%s sees what her line says"),
      ...inFile(
        "db/security/isolation",
        "tracking a number ends the same whether or not someone else has it already",
      ),
      ...inFile(
        "graphql/rowSecurity",
        "sees her own book, parcel, scans and notifications, and counts no others",
        "cannot reach another's rows by their ids",
      ),
      ...inFile(
        "graphql/subscriptions",
        "hears of her own changes, read anew, and of nobody else's",
        "is told null of what is no longer hers, and no word of what it became",
      ),
      ...inFile(
        "db/security/catalogue",
        "every view of ours runs with its reader's rights, and none is materialised",
      ),
    ],
  },
];
