import { type Area, inFile } from "../claim.ts";

const RECORD = "tracking/recordSafely";
const HERE = "faults/postgres";

export const postgres: Area = {
  area: "Postgres",
  faults: [
    {
      fault: "Postgres is restarted at once, while a worker is idle, acquires, asks or records",
      must: "Work goes on within 5 seconds of its return, and nothing is lost.",
      tests: [
        ...inFile(
          "faults/processes/product",
          "a Postgres that is killed comes back under the running product, at the same address",
        ),
        ...inFile(
          "faults/recovery/serverKilled",
          "after a Postgres that was %s is back, work goes on within 5 seconds",
          "and nothing was lost or told twice by any of it",
        ),
      ],
    },
    {
      fault: "Postgres is away for seconds, or for a minute",
      must: "A worker lives through seconds. After 15 it ends with 1, having knocked a few dozen times a second at most; the next one makes up for what was missed with one dispatch.",
      tests: inFile(
        `${HERE}/away`,
        "a worker lives through five seconds without Postgres",
        "away for a minute: the worker ends with 1, does not spin, and the next one catches up with one dispatch",
        "and nothing was lost or told twice by any of it",
      ),
    },
    {
      fault: "One of Postgres's processes is killed, and all sessions end with it",
      must: "As after a restart; the same worker goes on.",
      tests: inFile(
        `${HERE}/sessions`,
        "one of Postgres's processes is killed, all sessions end with it, and the same worker goes on within 5 seconds",
        "and through all of it it was one worker, and nothing was lost or told twice",
      ),
    },
    {
      fault: "A session is ended in the middle of something",
      must: "The statement is tried again on another connection; the carrier is not blamed.",
      tests: [
        ...inFile(RECORD, "after %s it is tried again"),
        ...inFile("db/persist", "what has not passed when patience ends is thrown"),
        ...inFile("tracking/payer", "%s of the database passes, and says nothing of the carrier"),
        ...inFile(
          "graphql/errors",
          "connections that Postgres ends are replaced, and the API goes on",
        ),
        ...inFile(
          `${HERE}/sessions`,
          "a worker whose listening session is ended listens again",
          "a session that is ended when %s costs nothing: the same worker goes on",
          "when all sessions of the %s pool are ended at once, the pool lives on",
          "and through all of it it was one worker, and nothing was lost or told twice",
        ),
      ],
    },
    {
      fault: "The link to Postgres is reset, silent, slow or open one way only",
      must: "The worker ends or heals within 30 seconds; it never lives on without work.",
      tests: [
        ...inFile(
          `${HERE}/link`,
          "every connection is reset at once: the same worker goes on",
          "answers come 300 ms late, give or take 200: the same worker goes on",
          "one way only, either one: the worker ends with 1 within 30 seconds, and its next life works",
          "all connections of one pool fall silent and those of the others live: the same worker heals within 30 seconds",
          "one connection falls silent with a statement on it: the same worker has it done on another",
          "the listening connection alone falls silent: jobs are found by asking",
          "and nothing was lost or told twice by any of it",
        ),
        ...inFile(
          "faults/recovery/linkSilent",
          "what a worker behind a silent link had under way runs elsewhere within 30 seconds, and the worker ends with 1 by itself",
        ),
      ],
    },
    {
      fault: "The reply to a commit is lost",
      must: "What was sent is sent again and nothing is written twice.",
      tests: [
        ...inFile(
          RECORD,
          "where the commit arrived and its reply was lost, nothing is written twice",
        ),
        ...inFile(
          `${HERE}/commitReply`,
          "when %s and the reply to its commit is lost, the same worker goes on",
          "when a worker that was asked to stop signs off and the reply is lost, it ends with 0 all the same",
          "and in the end nothing was lost and nothing was done or told twice",
        ),
      ],
    },
    {
      fault: "Postgres fails over to a standby, and the old one is still there, read-only",
      must: "One refused write makes each pool let go of the old one; the scans that the standby had not yet got are looked up again.",
      tests: [
        ...inFile(
          "db/readOnlyServer",
          "a worker's pool lets go of all connections to a server that takes no writes, also of one that only listens",
          "the API's pool lets go of that one only",
        ),
        ...inFile(
          `${HERE}/failover`,
          "after a failover that lost the last commits, the same workers leave the old primary, which is read-only, and look up again what was lost",
        ),
      ],
      needs: "pg_basebackup",
      notProven:
        "Books that were tracked in the lost moments are lost with them: only the app knows of them, and a synchronous standby would keep them.",
    },
    {
      fault:
        "A change is committed late, after younger ones were read, by a transaction that was open for long",
      must: "Who asks for changes since a cursor is told it all the same, once, and nobody waits for it; on a standby what is younger waits until it ends.",
      tests: [
        ...inFile(
          "db/bookpost/functions/changes_since",
          "a change that is committed late, with an older transaction id than what was read, is told",
          "whatever the order in which several write, commit and roll back, a reader is told exactly what was committed, each change once",
        ),
        ...inFile(
          `${HERE}/changesOnStandby`,
          "a reader on a standby loses no change that is committed late, and a cursor of either server serves the other",
        ),
      ],
      needs: "pg_basebackup",
    },
    {
      fault:
        "A cursor of an app was given out before a failover, a restored dump, or more than 30 days ago",
      must: "It is refused with CURSOR_EXPIRED, and the app reads everything anew; no change is left out in silence.",
      tests: [
        ...inFile(
          "db/bookpost/functions/changes_since",
          "%s has expired",
          "goes after 30 days; a cursor from before has expired, one from after it has not",
        ),
        ...inFile(
          `${HERE}/changesOnStandby`,
          "after a promotion every cursor of before has expired, since its transaction ids may be given out again",
        ),
      ],
      needs: "pg_basebackup",
      notProven:
        "A copy of the data directory that is started as it is, without a recovery, has the same name and timeline: there a cursor is refused only until as many transactions have passed as were lost.",
    },
    {
      fault:
        "The connection by which the API follows changes is lost or falls silent, or somebody forges its notifications",
      must: "Subscriptions live on, and nothing is lost: a new connection goes on from the cursor. A notification is only a reason to look; a link that has fallen silent is found by the look every 5 seconds, when it gets no answer for 6.",
      tests: [
        ...inFile(
          "graphql/subscriptions",
          "is made anew where it was lost, and nothing is lost with it",
          "takes a forged notification for what it is: a reason to look",
        ),
        ...inFile(
          `${HERE}/silentHub`,
          "a link that falls silent under the subscriptions, both ends still open, is given up, and nothing is lost",
        ),
      ],
    },
    {
      fault: "No connection is to be had: the server's are used up, or a pool's",
      must: "After 3 seconds of waiting what was asked is tried again; the heartbeat has a connection of its own and beats on.",
      tests: inFile(
        `${HERE}/connections`,
        "while others have every connection the worker's heart beats on, and when they leave the same worker goes on",
        "and nothing was lost or told twice by any of it",
      ),
      notProven:
        "A server without connections for longer than 15 seconds ends the worker, which cannot sign on again before there is one; tested is the time before.",
    },
    {
      fault: "Deadlock, serialization failure, lock timeout",
      must: "It is tried again; there is one order of locks, so that it hardly happens; the carrier is not blamed.",
      tests: [
        ...inFile(RECORD, "after %s it is tried again", "a row that stays locked"),
        ...inFile(
          "db/races/everything",
          "eight connections doing everything at once: no deadlock, no surprise, and the books balance at the end",
        ),
        ...inFile(
          "db/races/lockOrder",
          "deleting a book while its parcel's lookup is recorded",
          "a sweep that frees the probes of two APIs while a batch of both is recorded",
        ),
        ...inFile(
          `${HERE}/conflicts`,
          "statements of ours that are the victims of deadlocks are done again",
          "statements of ours that cannot be serialized are done again",
          "and it was one worker, nothing was lost or told twice, and no carrier was blamed",
        ),
      ],
    },
    {
      fault: "The disk is full",
      must: "Writes fail visibly, reads go on, no carrier is blamed, and work goes on by itself when there is room.",
      tests: inFile(
        `${HERE}/diskFull`,
        "on a full disk writes fail visibly, reads go on and no carrier is blamed; when there is room again work goes on by itself",
      ),
      needs: "a small disk, which only root may mount",
      notProven:
        "Tested for tables. A write-ahead log without room ends Postgres itself, and its supervisor has to start it again.",
    },
    {
      fault: "A transaction stays open for hours and vacuum cannot clean up behind it",
      must: "Nobody waits for it; after 5 minutes doctor tells of it, where its login may see it.",
      tests: inFile(
        `${HERE}/longTransaction`,
        "beside a transaction that stays open nobody waits, and doctor tells of it once it is old",
      ),
      notProven:
        "That the queue stays quick: an hour of work beside an old snapshot, measured, would prove it.",
    },
    {
      fault: "An app's transaction holds a parcel for long",
      must: "Only that parcel waits; others are tracked, dispatched, asked about and recorded.",
      tests: inFile(
        "db/races/openTransactions",
        "while an app that %s has not committed, others track, dispatch runs, sweep frees and workers beat",
        "a parcel that an app's open transaction holds is busy, and its neighbours in the batch get their permits",
        "an app's open transaction on one parcel does not hold up the recording of its neighbours",
      ),
    },
    {
      fault: "A notification's payload is too long, which would undo a whole transaction",
      must: "It cannot be: nothing of ours notifies with data.",
      tests: inFile(
        "db/notify",
        "what notifies carries nothing: no text of a carrier's can get into a payload",
      ),
    },
    {
      fault: "Somebody forges a notification to the workers",
      must: "Nobody without a grant may connect. The API's login has to, and Postgres knows no right to notify: a worker that is told of a new schema ends with 57, is started again, and no data change.",
      tests: [
        ...inFile("db/security/stranger", "a fresh login may not even connect"),
        ...inFile(
          `${HERE}/forgedNotify`,
          "%s in a notification from the API's login harms no worker",
          "told by the API's login that the queue's schema has changed, a worker ends with 57, and its next life goes on",
          "and nothing was lost or told twice by any of it",
        ),
      ],
    },
  ],
};
