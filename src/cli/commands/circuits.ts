import { Command } from "commander";
import { type CircuitRow, readCircuits } from "../../sql/readCircuits.ts";
import type { CliContext } from "../context.ts";
import { fromNow } from "../ownTime.ts";
import { type Column, table } from "../table.ts";
import { words } from "../words.ts";

const columns: readonly Column<CircuitRow>[] = [
  { title: "api", of: ({ apiCode }) => apiCode },
  { title: "circuit", of: ({ state, isForced }) => words(state) + (isForced ? ", by hand" : "") },
  { title: "held by", of: heldBy },
  {
    title: "until",
    of: ({ heldUntil, releasedUntil }) => {
      const until = heldUntil ?? releasedUntil;
      return until && fromNow(until);
    },
  },
  { title: "failures", of: (row) => row.consecutiveFailures, align: "right" },
  { title: "in flight", of: (row) => row.inFlight, align: "right" },
  { title: "due", of: (row) => row.due, align: "right" },
  {
    title: "calls today",
    of: ({ dayCalls, callsPerDay }) =>
      callsPerDay === null ? dayCalls : `${dayCalls} of ${callsPerDay}`,
    align: "right",
  },
  { title: "last change", of: lastChange, isFree: true },
];

function heldBy({ heldBy, parkedReason, releasedUntil }: CircuitRow): string {
  if (heldBy === null) return releasedUntil === null ? "nothing" : "gradual release";
  return words(heldBy) + (heldBy === "parked" && parkedReason !== null ? `: ${parkedReason}` : "");
}

function lastChange({ lastTransition, lastTransitionAt }: CircuitRow): string | null {
  return lastTransitionAt && `${fromNow(lastTransitionAt)}: ${lastTransition}`;
}

export function circuitsCommand(context: CliContext): Command {
  return new Command("circuits")
    .description("each carrier API's circuit breaker, what holds it back and what it has used")
    .action(() =>
      context.withDatabase(async (db) => {
        const circuits = await readCircuits(db);
        context.print({ json: circuits, text: (width) => table(columns, circuits, width) });
      }),
    );
}
