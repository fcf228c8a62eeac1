import { type Area, inFile } from "../claim.ts";

export const clocks: Area = {
  area: "Clocks and schedule",
  faults: [
    {
      fault: "A worker's clock is wrong by an hour or a day, jumps or drifts",
      must: "Nothing that is written down depends on it: ages go to the database, waits are measured. A worker that is more than five seconds off says so once and leaves the crontab to others; where nobody does it, the sweep asks for a dispatch by the database's clock.",
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
        ...inFile(
          "faults/clocks/crontab",
          "of workers whose clocks are right, an hour ahead, an hour behind and a day ahead, the right ones alone do the crontab, once a minute",
        ),
        ...inFile(
          "faults/clocks/nobodyDispatches",
          "where all workers have the wrong time, what is due is dispatched once, a little more than a minute after the last dispatch",
          "a bookmark and a job that a fast clock has put an hour ahead are repaired, and what is due is dispatched, within a minute",
        ),
      ],
      notProven:
        "Clocks are wrong from the start in these tests; one that jumps while its worker runs is not tried. A Retry-After whose lookup sees our clock jump before it is recorded is off by the jump, a day at the most.",
    },
    {
      fault: "The database's clock jumps",
      must: "Every stored time is at most a little more than a day away, and after a jump back each parcel waits its own interval at most. A jump forward is, for budgets, time that has passed.",
      tests: [
        ...inFile(
          "db/bookpost_private/functions/next_check_at",
          "is a time, not in the past and at most a day and a tenth away, whatever the input",
        ),
        ...inFile(
          "faults/clocks/databaseClock",
          "after each jump of the database's clock, by an hour and a day, back and forth, no parcel waits longer than its interval, no budget is exceeded and no worker is taken for dead",
        ),
      ],
      notProven:
        "Tested by moving all stored times, between two dispatches. A Postgres under libfaketime would show a jump in the midst of one, whose planned looks then stay where they were.",
    },
    {
      fault: "Two schedules fire at once, or none for hours",
      must: "Each due parcel is queued once; what was missed is made up for by one dispatch.",
      tests: [
        ...inFile(
          "db/races/dispatch",
          "a second dispatch waits for the first and finds what fell due meanwhile; a third has nothing to do",
          "ten at once queue each due parcel once",
        ),
        ...inFile(
          "faults/clocks/nobodyDispatches",
          "after three hours without a worker there is one dispatch for all that was missed",
        ),
      ],
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
          "6,000 due parcels of two APIs in one call: each exactly once, and none again in the next",
        ),
        ...inFile(
          "faults/clocks/dispatchKilled",
          "a dispatch of 20,000 parcels that dies half-way (%s) leaves nothing, and the next queues each once",
        ),
      ],
    },
  ],
};
