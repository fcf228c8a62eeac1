import { type Area, inFile } from "../claim.ts";

export const clocks: Area = {
  area: "Clocks and schedule",
  faults: [
    {
      fault: "A worker's clock is wrong by an hour or a day, jumps or drifts",
      must: "Nothing that is written down depends on it: ages go to the database, waits are measured.",
      tests: [
        ...inFile(
          "e2e/budgets",
          "no time that was written down can be told from one worker's clock or another's",
        ),
        ...inFile(
          "tracking/reportFrom",
          "are told by their age, so that only the database's clock counts",
          "are never of the future, though the clock was put back meanwhile",
        ),
        ...inFile(
          "carriers/oauth",
          "a wall clock that is put back or forth changes nothing in a token's life",
        ),
        ...inFile(
          "carriers/retryAfter",
          "a date counts from the answer's own Date, whatever our clock says",
        ),
      ],
      notProven:
        "The schedule runs by workers' clocks: one fast host must not hold up the others' dispatch, and no test shows that yet. A Retry-After whose lookup sees our clock jump before it is recorded is off by the jump, a day at the most.",
    },
    {
      fault: "The database's clock jumps",
      must: "Every stored time is at most a little more than a day away, so no parcel starves.",
      tests: inFile(
        "db/bookpost_private/functions/next_check_at",
        "is a time, not in the past and at most a day and a tenth away, whatever the input",
      ),
      notProven:
        "A Postgres whose clock is shifted to and fro would prove it for leases, holds and cooldowns too.",
    },
    {
      fault: "Two schedules fire at once, or none for hours",
      must: "Each due parcel is queued once; what was missed is made up for by one dispatch.",
      tests: inFile(
        "db/races/dispatch",
        "a second dispatch waits for the first and finds what fell due meanwhile; a third has nothing to do",
        "ten at once queue each due parcel once",
      ),
      notProven:
        "Workers that were all away for three hours, and the one dispatch after it, are not tested yet.",
    },
    {
      fault: "Dispatch dies half-way",
      must: "It leaves nothing, and the next one does it all.",
      tests: [
        ...inFile(
          "db/races/dispatch",
          "one that dies half-way leaves nothing, and the next does it all",
          "one that gives up waiting leaves its place to the next",
        ),
        ...inFile(
          "db/bookpost_private/functions/dispatch",
          "12,000 due parcels of two APIs in one call: each exactly once, and none again in the next",
        ),
      ],
    },
  ],
};
