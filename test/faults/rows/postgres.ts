import { type Area, inFile } from "../claim.ts";

const RECORD = "tracking/recordSafely";

export const postgres: Area = {
  area: "Postgres",
  faults: [
    {
      fault: "Postgres is restarted at once, while a worker is idle, acquires, asks or records",
      must: "Work goes on within seconds of its return, and nothing is lost.",
      tests: inFile(
        "e2e/start",
        "a Postgres that is killed comes back under the running product, at the same address",
      ),
      notProven:
        "Restarts at each moment of a lookup, and the seconds until work goes on, are not tested yet.",
    },
    {
      fault: "Postgres is away for a minute",
      must: "The worker lives on or is started again, does not spin, and makes up for one missed dispatch.",
      notProven: "A minute without Postgres under a running worker would prove it.",
    },
    {
      fault: "One of Postgres's processes is killed, and all sessions end with it",
      must: "As after a restart.",
      notProven: "A backend killed under a running worker would prove it.",
    },
    {
      fault: "A session is ended in the middle of something",
      must: "The statement is tried again on another connection; the carrier is not blamed.",
      tests: [
        ...inFile(RECORD, "after %s it is tried again", "three times in a row it is given up"),
        ...inFile("tracking/payer", "%s of the database passes, and says nothing of the carrier"),
        ...inFile(
          "graphql/errors",
          "connections that Postgres ends are replaced, and the API goes on",
        ),
      ],
      notProven: "The connection on which a worker listens for jobs is not ended by a test yet.",
    },
    {
      fault: "The link to Postgres is reset, silent, slow or open one way only",
      must: "The worker ends or heals within 30 seconds; it never lives on without work.",
      notProven: "A proxy between worker and Postgres that does each of these would prove it.",
    },
    {
      fault: "The reply to a commit is lost",
      must: "The report is sent again and nothing is written twice.",
      tests: inFile(
        RECORD,
        "where the commit arrived and its reply was lost, nothing is written twice",
      ),
      notProven:
        "Tested at the call. A link cut at the very bytes of a commit would prove it for all of a worker's commits.",
    },
    {
      fault: "Postgres fails over to a standby, and the old one is still there, read-only",
      must: "Writes that are refused make the worker connect anew; what the standby had not yet got is looked up again.",
      notProven: "A standby that is promoted would prove it; its making needs pg_basebackup.",
    },
    {
      fault: "No connection is to be had: the server's are used up, or a pool's",
      must: "After 3 seconds of waiting the job fails and comes again; the heartbeat has a connection of its own.",
      notProven: "A server with a dozen connections, all of them taken, would prove it.",
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
      ],
    },
    {
      fault: "The disk is full",
      must: "Writes fail visibly, reads go on, no carrier is blamed, and work goes on by itself when there is room.",
      notProven:
        "A data directory on a small file system would prove it; mounting one needs rights that tests do not have.",
    },
    {
      fault: "A transaction stays open for hours and vacuum cannot clean up behind it",
      must: "It is told of, and the queue stays quick.",
      notProven: "An hour of work beside an old snapshot, measured, would prove it.",
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
        "nothing of ours notifies: no text of a carrier's can get into a payload",
      ),
    },
    {
      fault: "Somebody forges a notification to the workers",
      must: "Nobody without a grant may connect; a worker that shuts down for it is started again, and no data change.",
      tests: inFile("db/security/stranger", "a fresh login may not even connect"),
      notProven:
        "The API's own login can still notify; a forged message and the restart after it are not tested yet.",
    },
  ],
};
