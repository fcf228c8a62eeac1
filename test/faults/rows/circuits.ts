import { type Area, inFile } from "../claim.ts";

const RACES = "db/races/circuit";
const CIRCUIT = "db/bookpost_private/functions/report_to_circuit";
const FORCE = "db/bookpost_private/functions/force_circuit";

export const circuits: Area = {
  area: "Circuits",
  faults: [
    {
      fault: "Hundreds of failures at once, with answers between them",
      must: "Each is counted; the circuit opens once, and by failures in a row only.",
      tests: [
        ...inFile(
          RACES,
          "200 failures reported at once over 20 connections are counted as exactly 200",
          "60 failures at once open it once",
          "answers and failures at once: the count is that of the failures since the last answer, never more",
        ),
        ...inFile("e2e/fiveLessons", "two hundred failures at once are counted as two hundred"),
      ],
    },
    {
      fault: "An answer or a failure comes from before the circuit's last move",
      must: "It counts for nothing; the answer itself is kept.",
      tests: inFile(
        CIRCUIT,
        "a success of a lookup that began before the opening does not close it",
        "a failure of a lookup that began before the opening does not prolong it",
        "failures of lookups from before the opening are not counted",
        "an answer to a lookup from before the opening does not end a row of failures",
      ),
    },
    {
      fault: "Everybody asks at the moment a cooldown ends",
      must: "One request goes out.",
      tests: inFile(
        RACES,
        "of 30 who ask at once over 10 connections when the cooldown has passed, exactly one gets a permit, round after round",
      ),
    },
    {
      fault: "The one who probes is killed, hangs, or its parcel is stopped or deleted",
      must: "Its probe ends by itself and another goes.",
      tests: inFile(
        CIRCUIT,
        "a lost probe is swept away and another goes",
        "a probe that hangs past its end is replaced even before its lease is swept",
        "a probe whose parcel is stopped makes way for another",
        "a probe whose parcel is deleted is not stuck for ever",
      ),
      notProven:
        "Tested in the database. A prober killed and one paused, as processes, would prove the seconds.",
    },
    {
      fault: "The transaction that records a failure is rolled back",
      must: "Answer, count and next look go together; the report is sent again, and is given up visibly where it cannot be recorded.",
      tests: [
        ...inFile(
          "db/bookpost_private/functions/record_lookups",
          "a recording that breaks at %s leaves nothing of any step, and its permit lives",
        ),
        ...inFile("tracking/recordSafely", "after %s it is tried again"),
        ...inFile(
          "db/bookpost_private/functions/interrupt_lookups",
          "a lookup given up is in the ledger, its parcel is due at once, and its call stays counted",
        ),
      ],
    },
    {
      fault: "A person forces a circuit open or closed while there is traffic",
      must: "The next permit obeys, those who wait with one ask again, and the log names who and why.",
      tests: [
        ...inFile(
          FORCE,
          "forced open, nobody gets a permit, and the log names who and why",
          "forced open, an answer that is still to come does not close it",
          "forced closed, failures do not open it",
          "forcing a half-open circuit takes the verdict out of the probe's hands",
        ),
        ...inFile(
          "tracking/tracker",
          "a permit that waits for its moment is not used when the circuit has opened meanwhile",
        ),
      ],
    },
    {
      fault: "Any of it in any order",
      must: "Circuit, leases and budget do what a model of a few dozen lines says.",
      tests: inFile(
        "db/model/circuit",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: as it is written in the test
        "over ${RUNS} random histories circuit, leases and budget do exactly what the model says",
      ),
    },
  ],
};
