import { isDeepStrictEqual } from "node:util";
import { expected, type Lane, see } from "./lane.ts";
import type { Operation, Outcome } from "./operations.ts";
import { expectSafe } from "./safety.ts";
import type { World } from "./world.ts";

/**
 * Runs operations at once, each on a connection of its own, and gives the world
 * after them. Fails unless what they were told and what the database then holds
 * is what some order of them one after the other gives. One alone must give
 * exactly what the model says.
 */
export async function together(
  lane: Lane,
  w: World,
  operations: readonly Operation[],
  firstClient = 0,
): Promise<{ world: World; outcomes: readonly Outcome[] }> {
  const client = (i: number) => {
    const found = lane.clients[(firstClient + i) % lane.clients.length];
    if (!found) throw new Error("no connection");
    return found;
  };
  const outcomes = await Promise.all(
    operations.map((operation, i) => operation.run(lane, client(i))),
  );
  const seen = await see(lane, client(0));
  expectSafe(w, operations, outcomes, seen.facts);

  const excused = operations.map((operation, i) => {
    const rivals = operations.filter((other) => other !== operation);
    const outcome = outcomes[i];
    return new Set(
      outcome && rivals.length > 0 ? (operation.excuses?.(outcome, rivals) ?? []) : [],
    );
  });
  const told = outcomes.map((outcome, i) =>
    Object.fromEntries(Object.entries(outcome.told).filter(([key]) => !excused[i]?.has(key))),
  );
  const candidates = orders(operations.length).map((order) => {
    const world = structuredClone(w);
    const predicted: unknown[] = [];
    for (const i of order)
      predicted[i] = operations[i]?.simulate(
        world,
        outcomes[i] as Outcome,
        excused[i] ?? new Set(),
      );
    return { world, predicted };
  });
  const match = candidates.find(
    ({ world, predicted }) =>
      isDeepStrictEqual(
        told,
        predicted.map((one) => ({ ...(one as object) })),
      ) && isDeepStrictEqual(seen.facts, expected(world)),
  );
  if (!match) {
    const text = operations.map((operation) => operation.text).join(" | ");
    const [{ world, predicted } = { world: w, predicted: [] }] = candidates;
    throw new Error(
      `${operations.length > 1 ? "No order of these explains what happened (compared: the first order)" : "Not what the model says"}: ${text}\n${differences(
        { told: predicted, facts: expected(world) },
        { told, facts: seen.facts },
      ).join("\n")}`,
    );
  }
  for (const [i, parcel] of match.world.parcels.entries()) parcel.dueAt = seen.dueAt[i] ?? 0;
  return { world: match.world, outcomes };
}

function orders(count: number): number[][] {
  if (count === 0) return [[]];
  return orders(count - 1).flatMap((order) =>
    Array.from({ length: count }, (_, at) => order.toSpliced(at, 0, count - 1)),
  );
}

/** "circuit.failures: the model says 1, the database 2", for each leaf that differs. */
function differences(model: unknown, database: unknown, path = ""): string[] {
  if (isDeepStrictEqual(model, database)) return [];
  if (!isRecord(model) || !isRecord(database))
    return [
      `${path}: the model says ${JSON.stringify(model)}, the database ${JSON.stringify(database)}`,
    ];
  const keys = new Set([...Object.keys(model), ...Object.keys(database)]);
  return [...keys].flatMap((key) =>
    differences(model[key], database[key], path ? `${path}.${key}` : key),
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
