import { type Area, inFile } from "../claim.ts";

const SWEEP = "db/bookpost_private/functions/sweep";

export const processes: Area = {
  area: "Processes",
  faults: [
    {
      fault:
        "A worker is killed: before its request, during it, after the reply, before the commit",
      must: "Its lookup is given up, the parcel is due at once and its job is free; at most one request more than without the kill.",
      tests: inFile(
        SWEEP,
        "loses its lookup: closed as interrupted in the ledger, the parcel due at once, the job free, dispatch woken",
        "a lookup that began just before its worker died is freed together with its job",
        "a worker that died before its first beat loses its jobs at the next dispatch",
        "with nothing to free it changes nothing, however often it runs",
      ),
      notProven:
        "Tested in the database, with beats moved back. Real kills at each of the four moments would count seconds and requests.",
    },
    {
      fault: "A worker is paused past its lease and goes on",
      must: "Its answer is late and changes nothing; the parcel has gone to another worker.",
      tests: inFile(
        SWEEP,
        "loses it even where only its beat is late and it lives: its answer is then stale",
      ),
      notProven:
        "Tested in the database. A real worker, stopped by a signal for longer than it may be silent and let go on, would prove it.",
    },
    {
      fault: "A worker's event loop is blocked",
      must: "It is taken for dead when it has been silent too long; nothing is written twice.",
      notProven: "A worker that computes for ten seconds during a lookup would prove it.",
    },
    {
      fault: "A worker runs out of memory",
      must: "As when it is killed; a parcel whose lookup does it twice is set aside.",
      notProven: "A worker with little memory, and a lookup that needs more, would prove it.",
    },
    {
      fault: "SIGTERM, SIGINT, one of them twice, or output that nobody reads any more",
      must: "What is under way is written down and it ends with 0; a second signal ends it at once.",
      tests: [
        ...inFile(
          "e2e/start",
          "it says what runs where, without a password, and SIGTERM ends it with 0",
          "a lookup that is under way at the signal is written down before Postgres stops",
          "Ctrl-C through npm, which doubles it, still lets everything finish",
          "a second signal ends it at once with 1, and Postgres stops all the same",
          "output that nobody reads any more does not stop it",
        ),
        ...inFile("tracking/tracker", "a permit that waits when the worker stops goes back"),
      ],
      notProven:
        "A hundred signals at random moments under load, with no job left locked, would prove the rest.",
    },
    {
      fault: "An error that nobody catches",
      must: "It is logged once and the process ends, with an exit code that is not 0.",
      notProven:
        "A worker whose timer throws, and one whose promise is rejected unseen, would prove it.",
    },
    {
      fault: "A worker that ends as often as it is started",
      must: "It is started again ever more slowly, and the last reason is kept.",
      notProven: "A worker that ends at once, under `npm start`, would prove it.",
    },
  ],
};
