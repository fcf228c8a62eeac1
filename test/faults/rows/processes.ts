import { type Area, inFile } from "../claim.ts";

const SWEEP = "db/bookpost_private/functions/sweep";

export const processes: Area = {
  area: "Processes",
  faults: [
    {
      fault:
        "A worker is killed: before its request, during it, after the reply, before the commit",
      must: "Its lookup is given up, the parcel is due at once and its job is free; at most one request more than without the kill.",
      tests: [
        ...inFile(
          SWEEP,
          "loses its lookup: closed as interrupted in the ledger, the parcel due at once, the job free, dispatch woken",
          "a lookup that began just before its worker died is freed together with its job",
          "a worker that died before its first beat loses its jobs at the next dispatch",
          "with nothing to free it changes nothing, however often it runs",
        ),
        ...inFile("e2e/workers", "takes no job before its first beat"),
        ...inFile(
          "faults/recovery/workerKilled",
          "what a killed worker had under way, wherever it was struck, runs elsewhere within 10 seconds",
        ),
        ...inFile(
          "faults/killedBeforeRecording",
          "of a worker killed before it could write down an answer, nothing is lost and nothing told twice",
        ),
      ],
    },
    {
      fault: "A worker is paused past its lease and goes on",
      must: "Its answer is late and changes nothing, and is counted; the parcel has gone to another worker, and the one that goes on works as before.",
      tests: [
        ...inFile(
          SWEEP,
          "loses it even where only its beat is late and it lives: its answer is then stale",
        ),
        ...inFile(
          "faults/processes/silent",
          "a worker that was stopped past its death and goes on: its answers are counted and change nothing, and it works on",
        ),
      ],
    },
    {
      fault: "A worker's event loop is blocked",
      must: "It is taken for dead when it has been silent too long; nothing is written twice, and it works on afterwards.",
      tests: inFile(
        "faults/processes/silent",
        "a worker whose event loop is blocked for ten seconds is taken for dead, writes nothing twice, and works on",
      ),
    },
    {
      fault: "A worker runs out of memory",
      must: "As when it is killed; a parcel whose lookup does it twice is set aside. Who was under way beside it both times is tried alone and comes back; who kills a third time waits for a person.",
      tests: [
        ...inFile(
          "faults/processes/outOfMemory",
          "a parcel whose lookup fills the memory is set aside after two deaths and stays so after a third, alone; its companions come back by themselves",
        ),
        ...inFile(
          "db/bookpost_private/functions/dispatch",
          "of those that two deaths set aside, the one that is tried goes with the same dispatch",
        ),
      ],
    },
    {
      fault: "SIGTERM, SIGINT, one of them twice, or output that nobody reads any more",
      must: "What is under way is written down, or broken off and given back, and it ends with 0. A second signal ends `npm start` at once; the stock command does not hear one for five seconds. `npm start` works on where nobody reads its output; the stock command ends in order, with 1.",
      tests: [
        ...inFile(
          "e2e/start",
          "it says what runs where, without a password, and SIGTERM ends it with 0",
          "a lookup that is under way at the signal is written down before Postgres stops",
        ),
        ...inFile("e2e/workers", "that is asked to stop before its first beat ends with 0 at once"),
        ...inFile(
          "faults/processes/product",
          "Ctrl-C through npm, which doubles it, still lets everything finish",
          "a second signal ends it at once with 1, and Postgres stops all the same",
          "output that nobody reads any more does not stop it",
        ),
        ...inFile("tracking/tracker", "a permit that waits when the worker stops goes back"),
        ...inFile(
          "faults/processes/signals",
          "after each of a hundred SIGTERMs and SIGINTs at random moments a worker ends with 0 and nothing stays locked or leased by it",
          "%s: a SIGTERM while carriers do not answer breaks their lookups off, and it ends with 0",
          "$command: of two signals the second ends it with $code, and others find nothing lost",
          "start: output that nobody reads any more does not stop it, nor its end",
          "stock: output that nobody reads any more ends it in order, with 1 and nothing held",
        ),
      ],
    },
    {
      fault: "An error that nobody catches",
      must: "It is logged once and the process ends, with an exit code that is not 0; so it does where the queue itself cannot go on.",
      tests: inFile(
        "faults/processes/uncaught",
        "$command, $kind: an error that nobody catches is logged once and ends the process with 1, and what it had runs elsewhere",
        "%s: a queue that cannot write down the end of a job ends the process with 1, and its next life does the rest",
      ),
    },
    {
      fault: "A worker that ends as often as it is started",
      must: "Each time it says the reason in one sentence, the last thing it prints, and ends with 1 (2: what it was started with makes no sense). Starting it again is its supervisor's business, and so is how slowly: under docker compose `restart: unless-stopped`.",
      tests: inFile(
        "faults/processes/cannotStart",
        "$command: $what is told in one sentence, and ends it",
      ),
      notProven:
        "bookpost keeps no reason itself: the supervisor's log does. That compose waits longer each time is Docker's word; a machine with Docker would show it.",
    },
    {
      fault: "The queue's tables are emptied under workers at work",
      must: "Each due parcel is looked up after the next dispatch. Where the tasks are lost as well, workers end with 1, since they know tasks by their numbers, and find the new ones when they are started again.",
      tests: inFile(
        "faults/processes/emptiedQueue",
        "when the queue loses $what, each due parcel is looked up after the next dispatch, and $endings workers have to be started again",
      ),
      notProven:
        "A worker that has lived for a second or less when the tasks are lost may not notice; it then lives without work.",
    },
  ],
};
