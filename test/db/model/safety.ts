import type { Facts } from "./lane.ts";
import type { Operation, Outcome } from "./operations.ts";
import type { World } from "./world.ts";

/** What must hold whatever the model thinks: said of what the database holds, not of how it came to it. */
export function expectSafe(
  before: World,
  operations: readonly Operation[],
  outcomes: readonly Outcome[],
  after: Facts,
): void {
  const { circuit, budget, leases, moves } = after;
  const { settings } = before;
  const must = (holds: boolean, what: string) => {
    if (!holds)
      throw new Error(`${what}, after: ${operations.map(({ text }) => text).join(" | ")}`);
  };
  const present = leases.filter(({ generation }) => generation === circuit.generation);
  must(present.filter(({ isProbe }) => isProbe).length <= 1, "two probes");
  must(circuit.state !== "open" || present.length === 0, "a request while open");
  must(
    circuit.state === "closed" || present.every(({ isProbe }) => isProbe),
    "a lookup that is not the probe",
  );
  must(
    leases.every(({ generation }) => generation <= circuit.generation),
    "a lease from the future",
  );
  must(circuit.generation >= before.circuit.generation, "a generation came back");
  must(moves.length === circuit.generation - 1, "a move without a generation or a line in the log");
  must(budget.calls <= (settings.callsPerDay ?? Infinity), "calls over the day's allowance");
  must(new Set(leases.map(({ batch }) => batch)).size <= settings.inFlight, "too many in flight");

  const { state, openUntil } = before.circuit;
  const isOpen = state === "open" && (openUntil ?? 0) > before.now;
  if (operations.length === 1 && isOpen && circuit.generation === before.circuit.generation)
    must(
      outcomes.every(({ ids }) => !ids?.size),
      "a permit while open",
    );
}
